//go:build hostile

package hostile

import (
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// attack is a known one, that a container makes alone.
type attack struct {
	id, what string
	kind     kind
	row      row
	// harmful is what a plain runtime is known to answer, if it is not tried because it
	// could harm the host.
	harmful string
}

// refused are the answers to what the kernel does not allow.
const refused = "EPERM|EACCES|EROFS"

// gone are those where, besides, there is no such thing.
const gone = refused + "|ENOENT|ENOSYS|ENODEV"

// markerText is what a file of the host's says.
const markerText = "a secret of the host\n"

// marker is a file of the host's that no container may read.
func marker() string { return filepath.Join(world.Dir, "marker") }

// attacks are those that are made within a container. Words in braces are this host's:
// see hostWords.
var attacks = []attack{
	{id: "T2", what: "CVE-2022-0492: release_agent from a user namespace", kind: unconfined, row: row{steps: "enter userns+cgroup; mkdir P; cgroup P pids; append P/release_agent", want: "*; " + gone}},
	{id: "T3", what: "release_agent with CAP_SYS_ADMIN", kind: privileged, row: row{steps: "mkdir P; cgroup P pids; append P/release_agent", want: "*; " + gone}},
	{id: "T4", what: "core_pattern, a program that runs as the host's root", kind: privileged, row: row{steps: "append /proc/sys/kernel/core_pattern", want: refused}},
	{id: "T4", what: "the same through a proc of one's own", kind: privileged, row: row{steps: "mkdir P; new proc P; append P/sys/kernel/core_pattern", want: "ok|EPERM; " + gone}},
	{id: "T5", what: "modprobe, a program that runs as the host's root", kind: privileged, row: row{steps: "append /proc/sys/kernel/modprobe", want: gone}},
	{id: "T5", what: "uevent_helper, likewise", kind: privileged, row: row{steps: "append /sys/kernel/uevent_helper", want: gone}},
	{id: "T5", what: "settings of the host's memory and interrupts", kind: privileged, row: row{steps: "append /proc/sys/vm/overcommit_memory; append /proc/sys/vm/swappiness; append /proc/irq/default_smp_affinity", want: gone + "; " + gone + "; " + gone}},
	{id: "T6", what: "sysrq-trigger", kind: privileged, row: row{steps: "append /proc/sysrq-trigger", want: gone}},
	{id: "T13", what: "a read-only volume made writable", kind: privileged, row: row{steps: "clear ro /ro; write /ro", want: "EPERM; EROFS"}},
	{id: "T13", what: "the same by mount_setattr", kind: privileged, row: row{steps: "api setattr; clear ro /ro; write /ro", want: "EPERM; EROFS"}},
	{id: "T13", what: "the same on a copy", kind: privileged, row: row{steps: "mkdir P; bind /ro P; clear ro P; write P; detach P", want: "ok; EPERM; EROFS; ok"}},
	{id: "T13", what: "the same by i386", kind: privileged, row: row{steps: "api i386; clear ro /ro; write /ro", want: "EPERM; EROFS"}},
	{id: "T14", what: "what is over proc is unmounted", kind: privileged, row: row{steps: "umount /proc/meminfo; total /proc/meminfo", want: "EINVAL; " + memoryKiB}},
	{id: "T14", what: "a proc without anything over it", kind: privileged, row: row{steps: "mkdir P; new proc P; total P/meminfo; detach P", want: "ok; " + memoryKiB + "; ok"}},
	{id: "T14", what: "the same by fsopen", kind: privileged, row: row{steps: "detached", want: gone}},
	{id: "T14", what: "the same by open_tree", kind: privileged, row: row{steps: "clone /proc", want: "EINVAL|EPERM"}},
	{id: "T14", what: "the same by a copy", kind: privileged, row: row{steps: "mkdir P; bind /proc P; total P/meminfo; detach P", want: "ok; " + memoryKiB + "; ok"}},
	{id: "T14", what: "the same in a nested user namespace", kind: privileged, row: row{steps: "enter userns+pid; mkdir P; new proc P; total P/meminfo", want: "ok|EPERM; " + memoryKiB + "|ENOENT"}},
	{id: "T14", what: "sysinfo(2), which no mount can cover", kind: stock, row: row{steps: "sysinfo; sysinfo i386", want: memoryKiB + "; " + memoryKiB}},
	{id: "T15", what: "the i386 way to a proc without anything over it", kind: privileged, row: row{steps: "mkdir P; api i386; new proc P; total P/meminfo; detach P", want: "ok; " + memoryKiB + "; ok"}},
	{id: "T15", what: "the hypervisor through AF_VSOCK", kind: privileged, row: row{steps: "vsock", want: "EPERM|EACCES|EAFNOSUPPORT"}},
	{id: "T15", what: "the same by i386's socketcall, which no filter sees into", kind: privileged, row: row{steps: "vsock386", want: "*"}},
	{id: "T15", what: "the same by i386's socket", kind: privileged, row: row{steps: "vsock386 direct", want: "EPERM|EACCES|EAFNOSUPPORT|ENOSYS"}},
	{id: "T17", what: "a node of the host's disk", kind: privileged, row: row{steps: "mknod /tmp/d b 254 0; open /tmp/d", want: "EPERM; ENOENT"}},
	{id: "T17", what: "a node that is in the image", kind: privileged, row: row{steps: "open /opt/disk", want: "EACCES|EPERM"}},
	{id: "T18", what: "BPF maps of the whole host", kind: privileged, row: row{steps: "bpf", want: "EPERM"}},
	{id: "T18", what: "events of the whole host", kind: privileged, row: row{steps: "perf", want: refused}},
	{id: "T18", what: "the kernel's log", kind: privileged, row: row{steps: "syslog 3", want: "empty|EPERM"}},
	{id: "T18", what: "process accounting", kind: privileged, row: row{steps: "acct", want: "EPERM|ENOSYS"}},
	{id: "T18", what: "swap", kind: privileged, row: row{steps: "swapon; swapoff", want: "EPERM|ENOSYS; EPERM|ENOSYS"}},
	{id: "T18", what: "the clock", kind: privileged, row: row{steps: "settime", want: "EPERM"}},
	{id: "T19", what: "a kernel module", kind: privileged, row: row{steps: "insmod", want: "EPERM|ENOSYS"}},
	{id: "T19", what: "another kernel", kind: privileged, row: row{steps: "kexec", want: "EPERM|ENOSYS"}, harmful: "allowed where the kernel has it; it would unload the host's crash kernel"},
	{id: "T19", what: "I/O ports", kind: privileged, row: row{steps: "iopl", want: "EPERM|ENOSYS"}},
	{id: "T20", what: "open_by_handle_at out of a volume", kind: privileged, row: row{steps: "handle /ro {MARKER}", want: "EPERM|ESTALE"}},
	{id: "T30", what: "the container's own memory limit", kind: privileged, row: row{steps: "put {MEMORY} 300m", want: gone}},
	{id: "T31", what: "a file system's options from a user namespace", kind: stock, row: row{steps: "fsopen ext4", want: gone}},
	{id: "T31", what: "the same with CAP_SYS_ADMIN", kind: privileged, row: row{steps: "fsopen ext4", want: gone}},
	{id: "T32", what: "the host's boot id", kind: privileged, row: row{steps: "read /proc/sys/kernel/random/boot_id", want: "!{BOOT}"}},
	{id: "T32", what: "kernel keys of others", kind: privileged, row: row{steps: "shows /proc/keys", want: "empty|" + gone}},
	{id: "T32", what: "the machine's id and its power", kind: privileged, row: row{steps: "shows /sys/class/dmi/id/product_uuid; names /sys/devices/virtual/powercap", want: "empty|" + gone + "; 0|" + gone}},
	{id: "T32", what: "the host's memory through kcore", kind: privileged, row: row{steps: "shows /proc/kcore", want: "empty|" + gone}},
}

// hostWords returns what stands in for words in braces: the handle of a file of the host's,
// the host's boot id, and the file with a container's memory limit.
func hostWords(t *testing.T) *strings.Replacer {
	t.Helper()
	if err := os.WriteFile(marker(), []byte(markerText), 0o644); err != nil {
		t.Fatal(err)
	}
	handle, _, err := unix.NameToHandleAt(unix.AT_FDCWD, marker(), 0)
	if err != nil {
		t.Fatal(err)
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		t.Fatal(err)
	}
	memory := "/sys/fs/cgroup/memory.max"
	if _, err := os.Stat("/sys/fs/cgroup/memory"); err == nil {
		memory = "/sys/fs/cgroup/memory/memory.limit_in_bytes"
	}
	return strings.NewReplacer(
		"{MARKER}", fmt.Sprintf("%d %s", handle.Type(), hex.EncodeToString(handle.Bytes())),
		"{BOOT}", strings.TrimSpace(string(boot)), "{MEMORY}", memory,
	)
}

// ofKind returns the attacks on a kind of container, and their rows.
func ofKind(t *testing.T, k kind, unprotected bool) (some []*attack, rows []row) {
	t.Helper()
	words := hostWords(t)
	for i, a := range attacks {
		if a.kind == k && (!unprotected || a.harmful == "") {
			some = append(some, &attacks[i])
			rows = append(rows, row{a.id + ", " + a.what, words.Replace(inDirectories(a.row.steps)), words.Replace(a.row.want)})
		}
	}
	return some, rows
}

var attackKinds = []kind{stock, unconfined, privileged}

// TestAttacks: what a container can try alone.
func TestAttacks(t *testing.T) {
	eachEngine(t, func(t *testing.T, e engine) {
		_, byDocker := e.(docker)
		for _, k := range attackKinds {
			some, rows := ofKind(t, k, false)
			for i, got := range ask(t, e, k, rows) {
				if !matches(got, rows[i].want) {
					t.Errorf("%s, %s\n%s\ngot  %s\nwant %s", k, rows[i].name, rows[i].steps, got, rows[i].want)
				}
				if byDocker {
					report.ours(some[i].id, some[i].what, some[i].command(), got)
				}
			}
		}
	})
	t.Run("a plain runtime", func(t *testing.T) {
		needDocker(t)
		for _, k := range attackKinds {
			some, rows := ofKind(t, k, true)
			for i, got := range ask(t, plainly(k), k, rows) {
				report.plain(some[i].id, some[i].what, got)
			}
		}
		for _, a := range attacks {
			if a.harmful != "" {
				report.plain(a.id, a.what, "not tried: "+a.harmful)
			}
		}
	})
}

// plainly is what runs a kind of container unprotected. Docker's privileged ones want
// capabilities that this host may not have.
func plainly(k kind) engine {
	if k == privileged {
		return plain{}
	}
	return docker{"runc"}
}

// command is how the attack is shown.
func (a *attack) command() string {
	steps := strings.NewReplacer("{MARKER}", "HANDLE", "{MEMORY}", "memory.max").Replace(inDirectories(a.row.steps))
	return strings.TrimSpace(strings.Join(kinds[a.kind], " ") + " … " + steps)
}
