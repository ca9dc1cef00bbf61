//go:build root

package fs

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"

	"cloister/internal/sys/systest/talk"
)

// A mount namespace that was made before the mount, and that gets every other
// mount below the same shared one, does not get this one.
func TestMountIsNotPropagated(t *testing.T) {
	base := t.TempDir()
	for _, mount := range []struct {
		fstype string
		flags  uintptr
	}{{"tmpfs", 0}, {"", unix.MS_PRIVATE}, {"", unix.MS_SHARED}} {
		if err := unix.Mount(mount.fstype, base, mount.fstype, mount.flags, ""); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		if err := unix.Unmount(base, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	views, other := filepath.Join(base, "views"), filepath.Join(base, "other")
	for _, dir := range []string{views, other} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}

	peerMounts := startPeer(t)
	if err := unix.Mount("tmpfs", other, "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	s, err := Mount(views, testFiles, renderFunc(hello), Options{})
	if err != nil {
		t.Fatal(err)
	}
	closeInCleanup(t, s)

	mounts, err := mountinfo.GetMountsFromReader(strings.NewReader(peerMounts()), mountinfo.PrefixFilter(base))
	if err != nil {
		t.Fatal(err)
	}
	types := map[string]string{}
	for _, m := range mounts {
		types[m.Mountpoint] = m.FSType
	}
	if types[other] != "tmpfs" {
		t.Fatalf("the peer does not get mounts at all: %v", types)
	}
	if types[views] == fsType {
		t.Errorf("the peer got the mount: %v", types)
	}
}

// Other users than root get to no directory of the views, where they could keep the
// server waiting, but to a file that they are given.
func TestDirectoriesAreRootsAlone(t *testing.T) {
	s := mountTest(t, renderFunc(hello))
	file := passable(t, bindFile(t, meminfo(s)))
	for command, want := range map[string]string{
		"ls " + s.dir:            "Permission denied",
		"ls " + s.Path(testSlot): "Permission denied",
		"cat " + meminfo(s):      "Permission denied",
		"cat " + file:            "7.3/proc/meminfo",
	} {
		cmd := exec.Command("sh", "-c", command+" 2>&1 || true")
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		if out, err := cmd.Output(); err != nil || !strings.Contains(string(out), want) {
			t.Errorf("%s: got %q, %v, want %q", command, out, err, want)
		}
	}
	var st unix.Stat_t
	if err := unix.Stat(s.dir, &st); err != nil || st.Mode != rootMode || st.Uid != 0 {
		t.Errorf("the root is %+v, %v", st, err)
	}
}

// startPeer makes a mount namespace that is a peer of this one. The returned
// function says what is mounted in it, and ends it.
func startPeer(t *testing.T) func() string {
	t.Helper()
	cmd := exec.Command("sh", "-c", "echo ready; read -r line; cat /proc/self/mountinfo")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	p := talk.Start(t, cmd)
	p.Hear("ready")
	return p.Rest
}
