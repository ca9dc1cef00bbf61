package stage

import (
	"errors"
	"fmt"

	"cloister/internal/sys"
	"cloister/runtimehook/hostpath"
)

// Bind is a bind mount to be staged.
type Bind struct {
	Source            *hostpath.File
	Recursive         bool // with what is mounted below
	ReadOnly          bool
	RecursiveReadOnly bool
	// EngineOwned sources are the engine's own for this container. Files, readable
	// by all, and what is on tmpfs are taken as they are where their file system
	// can't be id-mapped.
	EngineOwned bool
}

// Bind stages bind mount number i. It returns the new source and the options that
// the container's mount must have besides its own, because in a user namespace a
// mount can't have fewer restrictions than its source.
func (a *Area) Bind(i int, b Bind) (source string, options []string, err error) {
	source, err = a.stageBind(number(i), b)
	if err != nil {
		return "", nil, fmt.Errorf("bind mount: %w", err)
	}
	restrictions, err := sys.MountRestrictions(source)
	if err != nil {
		return "", nil, err
	}
	return source, restrictions.Options(), nil
}

func (a *Area) stageBind(name string, b Bind) (string, error) {
	tree, err := a.cloneBind(b)
	if err != nil {
		return "", err
	}
	defer tree.Close()
	var attrs sys.Attr
	if !b.Source.Stat.IsDevice() {
		attrs |= sys.NoDev
	}
	if b.ReadOnly {
		attrs |= sys.ReadOnly
	}
	if err := tree.Set(attrs, false); err != nil {
		return "", err
	}
	if b.RecursiveReadOnly {
		if err := tree.Set(sys.ReadOnly, true); err != nil {
			return "", err
		}
	}
	// A mount that arrived later would be neither shifted nor restricted.
	if err := tree.MakePrivate(); err != nil {
		return "", err
	}
	path, err := a.attach(tree, name, b.Source.Stat.IsDir())
	if err == nil {
		a.unsealed = append(a.unsealed, path)
	}
	return path, err
}

// cloneBind clones a source and shifts its owners. Device nodes keep theirs: the
// host's file system for them has no id-mapping, and those that a container may
// have are for everybody.
func (a *Area) cloneBind(b Bind) (*sys.Tree, error) {
	if b.Source.Stat.IsDevice() {
		return sys.CloneTree(b.Source.FD, false)
	}
	tree, err := a.clone(b.Source, b.Recursive)
	if err != nil && b.EngineOwned && (!b.Source.Stat.IsDir() || b.Source.FSType == "tmpfs") {
		return sys.CloneTree(b.Source.FD, b.Recursive)
	}
	return tree, err
}

// NullDevice stages the host's /dev/null under a name in the area.
func (a *Area) NullDevice(name string) (string, error) {
	f, err := a.mounts.Open("/dev/null")
	if err != nil {
		return "", err
	}
	defer f.Close()
	if major, minor := f.Stat.Device(); !f.Stat.IsDevice() || f.Stat.IsBlockDevice() || major != 1 || minor != 3 {
		return "", errors.New("/dev/null of the host is not the device of this name")
	}
	return a.stageBind(name, Bind{Source: f})
}
