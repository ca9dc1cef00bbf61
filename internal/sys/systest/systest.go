// Package systest gives tests mounts and namespaces of their own.
package systest

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"

	"cloister/internal/sys"
)

// Dir makes an empty directory that every user may search, and removes it after the
// test. It is on a disk: before Linux 6.3 a tmpfs can't be id-mapped.
func Dir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/var/tmp", "cloister-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	return dir
}

// InPrivateMounts calls f with a Dir on a thread with a mount namespace of its own,
// which ends with it. The test fails if f returns an error.
func InPrivateMounts(t *testing.T, f func(dir string) error) {
	t.Helper()
	dir := Dir(t)
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		done <- errors.Join(sys.UnshareMounts(), sys.MakeRecursiveSlave("/"), f(dir))
	}()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// Process starts a process in new namespaces, with the given ids in a user namespace
// if one is among them. It ends with the test, also with one that is killed.
func Process(t *testing.T, flags uintptr, firstID int) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("cat")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: flags}
	if flags&sys.NewUser != 0 {
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: firstID, Size: 65536}}
		cmd.SysProcAttr.GidMappings = cmd.SysProcAttr.UidMappings
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // killed
	})
	return cmd
}
