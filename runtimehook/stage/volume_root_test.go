//go:build root

package stage_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"cloister/internal/sys"
	"cloister/runtimehook/stage"
)

const volumePath = "/var/lib/engine"

func (h *host) volume(v stage.Volumes, name string) (path string, err error) {
	if v.Root, err = h.mounts.Open(h.path("root")); err != nil {
		return "", err
	}
	defer v.Root.Close()
	return h.area.Volume(&v, volumePath, name)
}

// A volume is on disk beside the upper layer, the same one at every start.
func TestVolumeStays(t *testing.T) {
	inHost(t, []string{"root", "c/upper"}, nothing, func(h *host) error {
		v := stage.Volumes{UpperDir: h.path("c/upper")}
		first, err := h.volume(v, "v0")
		if err != nil {
			return err
		}
		wantOwner(t, first, ids.Start)
		if err := asContainer(0, func() error { return os.WriteFile(filepath.Join(first, "file"), nil, 0o600) }); err != nil {
			return err
		}
		wantOwner(t, h.path("c/volumes.cloister/var-lib-engine/file"), 0)
		// What is at its place by now is no reason to leave out what is in the volume.
		if err := os.MkdirAll(h.path("root/var/lib/engine/x"), 0o755); err != nil {
			return err
		}
		second, err := h.volume(v, "v1")
		if err != nil {
			return err
		}
		wantOwner(t, filepath.Join(second, "file"), ids.Start)
		return nil
	})
}

// Without an upper layer a volume is where the caller says, and who shifts the owners
// itself says whose it is.
func TestVolumeWithoutUpperLayer(t *testing.T) {
	inHost(t, []string{"root", "state"}, nothing, func(h *host) error {
		if _, err := h.volume(stage.Volumes{Dir: h.path("state/7.1"), Owner: 5}, "v0"); err != nil {
			return err
		}
		wantOwner(t, h.path("state/7.1/var-lib-engine"), 5)
		return nil
	})
}

func TestVolumeIsNotOverTheImagesContent(t *testing.T) {
	for name, tt := range map[string]struct {
		prepare func(root string) error
		want    bool
	}{
		"nothing":                 {func(string) error { return nil }, true},
		"an empty directory":      {func(root string) error { return os.MkdirAll(root+volumePath, 0o755) }, true},
		"a directory with a file": {func(root string) error { return os.MkdirAll(root+volumePath+"/x", 0o755) }, false},
		"a file": {func(root string) error {
			return errors.Join(os.MkdirAll(root+"/var/lib", 0o755), os.WriteFile(root+volumePath, nil, 0o644))
		}, false},
		"a link on the way": {func(root string) error { return os.Symlink("srv", root+"/var") }, false},
		"a link out of it":  {func(root string) error { return os.Symlink("/var", root+"/var") }, false},
	} {
		t.Run(name, func(t *testing.T) {
			prepare := func(dir string) error { return tt.prepare(filepath.Join(dir, "root")) }
			inHost(t, []string{"root", "c/upper"}, prepare, func(h *host) error {
				path, err := h.volume(stage.Volumes{UpperDir: h.path("c/upper")}, "v0")
				if err != nil {
					return err
				}
				if (path != "") != tt.want {
					t.Errorf("volume at %q, want one: %v", path, tt.want)
				}
				return nil
			})
		})
	}
}

// A container can make a link of what a volume of its is on, and be started again.
func TestVolumeIsNotWhereALinkLeads(t *testing.T) {
	for name, link := range map[string]string{"itself": volumePath, "on the way": "/var"} {
		t.Run(name, func(t *testing.T) {
			inHost(t, []string{"root/dev", "c/upper"}, nothing, func(h *host) error {
				v := stage.Volumes{UpperDir: h.path("c/upper")}
				first, err := h.volume(v, "v0")
				if err != nil {
					return err
				}
				if first == "" {
					t.Error("no volume at first")
				}
				at := h.path("root") + link
				if err := errors.Join(os.MkdirAll(filepath.Dir(at), 0o755), os.Symlink("/dev", at)); err != nil {
					return err
				}
				if path, err := h.volume(v, "v1"); path != "" || err != nil {
					t.Errorf("volume at %q, %v", path, err)
				}
				return nil
			})
		})
	}
}

func TestNullDevice(t *testing.T) {
	inHost(t, nil, nothing, func(h *host) error {
		path, err := h.area.NullDevice("n0")
		if err != nil {
			return err
		}
		st, err := sys.StatPath(path)
		if major, minor := st.Device(); err != nil || !st.IsDevice() || major != 1 || minor != 3 {
			t.Errorf("got %+v, %v, want the device 1:3", st, err)
		}
		return nil
	})
}
