//go:build root

package stage_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"cloister/runtimehook/idrange"
	"cloister/runtimehook/stage"
)

// readOnlyRoot stages a root file system with links as a read-only one, and says what has
// to be made in it.
func readOnlyRoot(t *testing.T, links map[string]string, points func(h *host) []stage.MountPoint, owner idrange.Range, locked bool, want ...string) {
	t.Helper()
	prepare := func(dir string) error {
		errs := []error{os.WriteFile(filepath.Join(dir, "root/etc/there"), []byte("as it was"), 0o640)}
		for name, to := range links {
			errs = append(errs, os.Symlink(to, filepath.Join(dir, name)))
		}
		return errors.Join(errs...)
	}
	inHost(t, []string{"root/etc", "root/var", "root/copied", "volume"}, prepare, func(h *host) error {
		before := files(t, h.path("root"))
		path, _, err := h.rootfs("root")
		if err != nil {
			return err
		}
		if err := h.area.ReadOnlyRoot(points(h), "/etc/work/dir", owner); err != nil {
			return err
		}
		if err := h.area.Seal(); err != nil {
			return err
		}
		var made []string
		for _, name := range files(t, h.path("root")) {
			if !slices.Contains(before, name) {
				made = append(made, name)
				wantOwner(t, h.path(filepath.Join("root", strings.TrimSuffix(name, " (file)"))), 0)
			}
		}
		if !slices.Equal(made, want) {
			t.Errorf("made %q, want %q", made, want)
		}
		if text, err := os.ReadFile(filepath.Join(path, "etc/there")); err != nil || string(text) != "as it was" {
			t.Errorf("what was there: %q, %v", text, err)
		}
		wantWritable(t, path, !locked)
		return nil
	})
}

// files returns the names below a directory.
func files(t *testing.T, dir string) (all []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if d.Type().IsRegular() {
			name += " (file)"
		}
		all = append(all, name)
		return err
	})
	if err != nil {
		t.Error(err)
	}
	return all
}

func dirs(paths ...string) (points []stage.MountPoint) {
	for _, p := range paths {
		points = append(points, stage.MountPoint{Path: p, Dir: true})
	}
	return points
}

func TestReadOnlyRootHasWhatRuntimesMake(t *testing.T) {
	tests := []struct {
		name   string
		links  map[string]string
		points []stage.MountPoint
		want   []string
	}{
		{"directories and files", nil, append(dirs("/a/b", "a/b/../c"), stage.MountPoint{Path: "/etc/new/file"}, stage.MountPoint{Path: "/etc/there"}), []string{"a", "a/b", "a/c", "etc/new", "etc/new/file (file)"}},
		{"nothing in what is mounted", nil, dirs("/dev/pts", "/x", "/x/y", "/x/y/z", "/xy"), []string{"x", "xy"}},
		{"what is mounted first", nil, dirs("/x/y", "/x", "/x/z"), []string{"x", "x/y"}},
		{"links, also to nothing", map[string]string{"root/etc/link": "../gone/../var/lib", "root/var/abs": "/../abs"}, append(dirs("/etc/link/a"), stage.MountPoint{Path: "/var/abs"}), []string{"abs (file)", "var/lib", "var/lib/a"}},
		{"links into what is mounted", map[string]string{"root/var/run": "/run"}, dirs("/run", "/var/run/lock"), []string{"run"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			want := append(tt.want, "dev", "etc/work", "etc/work/dir")
			slices.Sort(want)
			readOnlyRoot(t, tt.links, func(*host) []stage.MountPoint { return append(dirs("/dev"), tt.points...) }, ids, true, want...)
		})
	}
}

// Links in a volume, or in a copy of a directory, lead back into the root file system.
func TestReadOnlyRootBehindLinksInMounts(t *testing.T) {
	links := map[string]string{"volume/back": "/back", "volume/dir": "sub", "root/copied/link": "../target"}
	points := func(h *host) []stage.MountPoint {
		path, _, err := h.bind(0, h.path("volume"), stage.Bind{})
		if err != nil {
			t.Error(err)
		}
		return append(dirs("/dev"),
			stage.MountPoint{Path: "/v", Dir: true, Source: path}, stage.MountPoint{Path: "/v/back/a", Dir: true}, stage.MountPoint{Path: "/v/dir/a", Dir: true},
			stage.MountPoint{Path: "/x", Dir: true}, stage.MountPoint{Path: "/x/v", Dir: true, Source: path}, stage.MountPoint{Path: "/x/v/back/b", Dir: true},
			stage.MountPoint{Path: "/copied", Dir: true, CopyUp: true}, stage.MountPoint{Path: "/copied/link/file"}, stage.MountPoint{Path: "/copied/new", Dir: true})
	}
	readOnlyRoot(t, links, points, ids, true, "back", "back/a", "back/b", "dev", "etc/work", "etc/work/dir", "target", "target/file (file)", "v", "x")
}

func TestReadOnlyRootIsLeftToTheRuntime(t *testing.T) {
	for name, points := range map[string][]stage.MountPoint{"no mount at /dev": dirs("/proc"), "mounts in /dev": dirs("/dev/pts")} {
		t.Run(name, func(t *testing.T) {
			readOnlyRoot(t, nil, func(*host) []stage.MountPoint { return points }, ids, false)
		})
	}
	t.Run("unknown owner", func(t *testing.T) {
		readOnlyRoot(t, nil, func(*host) []stage.MountPoint { return dirs("/dev") }, idrange.Range{}, false)
	})
}

func TestReadOnlyRootWithLinksInACircle(t *testing.T) {
	prepare := func(dir string) error {
		return errors.Join(os.Symlink("b", filepath.Join(dir, "root/a")), os.Symlink("a", filepath.Join(dir, "root/b")))
	}
	inHost(t, []string{"root"}, prepare, func(h *host) error {
		if _, _, err := h.rootfs("root"); err != nil {
			return err
		}
		if err := h.area.ReadOnlyRoot(dirs("/dev", "/a/x"), "/", ids); !errors.Is(err, syscall.ELOOP) {
			t.Errorf("got %v, want that there are too many links", err)
		}
		return nil
	})
}
