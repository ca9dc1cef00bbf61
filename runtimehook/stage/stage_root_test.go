//go:build root

package stage_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"cloister/internal/sys"
	"cloister/internal/sys/systest"
	"cloister/runtimehook/hostpath"
	"cloister/runtimehook/idrange"
	"cloister/runtimehook/stage"
)

var ids = idrange.Range{Start: 2_100_000_000, Size: idrange.Size}

// host is a directory on disk with an area in it, in private mounts.
type host struct {
	dir    string
	mounts *hostpath.Table
	area   *stage.Area
}

// inHost makes the given directories, calls prepare, opens an area and calls f.
func inHost(t *testing.T, dirs []string, prepare func(dir string) error, f func(h *host) error) {
	t.Helper()
	systest.InPrivateMounts(t, func(dir string) (err error) {
		for _, d := range append(dirs, filepath.Join("area", stage.RootfsDir)) {
			if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
				return err
			}
		}
		if err := prepare(dir); err != nil {
			return err
		}
		h := &host{dir: dir}
		if h.mounts, err = hostpath.ReadTable(); err != nil {
			return err
		}
		if h.area, err = stage.Open(filepath.Join(dir, "area"), &ids, h.mounts); err != nil {
			return err
		}
		return errors.Join(f(h), h.area.Close())
	})
}

func nothing(string) error { return nil }

func (h *host) path(name string) string { return filepath.Join(h.dir, name) }

func (h *host) rootfs(name string) (path string, root *stage.Root, err error) {
	f, err := h.mounts.Open(h.path(name))
	if err != nil {
		return "", nil, err
	}
	defer f.Close()
	if root, err = stage.NewRoot(h.mounts, f); err != nil {
		return "", nil, err
	}
	path, err = h.area.Rootfs(root, ids, "7.1")
	return path, root, err
}

func (h *host) bind(i int, source string, b stage.Bind) (path string, options []string, err error) {
	if b.Source, err = h.mounts.Open(source); err != nil {
		return "", nil, err
	}
	defer b.Source.Close()
	return h.area.Bind(i, b)
}

// asContainer does something as a user of the container's, with the capabilities
// of the host's root.
func asContainer(uid uint32, f func() error) error {
	return sys.AsFSUser(ids.Start+uid, ids.Start+uid, f)
}

// An engine's overlay is staged over the same layers, and what the container writes
// is on disk as the engine would have written it.
func TestOverlayIsRebuilt(t *testing.T) {
	dirs := []string{"d/lower", "d/c/diff", "d/c/work", "d/c/merged"}
	prepare := func(dir string) error {
		lower := filepath.Join(dir, "d/lower")
		return errors.Join(
			os.WriteFile(filepath.Join(lower, "root"), []byte("1"), 0o644),
			os.WriteFile(filepath.Join(lower, "user"), []byte("2"), 0o600),
			os.Chown(filepath.Join(lower, "user"), 1000, 1000),
			os.WriteFile(filepath.Join(lower, "gone"), nil, 0o644),
			sys.MountOverlay(filepath.Join(dir, "d/c/merged"), fmt.Sprintf("lowerdir=%[1]s/d/lower,upperdir=%[1]s/d/c/diff,workdir=%[1]s/d/c/work", dir)),
		)
	}
	inHost(t, dirs, prepare, func(h *host) error {
		path, root, err := h.rootfs("d/c/merged")
		if err != nil {
			return err
		}
		wantOwner(t, filepath.Join(path, "root"), ids.Start)
		wantOwner(t, filepath.Join(path, "user"), ids.Start+1000)
		err = errors.Join(
			asContainer(0, func() error { return os.Chmod(filepath.Join(path, "user"), 0o640) }), // copies up
			asContainer(0, func() error { return os.WriteFile(filepath.Join(path, "new"), nil, 0o600) }),
			asContainer(0, func() error { return os.Remove(filepath.Join(path, "gone")) }),
			asContainer(0, func() error { return os.Mkdir(filepath.Join(path, "dir"), 0o755) }),
		)
		if err != nil {
			return err
		}
		wantOwner(t, h.path("d/c/diff/user"), 1000)
		wantOwner(t, h.path("d/c/diff/new"), 0)
		wantOwner(t, h.path("d/c/diff/dir"), 0)
		if st, err := sys.StatPath(h.path("d/c/diff/gone")); err != nil || st.Type() != unix.S_IFCHR || st.Rdev != 0 {
			t.Errorf("removed file on disk: %+v, %v, want a whiteout", st, err)
		}
		wantOwner(t, h.path("d/lower/user"), 1000)

		work := stage.WorkDir(root.UpperDir(), "7.1")
		if filepath.Dir(work) != h.path("d/c") {
			t.Errorf("work directory: got %s, want one beside the upper directory", work)
		}
		if err := stage.RemoveWorkDir(work); err != nil {
			return err
		}
		if left, err := os.ReadDir(h.path("d/c")); err != nil || len(left) != 3 {
			t.Errorf("beside the upper directory is left: %v, %v", left, err)
		}
		return nil
	})
}

func TestRemoveWorkDirRemovesNothingElse(t *testing.T) {
	dir := t.TempDir()
	for _, path := range []string{dir, filepath.Join(dir, "work"), "work.cloister-1", "/"} {
		if err := stage.RemoveWorkDir(path); err == nil {
			t.Errorf("%s was removed", path)
		}
	}
}

// A plain directory is cloned, and device nodes in it can't be used.
func TestDirectoryAsRoot(t *testing.T) {
	prepare := func(dir string) error {
		return os.Chown(filepath.Join(dir, "root/etc"), 0, 5)
	}
	inHost(t, []string{"root/etc"}, prepare, func(h *host) error {
		path, root, err := h.rootfs("root")
		if err != nil {
			return err
		}
		if root.UpperDir() != "" {
			t.Errorf("upper directory of a directory: %s", root.UpperDir())
		}
		wantOwner(t, filepath.Join(path, "etc"), ids.Start)
		r, err := sys.MountRestrictions(path)
		if err != nil {
			return err
		}
		if got := strings.Join(r.Options(), " "); got != "nodev" {
			t.Errorf("restrictions: got %q, want nodev", got)
		}
		return nil
	})
}

func TestBinds(t *testing.T) {
	tests := []struct {
		name     string
		bind     stage.Bind
		below    bool // what is mounted below the source comes along
		readOnly bool
		allBelow bool // read-only below as well
	}{
		{"writable", stage.Bind{}, false, false, false},
		{"recursive", stage.Bind{Recursive: true}, true, false, false},
		{"read-only", stage.Bind{Recursive: true, ReadOnly: true}, true, true, false},
		{"recursively read-only", stage.Bind{Recursive: true, ReadOnly: true, RecursiveReadOnly: true}, true, true, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			prepare := func(dir string) error {
				return errors.Join(
					sys.BindOnto(filepath.Join(dir, "other"), filepath.Join(dir, "volume/sub")),
					os.WriteFile(filepath.Join(dir, "other/file"), nil, 0o644),
				)
			}
			inHost(t, []string{"volume/sub", "other"}, prepare, func(h *host) error {
				path, _, err := h.bind(3, h.path("volume"), tt.bind)
				if err != nil {
					return err
				}
				if err := h.area.Seal(); err != nil {
					return err
				}
				wantOwner(t, path, ids.Start)
				_, err = os.Stat(filepath.Join(path, "sub/file"))
				if came := err == nil; came != tt.below {
					t.Errorf("the mount below came along: %v, want %v", came, tt.below)
				}
				wantWritable(t, path, !tt.readOnly)
				if tt.below {
					wantWritable(t, filepath.Join(path, "sub"), !tt.allBelow)
				}
				return nil
			})
		})
	}
}

// wantWritable tries to write in a directory, and to make its mount writable first.
func wantWritable(t *testing.T, dir string, want bool) {
	t.Helper()
	attr := &unix.MountAttr{Attr_clr: unix.MOUNT_ATTR_RDONLY}
	if err := unix.MountSetattr(unix.AT_FDCWD, dir, 0, attr); errors.Is(err, unix.EPERM) == want {
		t.Errorf("%s: make it writable: %v, want success %v", dir, err, want)
	}
	err := asContainer(0, func() error { return os.WriteFile(filepath.Join(dir, "written"), nil, 0o600) })
	if err != nil && !errors.Is(err, unix.EROFS) || (err == nil) != want {
		t.Errorf("%s: write: %v, want success %v", dir, err, want)
	}
}

// What is mounted on the host later stays there: it would be neither shifted nor
// read-only.
func TestLaterMountsDoNotArrive(t *testing.T) {
	prepare := func(dir string) error {
		volume := filepath.Join(dir, "volume")
		return errors.Join(sys.BindOnto(volume, volume), sys.Mount("", volume, "", unix.MS_SHARED, ""))
	}
	inHost(t, []string{"volume/sub", "other"}, prepare, func(h *host) error {
		path, _, err := h.bind(0, h.path("volume"), stage.Bind{Recursive: true, ReadOnly: true})
		if err != nil {
			return err
		}
		if err := errors.Join(h.area.Seal(), os.WriteFile(h.path("other/file"), nil, 0o644)); err != nil {
			return err
		}
		if err := sys.BindOnto(h.path("other"), h.path("volume/sub")); err != nil {
			return err
		}
		if _, err := os.Stat(filepath.Join(path, "sub/file")); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the later mount is in the staged one: %v", err)
		}
		return nil
	})
}

// A bind of the engine's own is locked as well: devices in it can't be opened.
func TestEngineOwnedBindsAreLocked(t *testing.T) {
	inHost(t, []string{"volume"}, nothing, func(h *host) error {
		path, options, err := h.bind(0, h.path("volume"), stage.Bind{EngineOwned: true})
		if err != nil {
			return err
		}
		if err := h.area.Seal(); err != nil {
			return err
		}
		if got := strings.Join(options, " "); got != "nodev" {
			t.Errorf("options: got %q, want nodev", got)
		}
		attr := &unix.MountAttr{Attr_clr: unix.MOUNT_ATTR_NODEV}
		if err := unix.MountSetattr(unix.AT_FDCWD, path, 0, attr); !errors.Is(err, unix.EPERM) {
			t.Errorf("nodev was taken away: %v", err)
		}
		return nil
	})
}

func TestFileSystemThatCannotBeMapped(t *testing.T) {
	inHost(t, nil, nothing, func(h *host) error {
		_, _, err := h.bind(0, "/proc/sys/kernel", stage.Bind{})
		var unmappable *stage.UnmappableError
		if !errors.As(err, &unmappable) || unmappable.FSType != "proc" {
			t.Fatalf("got %v, want an UnmappableError for proc", err)
		}
		for _, want := range []string{"/proc/sys/kernel", "on proc", "use a directory on ext4"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%q does not say %q", err, want)
			}
		}
		return nil
	})
}

func TestClearLeavesNothing(t *testing.T) {
	inHost(t, []string{"root", "volume"}, nothing, func(h *host) error {
		if _, _, err := h.rootfs("root"); err != nil {
			return err
		}
		if _, _, err := h.bind(0, h.path("volume"), stage.Bind{ReadOnly: true}); err != nil {
			return err
		}
		for range 2 { // the second time there is nothing to clear
			if err := stage.Clear(h.path("area")); err != nil {
				return err
			}
		}
		now, err := hostpath.ReadTable()
		if err != nil {
			return err
		}
		area, err := now.Open(h.path("area"))
		if err != nil {
			return err
		}
		defer area.Close()
		if left := now.Below(area); len(left) > 0 {
			t.Errorf("still mounted: %+v", left)
		}
		return nil
	})
}

func wantOwner(t *testing.T, path string, want uint32) {
	t.Helper()
	info, err := os.Lstat(path)
	if err != nil {
		t.Error(err)
		return
	}
	if uid := info.Sys().(*syscall.Stat_t).Uid; uid != want {
		t.Errorf("owner of %s: got %d, want %d", path, uid, want)
	}
}
