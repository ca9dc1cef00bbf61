//go:build root

package fs

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
)

// mountDir returns a new directory that every user may pass through. What is
// mounted there when the test ends is an error, and is unmounted.
func mountDir(tb testing.TB) string {
	tb.Helper()
	dir := tb.TempDir()
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		for _, m := range mountsAt(tb, dir) {
			tb.Errorf("left behind: %s at %s", m.FSType, dir)
			if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
				tb.Error(err)
			}
		}
	})
	return dir
}

func mountsAt(tb testing.TB, dir string) []*mountinfo.Info {
	tb.Helper()
	mounts, err := mountinfo.GetMounts(func(m *mountinfo.Info) (skip, stop bool) { return m.Mountpoint != dir, false })
	if err != nil {
		tb.Fatal(err)
	}
	return mounts
}

// mountTest serves testFiles with one slot until the test ends.
func mountTest(tb testing.TB, c Content) *Server {
	tb.Helper()
	return mountWith(tb, c, Options{})
}

func mountWith(tb testing.TB, c Content, opts Options) *Server {
	tb.Helper()
	opts.Panicked = func(where string, v any, stack []byte) { tb.Errorf("panic in %s: %v\n%s", where, v, stack) }
	s, err := Mount(mountDir(tb), testFiles, c, opts)
	if err != nil {
		tb.Fatal(err)
	}
	closeInCleanup(tb, s)
	addTestSlot(tb, s)
	return s
}

func closeInCleanup(tb testing.TB, s *Server) {
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Errorf("close: %v", err)
		}
	})
}

func addTestSlot(tb testing.TB, s *Server) {
	tb.Helper()
	if err := s.Add(testSlot, testOwner); err != nil {
		tb.Fatal(err)
	}
	settlePoll(tb, s)
}

// settlePoll has the kernel learn that poll(2) isn't served. The runtime asks
// epoll about files that it opens without giving up its P, and the server in
// this process might be left without one to answer with.
func settlePoll(tb testing.TB, s *Server) {
	tb.Helper()
	fd, err := unix.Open(filepath.Join(s.Path(testSlot), "proc/sys/kernel/domainname"), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		tb.Fatal(err)
	}
	defer unix.Close(fd)
	if _, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, -1); err != nil {
		tb.Fatal(err)
	}
}

func meminfo(s *Server) string { return filepath.Join(s.Path(testSlot), "proc/meminfo") }

func open(tb testing.TB, path string) *os.File {
	tb.Helper()
	f, err := os.Open(path)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { f.Close() })
	return f
}

// bindFile makes a bind mount of file, as a container gets it.
func bindFile(tb testing.TB, file string) string {
	tb.Helper()
	target := filepath.Join(tb.TempDir(), filepath.Base(file))
	if err := os.WriteFile(target, nil, 0o600); err != nil {
		tb.Fatal(err)
	}
	if err := unix.Mount(file, target, "", unix.MS_BIND, ""); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := unix.Unmount(target, unix.MNT_DETACH); err != nil {
			tb.Error(err)
		}
	})
	return target
}

// passable lets every user pass to a file in a directory of the test's.
func passable(tb testing.TB, file string) string {
	tb.Helper()
	for dir := filepath.Dir(file); dir != filepath.Clean(os.TempDir()) && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			tb.Fatal(err)
		}
	}
	return file
}
