//go:build root

package mounter_test

import (
	"errors"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	"cloister/internal/sys"
)

// below runs the script on /mnt/a in a user namespace below the container's, where all
// flags of the mounts are locked that there were before.
const below = `
MS_NOSUID=2 MS_NODEV=4 MS_NOATIME=1024 MS_RELATIME=2097152
RB=$((MS_REMOUNT|MS_BIND))
R() { M none /mnt/a "" $(($1|RB)); }
has() { grep -o "${1:-/mnt/a} r[^ ]*" /proc/self/mountinfo; }
below() { export MS_RDONLY MS_NOSUID MS_NODEV MS_NOATIME MS_RELATIME RB
	unshare -Urm /bin/sh -c 'M() { /self "$@"; }; R() { M none /mnt/a "" $(($1|RB)); }; has() { grep -o "${1:-/mnt/a} r[^ ]*" /proc/self/mountinfo; }; '"$1"; }
on() { mount -t tmpfs -o "$1" x /mnt/a; }
`

func TestFlagsThatARemountMustKeep(t *testing.T) {
	c := newContainer(t, nil)
	var tests []mountTest
	for _, test := range []mountTest{
		{"read-only", `on nosuid,nodev,noexec; below 'R MS_RDONLY; has'; has`, "ok\n/mnt/a ro,nosuid,nodev,noexec,relatime\n/mnt/a rw,nosuid,nodev,noexec,relatime"},
		{"another one", `on nosuid,nodev; below 'R 8; has'`, "ok\n/mnt/a rw,nosuid,nodev,noexec,relatime"},
		{"with magic and recursive", `on nosuid; below 'R "0xc0ed0000|16384|MS_RDONLY"; has'`, "ok\n/mnt/a ro,nosuid,relatime"},
		{"access times that can't be changed", `on nosuid,noatime; below 'R "MS_RDONLY|MS_RELATIME"; has; R "14|MS_RELATIME"; has'`, "ok\n/mnt/a ro,nosuid,noatime\nok\n/mnt/a rw,nosuid,nodev,noexec,noatime"},
		{"a file", `on nosuid,nodev; touch /mnt/a/f; mount --bind /mnt/a/f /mnt/a/f; below 'M none /mnt/a/f "" $((MS_RDONLY|RB)); has /mnt/a/f'`, "ok\n/mnt/a/f ro,nosuid,nodev,relatime"},
		{"through /proc/self/fd", `on nosuid,nodev; below 'VIA=/proc/self/fd/%d M none @/mnt/a "" $((MS_RDONLY|RB)); has'`, "ok\n/mnt/a ro,nosuid,nodev,relatime"},
		{"without a proc", `on nosuid,nodev; below 'mount -t tmpfs x /proc; R MS_RDONLY 2>/dev/null; touch /mnt/a/f 2>&1 | grep -o "Read-only.*"'`, "ok\nRead-only file system"},
		{"what is read-only stays so", `on ro,nosuid,nodev; below 'R MS_NOSUID; R MS_NODEV; R 0; R 14; has'`, "EPERM\nEPERM\nEPERM\nEPERM\n/mnt/a ro,nosuid,nodev,relatime"},
		{"nothing but less", `on nosuid,nodev; below 'R 0; R MS_RELATIME; has'`, "EPERM\nEPERM\n/mnt/a rw,nosuid,nodev,relatime"},
		{
			"what is not locked is changed", `on nosuid,nodev,noatime; R MS_RDONLY; has; R "MS_NODEV|MS_RELATIME"; has; R 0; has`,
			"ok\n/mnt/a ro,noatime\nok\n/mnt/a rw,nodev,relatime\nok\n/mnt/a rw,relatime",
		},
		{"not without CAP_SYS_ADMIN", `on nosuid,nodev; setpriv --bounding-set -sys_admin /self none /mnt/a '' $((MS_RDONLY|RB)); has`, "EPERM\n/mnt/a rw,nosuid,nodev,relatime"},
		{"not in the mounts of others", `on nosuid,nodev; exec 9</mnt/a; unshare -m /self none /proc/self/fd/9 '' $((MS_RDONLY|RB)); has`, "EINVAL\n/mnt/a rw,nosuid,nodev,relatime"},
		{"no mount", `M none /mnt '' $((MS_RDONLY|RB)); M none /mnt/none '' $((MS_RDONLY|RB)); M none '' '' $((MS_RDONLY|RB))`, "EINVAL\nENOENT\nENOENT"},
		{"in use", `on nosuid,nodev; below 'exec 8>/mnt/a/f; R MS_RDONLY; exec 8>&-; R MS_RDONLY'`, "EBUSY\nok"},
		{"a view stays read-only", `M none /proc/meminfo '' $((MS_NOSUID|RB)); M none /proc/meminfo '' $((MS_RDONLY|RB)); (echo x >/proc/meminfo) 2>&1 | grep -o 'Read-only.*'`, "EPERM\nok\nRead-only file system"},
	} {
		tests = append(tests, mountTest{test.what, below + test.script, test.want})
	}
	runMountTests(t, c, tests)
}

func TestNoFlagsAreChangedForACallerThatIsGone(t *testing.T) {
	c := newContainer(t, nil)
	proc, err := sys.Open("/proc/"+strconv.Itoa(c.process.Pid), unix.O_PATH)
	if err != nil {
		t.Fatal(err)
	}
	defer proc.Close()
	gone := errors.New("gone")
	err = c.mounter.Remount("c", proc, "/", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, func(uint64) error { return gone })
	if !errors.Is(err, gone) {
		t.Errorf("got %v", err)
	}
	if got := c.sh("touch /tmp/f && echo writable"); got != "writable" {
		t.Error(got)
	}
}
