package stage

import (
	"errors"
	"fmt"

	"cloister/internal/sys"
)

// Seal has the kernel lock the restrictions of the bind mounts that were staged, so
// that no capability of the container can take them away. It must be called once,
// after the last Bind.
//
// The kernel does so when it copies mounts into the mount namespace of another user
// namespace. A runtime that binds from the container's own copy would get locked
// mounts, but one that passes clones of ours into the container (crun, newer runc)
// would not. So the copy is made here, and what is staged is replaced by clones from
// it: they stay locked.
func (a *Area) Seal() (err error) {
	if len(a.unsealed) == 0 {
		return nil
	}
	locked, err := sys.NewLockedMounts()
	if err != nil {
		return fmt.Errorf("lock bind mounts: %w", err)
	}
	trees := make([]*sys.Tree, 0, len(a.unsealed))
	defer func() {
		err = errors.Join(err, locked.Close())
		for _, t := range trees {
			err = errors.Join(err, t.Close())
		}
	}()
	err = sys.InMounts(locked, func() error {
		for _, path := range a.unsealed {
			tree, err := sys.ClonePath(path, true)
			if err != nil {
				return fmt.Errorf("lock bind mounts: %s: %w", path, err)
			}
			trees = append(trees, tree)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for i, path := range a.unsealed {
		if err := errors.Join(sys.Detach(path), trees[i].MoveTo(path)); err != nil {
			return fmt.Errorf("lock bind mounts: %w", err)
		}
	}
	a.unsealed = nil
	return nil
}
