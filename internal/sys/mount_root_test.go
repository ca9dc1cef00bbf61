//go:build root

package sys_test

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"cloister/internal/sys"
	"cloister/internal/sys/systest"
)

const firstID = 2_100_000_000

func TestIDMappedMountShiftsOwnersBothWays(t *testing.T) {
	systest.InPrivateMounts(t, func(dir string) error {
		source, target := filepath.Join(dir, "source"), filepath.Join(dir, "target")
		if err := errors.Join(os.Mkdir(source, 0o755), os.Mkdir(target, 0o755)); err != nil {
			return err
		}
		ns, err := sys.NewUserNamespace(firstID, 65536)
		if err != nil {
			return err
		}
		defer ns.Close()
		tree, err := sys.ClonePath(source, false)
		if err != nil {
			return err
		}
		defer tree.Close()
		if err := errors.Join(tree.IDMap(ns.FD, false), tree.MoveTo(target)); err != nil {
			return err
		}
		if uid := owner(t, target); uid != firstID {
			t.Errorf("owner of the mount: got %d, want %d", uid, firstID)
		}
		err = sys.AsFSUser(firstID+33, firstID+33, func() error { return os.WriteFile(filepath.Join(target, "file"), nil, 0o600) })
		if err != nil {
			return err
		}
		if uid := owner(t, filepath.Join(source, "file")); uid != 33 {
			t.Errorf("owner on disk: got %d, want 33", uid)
		}
		return nil
	})
}

// What was cloned from locked mounts stays read-only, for root as well.
func TestLockedMounts(t *testing.T) {
	systest.InPrivateMounts(t, func(dir string) error {
		if err := sys.BindOnto(dir, dir); err != nil {
			return err
		}
		if err := unix.MountSetattr(unix.AT_FDCWD, dir, 0, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY}); err != nil {
			return err
		}
		open, err := sys.ClonePath(dir, false)
		if err != nil {
			return err
		}
		defer open.Close()
		if err := clearReadOnly(open); err != nil {
			t.Errorf("a mount of our own: %v", err)
		}

		ns, err := sys.NewLockedMounts()
		if err != nil {
			return err
		}
		defer ns.Close()
		var locked *sys.Tree
		err = sys.InMounts(ns, func() (err error) { locked, err = sys.ClonePath(dir, false); return err })
		if err != nil {
			return err
		}
		defer locked.Close()
		if err := clearReadOnly(locked); !errors.Is(err, unix.EPERM) {
			t.Errorf("a locked mount was made writable: %v", err)
		}
		return nil
	})
}

func TestBeneathNothingLeadsOut(t *testing.T) {
	dir := t.TempDir()
	if err := errors.Join(
		os.Mkdir(filepath.Join(dir, "proc"), 0o755),
		os.WriteFile(filepath.Join(dir, "proc/file"), nil, 0o600),
		os.Symlink("/etc/passwd", filepath.Join(dir, "link")),
		os.Symlink("/etc", filepath.Join(dir, "absolute")),
		os.Symlink("../../../../etc", filepath.Join(dir, "up")),
	); err != nil {
		t.Fatal(err)
	}
	root, err := sys.OpenPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	f, err := sys.OpenBeneathPath(root, "proc/file")
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	link, err := sys.OpenBeneathPath(root, "link")
	if err != nil {
		t.Fatal(err)
	}
	defer link.Close()
	if st, err := link.Stat(); err != nil || st.Type() != unix.S_IFLNK {
		t.Errorf("a link at the end was followed: %+v, %v", st, err)
	}
	for _, path := range []string{"absolute/passwd", "up/passwd", "../" + filepath.Base(dir) + "/proc/file", "/etc/passwd"} {
		if f, err := sys.OpenBeneathPath(root, path); err == nil {
			f.Close()
			t.Errorf("%s was opened", path)
		}
	}
}

func clearReadOnly(tree *sys.Tree) error {
	return unix.MountSetattr(tree.Int(), "", unix.AT_EMPTY_PATH, &unix.MountAttr{Attr_clr: unix.MOUNT_ATTR_RDONLY})
}

func owner(t *testing.T, path string) uint32 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Sys().(*syscall.Stat_t).Uid
}
