//go:build root

package fs

import (
	"errors"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

func TestCloseWithOpenFiles(t *testing.T) {
	s := mountTest(t, renderFunc(hello))
	bound := bindFile(t, meminfo(s))
	kept := open(t, meminfo(s))
	for range 2 {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	<-s.Done()
	if _, err := kept.Read(make([]byte, 3)); !errors.Is(err, unix.ENOTCONN) {
		t.Errorf("read of an open file: got %v, want ENOTCONN", err)
	}
	if err := openClose(bound, unix.O_RDONLY); !errors.Is(err, unix.ENOTCONN) {
		t.Errorf("open through a bind mount: got %v, want ENOTCONN", err)
	}
	if entries, err := os.ReadDir(s.dir); err != nil || len(entries) != 0 {
		t.Errorf("%s has %v, %v, want the empty directory it was", s.dir, entries, err)
	}
	s.Remove(testSlot)
}

// A reader in wait gets its error while the render it waits for still runs.
func TestCloseDuringARender(t *testing.T) {
	started, release := make(chan struct{}), make(chan struct{})
	s := mountTest(t, renderFunc(func(dst []byte, _ Slot, file int) ([]byte, error) {
		if testFiles[file].Path == "proc/meminfo" {
			close(started)
			<-release
		}
		return dst, nil
	}))
	reader, closed := make(chan error), make(chan error)
	go func() {
		_, err := os.ReadFile(meminfo(s))
		reader <- err
	}()
	<-started
	go func() { closed <- s.Close() }()
	if err := <-reader; !errors.Is(err, unix.ECONNABORTED) {
		t.Errorf("reader: got %v, want ECONNABORTED", err)
	}
	close(release)
	if err := <-closed; err != nil {
		t.Error(err)
	}
}

func TestUnmountedFromOutside(t *testing.T) {
	s := mountTest(t, renderFunc(hello))
	if err := unix.Unmount(s.dir, unix.MNT_DETACH); err != nil {
		t.Fatal(err)
	}
	<-s.Done()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// Close can't abort what has no mount point left, and says so instead of waiting.
func TestUnmountedFromOutsideWithBindMounts(t *testing.T) {
	s, err := Mount(mountDir(t), testFiles, renderFunc(hello), Options{})
	if err != nil {
		t.Fatal(err)
	}
	addTestSlot(t, s)
	bindFile(t, meminfo(s))
	if err := unix.Unmount(s.dir, unix.MNT_DETACH); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err == nil {
		t.Error("no error")
	}
}

// A render that doesn't end keeps nobody from closing, and may use what it has.
func TestCloseWithARenderThatIsStuck(t *testing.T) {
	started, release := make(chan struct{}), make(chan struct{})
	s, err := Mount(mountDir(t), testFiles, renderFunc(func(dst []byte, _ Slot, file int) ([]byte, error) {
		if testFiles[file].Path == "proc/meminfo" {
			close(started)
			<-release
		}
		return append(dst, "late"...), nil
	}), Options{})
	if err != nil {
		t.Fatal(err)
	}
	addTestSlot(t, s)
	s.dev.patience = 0
	reader := make(chan error)
	go func() {
		_, err := os.ReadFile(meminfo(s))
		reader <- err
	}()
	<-started
	if err := s.Close(); err == nil {
		t.Error("close says that all has ended")
	}
	if err := <-reader; !errors.Is(err, unix.ECONNABORTED) {
		t.Errorf("reader: got %v, want ECONNABORTED", err)
	}
	close(release)
	<-s.Done()
}
