//go:build root

package mounter_test

import (
	"strings"
	"testing"

	"cloister/internal/sys"
)

// begin is before each script. carries writes sealedProc if what is mounted at its
// argument is as sealed as the container's own proc.
const begin = `
carries() {
	cat $1/meminfo; echo
	umount $1/meminfo 2>&1 | grep -c 'not mounted\|Invalid'
	wc -c < $1/version
	(echo x > $1/sys/kernel/hostname) 2>&1 | grep -o 'Read-only file system'
}
MS_RDONLY=1 MS_REMOUNT=32 MS_BIND=4096 MS_MOVE=8192 MS_REC=16384
`

const sealedProc = "VIEW\n1\n0\nRead-only file system"

// end takes away what a script has mounted.
const end = `
cd /
for d in /mnt/a /mnt/b; do while umount -l $d 2>/dev/null; do :; done; done
`

type mountTest struct{ what, script, want string }

func runMountTests(t *testing.T, c *container, tests []mountTest) {
	for _, test := range tests {
		t.Run(test.what, func(t *testing.T) {
			if got := c.sh(begin + test.script + end); got != test.want {
				t.Errorf("%s\ngot:\n%s\nwant:\n%s", test.script, got, test.want)
			}
		})
	}
}

// TestNothingKeepsAMountBusy unmounts at once what was served.
func TestNothingKeepsAMountBusy(t *testing.T) {
	runMountTests(t, newContainer(t, nil), []mountTest{
		{"a bind", `COUNT=200 UNMOUNT=0 M /usr /mnt/a '' $MS_BIND | tr -d '0-9\n'; echo -n end`, "end"},
		{"a proc", `COUNT=50 UNMOUNT=0 M proc /mnt/a proc | tr -d '0-9\n'; echo -n end`, "end"},
		{"one on another", `AGAIN=1 COUNT=200 UNMOUNT=0 M /usr /mnt/a '' $MS_BIND | tr -d '0-9\n'; echo -n end`, "end"},
		{"what has become read-only", `i=0; while [ $i -lt 20 ]; do mount -t tmpfs x a; M none a '' $((MS_REMOUNT|MS_BIND|MS_RDONLY)); umount a; i=$((i+1)); done | grep -vx ok; echo -n end`, "end"},
		{"a root that has become read-only", `ROOT=/mnt/a COUNT=200 UNMOUNT=0 M none / '' $((MS_REMOUNT|MS_BIND|MS_RDONLY)) | tr -d '0-9\n'; echo -n end`, "end"},
		{"a root", `i=0; while [ $i -lt 5 ]; do
			mount -t tmpfs x b; mkdir b/x b/usr; mount --rbind /usr b/usr; for l in bin lib lib64 sbin; do ln -s usr/$l b/$l; done; cp /self b/self
			chroot b /self proc /x proc 2>/dev/null; umount -l b/x; umount -l b/usr; umount b
			i=$((i+1)); done | grep -vx ok; echo -n end`, "end"},
	})
}

// TestTheSameAtOnce: of a program that handles signals the second one may be the first,
// whose answer was lost.
func TestTheSameAtOnce(t *testing.T) {
	const layers = `; while umount -l a 2>/dev/null; do echo gone; done`
	runMountTests(t, newContainer(t, nil), []mountTest{
		{"proc", `TWICE=1 M proc /mnt/a proc` + layers, "ok\ngone"},
		{"a bind of one", `TWICE=1 M /proc /mnt/a '' $MS_BIND` + layers, "ok\ngone"},
		{"twice, by two programs", `M proc /mnt/a proc; M proc /mnt/a proc` + layers, "ok\nok\ngone\ngone"},
		{"what is the kernel's alone", `TWICE=1 M none /mnt/a tmpfs` + layers, "ok\ngone\ngone"},
	})
}

func TestWhatIsUnmounted(t *testing.T) {
	runMountTests(t, newContainer(t, nil), []mountTest{
		{"a new proc", `M proc /mnt/a proc; umount /mnt/a; ls /mnt/a; echo -n end`, "ok\nend"},
		{"a new sysfs", `M sysfs /mnt/a sysfs; umount /mnt/a; ls /mnt/a; echo -n end`, "ok\nend"},
		{"a bind of proc", `M /proc /mnt/a '' $MS_BIND; umount /mnt/a; ls /mnt/a; cat /proc/meminfo`, "ok\nVIEW"},
		{"the upper of two", `M proc /mnt/a proc; M proc /mnt/a proc; umount /mnt/a; carries /mnt/a; umount /mnt/a; ls /mnt/a`, "ok\nok\n" + sealedProc},
		{"by a relative path", `M proc /mnt/a proc; cd /mnt; umount -i a; ls /mnt/a; echo -n end`, "ok\nend"},
		{"of a tmpfs", `M tmpfs /mnt/a tmpfs; umount /mnt/a; umount /mnt/a 2>&1 | grep -o 'not mounted'`, "ok\nnot mounted"},
		{"while a mount is on it", `M tmpfs /mnt/a tmpfs; mkdir /mnt/a/b; M tmpfs /mnt/a/b tmpfs; umount /mnt/a 2>&1 | grep -o busy`, "ok\nok\nbusy"},
		{"not the container's own", `for d in /proc /sys; do umount $d 2>&1 | grep -o busy; done; carries /proc`, "busy\nbusy\n" + sealedProc},
		{"not a view", `M proc /mnt/a proc; umount /mnt/a/meminfo 2>&1 | grep -c .; carries /mnt/a`, "ok\n1\n" + sealedProc},
		{"not without CAP_SYS_ADMIN", `M proc /mnt/a proc; setpriv --bounding-set -sys_admin umount /mnt/a 2>&1 | grep -o superuser; carries /mnt/a`, "ok\nsuperuser\n" + sealedProc},
		{"in a chroot", `mkdir -p /mnt/b/proc; M proc /mnt/b/proc proc; umount /mnt/b/proc; ls /mnt/b/proc; echo -n end`, "ok\nend"},
	})
}

func TestWhatIsMounted(t *testing.T) {
	runMountTests(t, newContainer(t, nil), []mountTest{
		{"a new proc", `M proc /mnt/a proc; carries /mnt/a; ls -d /mnt/a/1`, "ok\n" + sealedProc + "\n/mnt/a/1"},
		{"a new sysfs", `M sysfs /mnt/a sysfs; cat /mnt/a/kernel/fscaps; ls /mnt/a/fs; ls /mnt/a/class/net`, "ok\nVIEWlo"},
		{"a second one on the same target", `M proc /mnt/a proc; M proc /mnt/a proc; M sysfs /mnt/a sysfs; umount -l /mnt/a; carries /mnt/a`, "ok\nok\nok\n" + sealedProc},
		{"over the first one", `M proc /proc proc; carries /proc; umount -l /proc; carries /proc`, "ok\n" + sealedProc + "\n" + sealedProc},
		{"read-only", `M proc /mnt/a proc $MS_RDONLY; (echo 1 >/mnt/a/sys/vm/swappiness) 2>&1 | grep -o 'Read-only.*'; cat /mnt/a/sys/vm/swappiness`, "ok\nRead-only file system\n60"},
		{"read-only by option", `M proc /mnt/a proc 0 ro; (echo 1 >/mnt/a/sys/vm/swappiness) 2>&1 | grep -o 'Read-only.*'`, "ok\nRead-only file system"},
		{"writable", `M proc /mnt/a proc; echo 61 >/mnt/a/sys/vm/swappiness; cat /proc/sys/vm/swappiness; echo -n 60 >/proc/sys/vm/swappiness`, "ok\n61"},
		{"flags", `M proc /mnt/a proc 0x40e; grep -o '/mnt/a [^ ]*' /proc/self/mountinfo`, "ok\n/mnt/a rw,nosuid,nodev,noexec,noatime"},
		{"strict atime", `M proc /mnt/a proc 0x1000400; grep -o '/mnt/a [^ ]*' /proc/self/mountinfo`, "ok\n/mnt/a rw"},
		{"magic flags", `M proc /mnt/a proc 0xc0ed0000; grep -o '/mnt/a [^ ]*' /proc/self/mountinfo`, "ok\n/mnt/a rw,relatime"},
		{"hidepid", `M proc /mnt/a proc 0 hidepid=2; ls -d /mnt/a/1; setpriv --reuid 7 --clear-groups ls -d /mnt/a/1 2>&1 | grep -o 'No such.*'`, "ok\n/mnt/a/1\nNo such file or directory"},
		{"a proc without a place for views", `M proc /mnt/a proc 0 subset=pid; M proc /mnt/a proc 0 hidepid=2,subset=pid`, "EINVAL\nEINVAL"},
		{"a group for hidepid", `M proc /mnt/a proc 0 hidepid=1,gid=5; grep -o '/mnt/a .*' /proc/self/mountinfo | grep -o 'gid=.*'`, "ok\ngid=2100000005,hidepid=noaccess"},
		{"wrong options", `for o in hidepid=9 nonsense hidepid subset=all gid=70000 pidns=/proc/1/ns/pid; do M proc /mnt/a proc 0 $o; done; M sysfs /mnt/a sysfs 0 hidepid=2`, strings.Repeat("EINVAL\n", 6) + "EINVAL"},
		{"no view can be taken away", `M proc /mnt/a proc; M none /mnt/a/meminfo '' $((MS_REMOUNT|MS_BIND)); M /mnt/a/meminfo /mnt/b '' $MS_MOVE; umount -l /mnt/a/meminfo 2>&1 | grep -c .; carries /mnt/a`, "ok\nEPERM\nEINVAL\n1\n" + sealedProc},
		{"moved", `M proc /mnt/a proc; M /mnt/a /mnt/b '' $MS_MOVE; carries /mnt/b`, "ok\nok\n" + sealedProc},
		{"bound", `M /proc /mnt/a '' $MS_BIND; carries /mnt/a; M /mnt/a/sys /mnt/b '' $MS_BIND; cat /mnt/b/vm/swappiness`, "ok\n" + sealedProc + "\nok\n60"},
		{"bound with all below", `M /proc /mnt/a '' $((MS_BIND|MS_REC)); carries /mnt/a`, "ok\n" + sealedProc},
		{"bound sysfs", `M /sys /mnt/a '' $MS_BIND; cat /mnt/a/kernel/fscaps`, "ok\nVIEW"},
		{"a bound part", `M /proc/sys/net /mnt/a '' $MS_BIND; ls -d /mnt/a/core; M /proc/meminfo /mnt/a '' $MS_BIND`, "ok\n/mnt/a/core\nENOTDIR"},
		{"what else is bound", `M /usr /mnt/a '' $MS_BIND; ls -d /mnt/a/bin; M /nowhere /mnt/a '' $MS_BIND; M /proc /mnt/nowhere '' $MS_BIND; M '' /mnt/a '' $MS_BIND`, "ok\n/mnt/a/bin\nENOENT\nENOENT\nEINVAL"},
		{"other file systems", `M tmpfs /mnt/a tmpfs; stat -f -c %T /mnt/a; M x /mnt/a nonsense; M x /mnt/a`, "ok\ntmpfs\nENODEV\nENODEV"},
		{"in another mount namespace", `unshare -m /bin/sh -c 'M() { /self "$@"; }; M proc /mnt/a proc; cat /mnt/a/meminfo'; ls /mnt/a`, "ok\nVIEW"},
		{"shared mounts", `M tmpfs /mnt/a tmpfs; mount --make-shared /mnt/a; mkdir /mnt/a/p; unshare -m --propagation unchanged /self proc /mnt/a/p proc; carries /mnt/a/p`, "ok\nok\n" + sealedProc},
	})
}

func TestWhereItIsMounted(t *testing.T) {
	runMountTests(t, newContainer(t, nil), []mountTest{
		{"a relative target", `M proc a proc; cat a/meminfo`, "ok\nVIEW"},
		{"dots", `mkdir -p /mnt/b/c; cd /mnt/b/c; M proc ./../../b/../a/. proc; cat /mnt/a/meminfo; cd /mnt/a; M proc . proc; umount -l /mnt/a; cat /mnt/a/meminfo; cd /mnt; rmdir b/c`, "ok\nVIEWok\nVIEW"},
		{"links in the middle and at the end", `ln -s /mnt /tmp/m; ln -s m/a /tmp/l; M proc /tmp/m/a proc; M proc /tmp/l proc; M proc /tmp/l/ proc; umount -l /mnt/a; umount -l /mnt/a; cat /mnt/a/meminfo; rm /tmp/m /tmp/l`, "ok\nok\nok\nVIEW"},
		{"a link without end", `ln -s l /tmp/l; M proc /tmp/l proc; rm /tmp/l`, "ELOOP"},
		{"nothing there", `M proc /mnt/nothing proc; M proc '' proc; M proc /mnt/a/b proc; ln -s nothing /tmp/l; M proc /tmp/l proc; rm /tmp/l`, "ENOENT\nENOENT\nENOENT\nENOENT"},
		{"no directory", `M proc /self proc; M proc /self/ proc; M proc /self/x proc; M sysfs /dev/null sysfs`, "ENOTDIR\nENOTDIR\nENOTDIR\nENOTDIR"},
		{"names that are too long", `M proc /mnt/` + strings.Repeat("x", 256) + ` proc; M proc /` + strings.Repeat("x/", 2050) + ` proc`, "ENAMETOOLONG\nENAMETOOLONG"},
		{"through /proc/self/fd", `export VIA=/proc/self/fd/%d; M proc @/mnt/a proc; cat /mnt/a/meminfo; VIA=/proc/self/fd/%d/; M proc @/mnt/a proc; VIA=/proc/self/fd/%d/../b; M proc @/mnt/a proc; cat /mnt/b/meminfo`, "ok\nVIEWok\nok\nVIEW"},
		{"through /proc/thread-self/fd", `export VIA=/proc/thread-self/fd/%d; M proc @/mnt/a proc; cat /mnt/a/meminfo`, "ok\nVIEW"},
		{"through /dev/fd", `export VIA=/dev/fd/%d; M proc @/mnt/a proc; cat /mnt/a/meminfo; VIA=/dev/fd/9%d; M proc @/mnt/a proc`, "ok\nVIEWENOENT"},
		{"through /proc/self/cwd and root", `cd /mnt/a; M proc /proc/self/cwd proc; M proc /proc/self/cwd/../b proc; M proc /proc/self/root/mnt/b proc; cat /mnt/a/meminfo; umount -l /mnt/b; cat /mnt/b/meminfo`, "ok\nok\nok\nVIEWVIEW"},
		{"through the root of another process", `M proc /proc/1/root/mnt/a proc; cat /mnt/a/meminfo`, "ok\nVIEW"},
		{"elsewhere below /proc/self", `M proc /proc/self/attr proc; M proc /proc/self/fd/x proc`, "ENOENT\nENOENT"},
		{"bound through /proc/self/fd", `export VIA=/proc/self/fd/%d; M /proc @/mnt/a '' $MS_BIND; cat /mnt/a/meminfo`, "ok\nVIEW"},
		{"in another root", `mount -t tmpfs x b; mkdir -p b/x b/proc b/usr; mount --rbind /usr b/usr; mount --rbind /proc b/proc; for l in bin lib lib64 sbin; do ln -s usr/$l b/$l; done; cp /self b/self; ln -s /x b/l
			chroot b /self proc /l proc; chroot b /self proc ../../../x proc; cat b/x/meminfo
			export VIA=/proc/self/fd/%d; chroot b /self proc @/x proc; umount -l b/x; umount -l b/x; umount -l b/x; ls b/x`, "ok\nok\nVIEWok"},
	})
}

func TestWhoMayMount(t *testing.T) {
	runMountTests(t, newContainer(t, nil), []mountTest{
		{"not without CAP_SYS_ADMIN", `setpriv --bounding-set -sys_admin /self proc /mnt/a proc; setpriv --bounding-set -sys_admin /self proc /mnt/nothing proc; setpriv --reuid 7 --clear-groups /self proc /mnt/a proc; setpriv --bounding-set -sys_admin /self /proc /mnt/a '' $MS_BIND`, "EPERM\nENOENT\nEPERM\nEPERM"},
		{"not below a directory that is not theirs", `mount -t tmpfs x b; mkdir -p b/p/d; chown 7 b/p; chmod 600 b/p; setpriv --bounding-set -dac_override,-dac_read_search /self proc b/p/d proc; M proc b/p/d proc`, "EACCES\nok"},
		{"a user with capabilities", `mount -t tmpfs x b; mkdir -p b/p/d; chmod 600 b/p; setpriv --reuid 7 --clear-groups --inh-caps +sys_admin,+dac_override --ambient-caps +sys_admin,+dac_override /self proc b/p/d proc; setpriv --reuid 7 --clear-groups --inh-caps +sys_admin --ambient-caps +sys_admin /self proc b/p/d proc`, "ok\nEACCES"},
		{"a user namespace with a pid namespace of its own", `unshare -Urmpf --mount-proc /bin/sh -c 'cat /proc/meminfo; echo; ls -d /proc/[0-9]* | head -1; umount /proc/meminfo 2>&1 | grep -c .'`, "VIEW\n/proc/1\n1"},
		{"not a user namespace without", `unshare -Urm /self proc /mnt/a proc; unshare -Urm /self sysfs /mnt/a sysfs`, "EPERM\nEPERM"},
		{"a user namespace with a network namespace of its own", `unshare -Urmn /bin/sh -c '/self sysfs /mnt/a sysfs; cat /mnt/a/kernel/fscaps'`, "ok\nVIEW"},
		{"a pid namespace of its own", `unshare -mpf --mount-proc /bin/sh -c 'cat /proc/meminfo; echo; ls -d /proc/[0-9]* | head -1'`, "VIEW\n/proc/1"},
		{"a user namespace in a user namespace", `unshare -Urmpf --mount-proc unshare -Urmpf --mount-proc /bin/sh -c 'cat /proc/meminfo; echo $$'`, "VIEW1"},
		{"from a user namespace, through a descriptor of the outside", `unshare -Urmpf /bin/sh -c 'export VIA=/proc/self/fd/%d; /self proc @/mnt/a proc; cat /mnt/a/meminfo'`, "ok\nVIEW"},
		{"not in the mounts of others", `exec 9</mnt/a; unshare -m /self proc /proc/self/fd/9 proc; ls /mnt/a`, "EINVAL"},
	})
}

func TestWhatIsReadOnlyStaysSo(t *testing.T) {
	c := newContainer(t, func(c *container) { c.facts.ProcReadOnly, c.facts.SysReadOnly = true, true })
	runMountTests(t, c, []mountTest{
		{"proc", `M proc /mnt/a proc; M none /mnt/a '' $((MS_REMOUNT|MS_BIND)); M none /mnt/a/sys/vm/swappiness '' $((MS_REMOUNT|MS_BIND)); (echo 1 >/mnt/a/sys/vm/swappiness) 2>&1 | grep -o 'Read-only.*'`, "ok\nEPERM\nEPERM\nRead-only file system"},
		{"sysfs", `M sysfs /mnt/a sysfs; M none /mnt/a '' $((MS_REMOUNT|MS_BIND)); (echo 1 >/mnt/a/kernel/profiling) 2>&1 | grep -o 'Read-only.*'`, "ok\nEPERM\nRead-only file system"},
	})
}

// An engine makes the network namespace on the host, where the container's root has no
// capabilities. Here it is that of a user namespace above the caller's.
func TestSysfsOfANetworkThatAnEngineHasMade(t *testing.T) {
	c := newContainer(t, func(c *container) { c.every = true })
	runMountTests(t, c, []mountTest{
		{"the container's", `unshare -Urm /bin/sh -c '/self sysfs /mnt/a sysfs; cat /mnt/a/kernel/fscaps; /self proc /mnt/a proc'`, "ok\nVIEWEPERM"},
		{"not without CAP_SYS_ADMIN", `unshare -Urm setpriv --bounding-set -sys_admin /self sysfs /mnt/a sysfs`, "EPERM"},
	})
	c = newContainer(t, func(c *container) { c.every, c.facts.Net = true, sys.FileID{} })
	runMountTests(t, c, []mountTest{{"another", `unshare -Urm /self sysfs /mnt/a sysfs`, "EPERM"}})
}
