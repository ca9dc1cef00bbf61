//go:build root

package fs

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
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

// startPeer makes a mount namespace that is a peer of this one. The returned
// function says what is mounted in it, and ends it.
func startPeer(t *testing.T) func() string {
	t.Helper()
	cmd := exec.Command("sh", "-c", "echo ready; read -r line; cat /proc/self/mountinfo")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		_ = cmd.Wait() // its output has been judged
	})
	out := bufio.NewReader(pipe)
	if line, err := out.ReadString('\n'); line != "ready\n" {
		t.Fatalf("peer says %q, %v", line, err)
	}
	return func() string {
		t.Helper()
		in.Close()
		mounts, err := io.ReadAll(out)
		if err != nil {
			t.Fatal(err)
		}
		return string(mounts)
	}
}
