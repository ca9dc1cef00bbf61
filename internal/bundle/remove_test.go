package bundle

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// deepTree makes directories in one another, with a file in each.
func deepTree(t *testing.T, dir string, depth int) {
	t.Helper()
	fd, err := unix.Open(dir, dirFlags, 0)
	for i := 0; i < depth && err == nil; i++ {
		var next int
		if err = unix.Mkdirat(fd, "1", 0o700); err != nil { // a name that the removal gives as well
			break
		}
		if next, err = unix.Openat(fd, "1", dirFlags, 0); err != nil {
			break
		}
		var file int
		if file, err = unix.Openat(next, "file", unix.O_CREAT|unix.O_WRONLY|unix.O_CLOEXEC, 0o600); err == nil {
			err = unix.Close(file)
		}
		_ = unix.Close(fd)
		fd = next
	}
	if err != nil {
		t.Fatal(err)
	}
	_ = unix.Close(fd)
}

// fewDescriptors lets this process have no more than a container's tree is deep.
func fewDescriptors(t *testing.T, n uint64) {
	t.Helper()
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	few := before
	few.Cur = n
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &few); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &before); err != nil {
			t.Error(err)
		}
	})
}

func TestRemove(t *testing.T) {
	outside := t.TempDir()
	for name, fill := range map[string]func(t *testing.T, dir string){
		"a bundle": func(t *testing.T, dir string) {
			if err := os.Remove(dir); err != nil {
				t.Fatal(err)
			}
			if err := Create(dir, host(t), &Options{Name: "web"}); err != nil {
				t.Fatal(err)
			}
		},
		"nothing": func(t *testing.T, dir string) {
			if err := os.Remove(dir); err != nil {
				t.Fatal(err)
			}
		},
		"deeper than descriptors": func(t *testing.T, dir string) {
			deepTree(t, dir, 2100) // longer than a path may be as well
			fewDescriptors(t, 200)
		},
		"wide": func(t *testing.T, dir string) {
			for i := range namesAtOnce + 1 {
				if err := os.MkdirAll(filepath.Join(dir, "rootfs", fmt.Sprint(i), "a"), 0o700); err != nil {
					t.Fatal(err)
				}
			}
		},
		"a link out of it": func(t *testing.T, dir string) {
			if err := os.Symlink(outside, filepath.Join(dir, "rootfs")); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "web")
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			fill(t, dir)
			if err := Remove(t.Context(), dir); err != nil {
				t.Fatal(err)
			}
			if _, err := os.Lstat(dir); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("still there: %v", err)
			}
		})
	}
	if _, err := os.Stat(outside); err != nil {
		t.Error(err)
	}
}

func TestRemoveIsInterrupted(t *testing.T) {
	dir := t.TempDir()
	deepTree(t, dir, 3)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Remove(ctx, dir); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "1/1/1/file")); err != nil {
		t.Errorf("it went on: %v", err)
	}
	if err := Remove(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
}
