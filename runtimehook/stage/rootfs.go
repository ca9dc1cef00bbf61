package stage

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"cloister/internal/sys"
	"cloister/runtimehook/hostpath"
	"cloister/runtimehook/idrange"
)

// Root is the root file system that an engine has made for a container.
type Root struct {
	file    *hostpath.File
	overlay *overlay // nil if it is none
}

// NewRoot looks at the root file system that was opened as f, which has to stay
// open.
func NewRoot(mounts *hostpath.Table, f *hostpath.File) (*Root, error) {
	r := &Root{file: f}
	if f.FSType != "overlay" || !f.MountPoint {
		return r, nil
	}
	m, err := mounts.Mount(f)
	if err == nil {
		r.overlay, err = parseOverlay(m.VFSOptions, m.Mountpoint)
	}
	if err != nil {
		return nil, fmt.Errorf("root file system %s: %w", f.Path, err)
	}
	return r, nil
}

// PlainRoot is a root file system that is to be cloned, whatever it is: its engine has
// shifted its owners.
func PlainRoot(f *hostpath.File) *Root { return &Root{file: f} }

// UpperDir returns the directory that takes the container's changes, "" if the
// root is not an overlay or takes none.
func (r *Root) UpperDir() string {
	if r.overlay == nil {
		return ""
	}
	return r.overlay.upper
}

// workPrefix begins the name of cloister's work directories.
const workPrefix = "work.cloister-"

// WorkDir returns the work directory of a registration's overlay. It is beside the
// upper directory, where the engine has its own. That one stays the engine's: with
// two overlays in one, copying up fails in the older.
func WorkDir(upperDir, key string) string {
	return filepath.Join(filepath.Dir(upperDir), workPrefix+key)
}

// RemoveWorkDir removes a work directory with what the kernel left in it.
func RemoveWorkDir(path string) error {
	if !filepath.IsAbs(path) || !strings.HasPrefix(filepath.Base(path), workPrefix) {
		return fmt.Errorf("%s is not a work directory of cloister's", path)
	}
	return os.RemoveAll(path)
}

// Rootfs stages a root file system and returns its path.
//
// An overlay can't be id-mapped itself, so a second one is mounted over the same
// layers, id-mapped. Any other file system is cloned.
func (a *Area) Rootfs(r *Root, ids idrange.Range, key string) (string, error) {
	target := filepath.Join(a.dir, RootfsDir)
	var err error
	if r.overlay != nil {
		err = a.mountLayers(r.overlay, target, key, ids)
	} else {
		err = a.cloneRoot(r.file, target)
	}
	if err != nil {
		return "", fmt.Errorf("root file system: %w", err)
	}
	return target, nil
}

// cloneRoot makes device nodes in the root file system unusable: they would belong
// to the container's root. The ones that a container gets are not among them; the
// runtime mounts those.
func (a *Area) cloneRoot(f *hostpath.File, target string) error {
	tree, err := a.clone(f, true)
	if err != nil {
		return err
	}
	defer tree.Close()
	if err := errors.Join(tree.Set(sys.NoDev, false), tree.MakePrivate()); err != nil {
		return err
	}
	return tree.MoveTo(target)
}

func (a *Area) mountLayers(o *overlay, target, key string, ids idrange.Range) error {
	lower, err := a.stageLayers(o.lower, "l")
	if err != nil {
		return err
	}
	data, err := a.stageLayers(o.data, "d")
	if err != nil {
		return err
	}
	// Relative names keep the options below the one page that mount(2) takes.
	options := []string{"lowerdir=" + strings.Join(append([]string{strings.Join(lower, ":")}, data...), "::")}
	if o.upper != "" {
		work := WorkDir(o.upper, key)
		if err := os.Mkdir(work, 0o700); err != nil {
			return err
		}
		if err := a.stageLayer(filepath.Dir(o.upper), "u"); err != nil {
			return err
		}
		options = append(options, "upperdir=u/"+filepath.Base(o.upper), "workdir=u/"+filepath.Base(work))
	}
	// With an index the kernel forbids a second overlay.
	options = append(append(options, "index=off"), o.options...)
	// The mounter's file system ids become those of the files that overlayfs
	// makes in the work directory; host uid 0 has no id in an id-mapped layer.
	layers, err := sys.OpenPath(a.path(""))
	if err != nil {
		return err
	}
	defer layers.Close()
	return sys.InDir(layers, func() error {
		return sys.AsFSUser(ids.Start, ids.Start, func() error {
			return sys.MountOverlay(target, strings.Join(options, ","))
		})
	})
}

func (a *Area) stageLayers(layers []string, prefix string) ([]string, error) {
	names := make([]string, len(layers))
	for i, layer := range layers {
		names[i] = prefix + number(i)
		if err := a.stageLayer(layer, names[i]); err != nil {
			return nil, err
		}
	}
	return names, nil
}

// stageLayer clones a layer without what is mounted below it: the engine's own
// overlay may be.
func (a *Area) stageLayer(layer, name string) error {
	f, err := a.mounts.Open(layer)
	if err != nil {
		return err
	}
	defer f.Close()
	tree, err := a.clone(f, false)
	if err != nil {
		return err
	}
	defer tree.Close()
	_, err = a.attach(tree, name, true)
	return err
}
