package sealed

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"cloister/internal/sys"
)

// Seal puts what the plan has for a "proc" or "sys" on base, which is a detached mount
// of it, and returns the sealed tree and the paths of its views. base is used up.
func (w *Workshop) Seal(base *sys.Tree, fs string, p *Plan) (tree *sys.Tree, views []string, err error) {
	err = w.lock(base,
		func(root *sys.FD) (err error) { views, err = p.cover(root, fs); return err },
		func(path string) (err error) { tree, err = take(path); return err })
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("seal /%s: %w", fs, err), tree.Close())
	}
	return tree, views, nil
}

// Lock returns base, one mount without others on it, such that nobody can take away its
// restrictions. base is used up.
func (w *Workshop) Lock(base *sys.Tree) (tree *sys.Tree, err error) {
	err = w.lock(base,
		func(*sys.FD) error { return nil },
		func(path string) (err error) { tree, err = take(path); return err })
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock mount: %w", err), tree.Close())
	}
	return tree, nil
}

// Keep seals base and keeps the tree under a name, until Forget.
func (w *Workshop) Keep(name string, base *sys.Tree, fs string, p *Plan) error {
	target, err := kept(name)
	if err != nil {
		return errors.Join(err, base.Close())
	}
	err = w.lock(base,
		func(root *sys.FD) error { _, err := p.cover(root, fs); return err },
		func(path string) error {
			tree, err := take(path)
			if err != nil {
				return err
			}
			defer tree.Close()
			if err := os.Mkdir(target, 0o700); err != nil {
				return err
			}
			if err := tree.MoveTo(target); err != nil {
				return errors.Join(err, os.Remove(target))
			}
			return nil
		})
	if err != nil {
		return fmt.Errorf("keep sealed /%s as %s: %w", fs, name, err)
	}
	return nil
}

// Clone returns a copy of a tree that is kept; os.ErrNotExist if there is none.
func (w *Workshop) Clone(name string) (tree *sys.Tree, err error) {
	path, err := kept(name)
	if err != nil {
		return nil, err
	}
	err = sys.InMounts(w.locked, func() (err error) { tree, err = take(path); return err })
	if err != nil {
		return nil, errors.Join(fmt.Errorf("copy sealed mounts: %w", err), tree.Close())
	}
	return tree, nil
}

// Forget takes a tree that is kept away, if there is one. Copies of it stay.
func (w *Workshop) Forget(name string) error {
	path, err := kept(name)
	if err != nil {
		return err
	}
	err = sys.InMounts(w.locked, func() error { return errors.Join(sys.Detach(path), os.Remove(path)) })
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("forget sealed mounts: %w", err)
	}
	return nil
}

func kept(name string) (string, error) {
	if name == "" || name == "." || name == ".." || name != filepath.Base(name) {
		return "", fmt.Errorf("%q is no name for sealed mounts", name)
	}
	return filepath.Join(keptDir, name), nil
}

// take copies the mounts at a path of the locked namespace.
func take(path string) (*sys.Tree, error) {
	tree, err := sys.ClonePath(path, true)
	if err != nil {
		return nil, err
	}
	if err := tree.MakePrivate(); err != nil {
		return nil, errors.Join(err, tree.Close())
	}
	return tree, nil
}

// lock mounts base, has cover put other mounts on it, and calls use in the locked
// namespace with the path at which all arrives there.
func (w *Workshop) lock(base *sys.Tree, cover func(root *sys.FD) error, use func(path string) error) error {
	err := sys.InMounts(w.build, func() (err error) {
		p, err := takePlace()
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, p.leave()) }()
		if err := errors.Join(base.MakePrivate(), base.MoveTo(p.built())); err != nil {
			return err
		}
		root, err := sys.OpenPath(p.built())
		if err != nil {
			return err
		}
		defer root.Close()
		if err := cover(root); err != nil {
			return err
		}
		if err := sys.Move(p.built(), p.staged()); err != nil {
			return err
		}
		return sys.InMounts(w.locked, func() error { return use(p.staged()) })
	})
	return errors.Join(err, base.Close())
}
