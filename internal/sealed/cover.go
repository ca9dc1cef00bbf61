package sealed

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"cloister/internal/sys"
)

// magic numbers of the file systems that can be sealed, by their place.
var magic = map[string]int64{"proc": sys.ProcMagic, "sys": sys.SysfsMagic}

// errBare is of a proc with the option subset=pid. With nothing locked on it the kernel
// takes it for one that hides nothing, and lets whoever has it mount others like the
// host's (mnt_already_visible in fs/namespace.c).
var errBare = errors.New("it has none of the files that are to be covered; mount it without subset=pid")

// cover mounts what the plan has for a file system on root, which is its root. Views
// come before masks: what is to be hidden is. It returns the paths of the views.
func (p *Plan) cover(root *sys.FD, fs string) (views []string, err error) {
	found, err := root.FSMagic()
	if err != nil {
		return nil, err
	}
	if want, ok := magic[fs]; !ok || found != want {
		return nil, fmt.Errorf("what is there is not the kernel's own file system (type %#x)", found)
	}
	readOnly, masked := below(fs, p.ReadOnly), below(fs, p.Masked)
	covered, planned := 0, len(readOnly)+len(masked)
	count := func(done bool) {
		if done {
			covered++
		}
	}
	slices.Sort(readOnly) // a directory before what is in it
	for _, path := range readOnly {
		done, err := onto(root, path, resolved, protect)
		if err != nil {
			return nil, fmt.Errorf("read-only path /%s/%s: %w", fs, path, err)
		}
		count(done)
	}
	for _, v := range p.Views {
		path, ok := strings.CutPrefix(v.Path, fs+"/")
		if !ok {
			continue
		}
		planned++
		if p.protects(v.Path) {
			v.Writable = false
		}
		ok, err := onto(root, path, sys.OpenBeneathPath, v.copyFor)
		if err != nil {
			return nil, fmt.Errorf("view /%s: %w", v.Path, err)
		}
		count(ok)
		if ok {
			views = append(views, v.Path)
		}
	}
	for _, path := range masked {
		done, err := onto(root, path, resolved, mask)
		if err != nil {
			return nil, fmt.Errorf("masked path /%s/%s: %w", fs, path, err)
		}
		count(done)
	}
	if covered == 0 && planned > 0 {
		return nil, errBare
	}
	return views, nil
}

// below returns the paths of a file system, from its root.
func below(fs string, paths []string) (out []string) {
	for _, p := range paths {
		if rest, ok := strings.CutPrefix(p, fs+"/"); ok {
			out = append(out, rest)
		}
	}
	return out
}

// protects reports whether a path is to be read-only.
func (p *Plan) protects(path string) bool {
	return slices.ContainsFunc(p.ReadOnly, func(r string) bool { return path == r || strings.HasPrefix(path, r+"/") })
}

// resolved opens what a path leads to, through the links of the file system.
func resolved(root *sys.FD, path string) (*sys.FD, error) { return sys.OpenInRoot(root, path) }

// onto mounts what copyFor returns on the file at a path, and reports whether there is
// one.
func onto(root *sys.FD, path string, open func(*sys.FD, string) (*sys.FD, error), copyFor func(*sys.FD) (*sys.Tree, error)) (bool, error) {
	target, err := open(root, path)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer target.Close()
	tree, err := copyFor(target)
	if err != nil {
		return false, err
	}
	return true, errors.Join(tree.MoveOnto(target), tree.Close())
}

// protect returns a read-only copy of what is there.
func protect(target *sys.FD) (*sys.Tree, error) {
	tree, err := sys.CloneTree(target, false)
	if err != nil {
		return nil, err
	}
	return restrict(tree, sys.ReadOnly)
}

// copyFor returns a copy of the view.
func (v *View) copyFor(*sys.FD) (*sys.Tree, error) {
	tree, err := sys.ClonePath(v.Source, false)
	if err != nil {
		return nil, err
	}
	attrs := sys.NoSUID | sys.NoDev | sys.NoExec
	if !v.Writable {
		attrs |= sys.ReadOnly
	}
	return restrict(tree, attrs)
}

// mask returns what shows nothing: an empty directory, or a device that is empty and
// swallows what is written.
func mask(target *sys.FD) (*sys.Tree, error) {
	st, err := target.Stat()
	if err != nil {
		return nil, err
	}
	source := nullFile
	if st.IsDir() {
		source = emptyDir
	}
	tree, err := sys.ClonePath(source, false)
	if err != nil {
		return nil, err
	}
	return restrict(tree, sys.ReadOnly|sys.NoSUID|sys.NoExec)
}

func restrict(tree *sys.Tree, attrs sys.Attr) (*sys.Tree, error) {
	if err := tree.Set(attrs, false); err != nil {
		return nil, errors.Join(err, tree.Close())
	}
	return tree, nil
}
