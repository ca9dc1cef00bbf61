package mounter

import (
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"

	"cloister/internal/sealed"
	"cloister/internal/sys"
)

const (
	typeProc  = "proc"
	typeSysfs = "sysfs"
)

// Trees that are kept, of one container and of all.
const (
	maxKept    = 256
	maxKeptOne = 8
)

// spec says what is mounted. Equal ones are the same but for the place.
type spec struct {
	container string
	fstype    string
	ns        sys.FileID // whose processes or devices it shows
	plan      string     // Facts.Key
	attrs     sys.Attr
	options   string
}

// trees makes sealed mounts and keeps the last ones. All is done on the thread of the
// workshop.
type trees struct {
	workshop *sealed.Workshop
	kept     []keptTree // the one that was asked for last comes last
	made     uint64
}

type keptTree struct {
	spec
	name string
	// pin keeps the namespace, lest another one gets its number. A proc does that for
	// its pid namespace.
	pin *sys.Namespace
}

// wanted is a mount to make.
type wanted struct {
	spec
	ns      *sys.Namespace
	options [][2]string
	plan    *sealed.Plan
	keep    bool
}

func (w *wanted) place() string {
	if w.fstype == typeProc {
		return "proc"
	}
	return "sys"
}

// get returns a new copy of what is wanted.
func (t *trees) get(w *wanted) (*sys.Tree, error) {
	if i := slices.IndexFunc(t.kept, func(k keptTree) bool { return k.spec == w.spec }); i >= 0 {
		k := t.kept[i]
		tree, err := t.workshop.Clone(k.name)
		if err == nil {
			t.kept = append(slices.Delete(t.kept, i, i+1), k)
			return tree, nil
		}
		if err := errors.Join(err, t.forget(i)); !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
	}
	base, err := w.mount()
	if err != nil {
		return nil, err
	}
	if !w.keep {
		tree, _, err := t.workshop.Seal(base, w.place(), w.plan)
		return tree, err
	}
	return t.keepAndClone(w, base)
}

// mount makes a file system, with nothing on it.
func (w *wanted) mount() (tree *sys.Tree, err error) {
	if w.fstype == typeProc {
		return sys.NewProc(w.ns, w.attrs, w.options...)
	}
	err = sys.InNetwork(w.ns, func() (err error) { tree, err = sys.NewMount(typeSysfs, w.attrs); return err })
	return tree, err
}

func (t *trees) keepAndClone(w *wanted, base *sys.Tree) (*sys.Tree, error) {
	if err := t.makeRoom(w.container); err != nil {
		return nil, errors.Join(err, base.Close())
	}
	k := keptTree{spec: w.spec}
	if w.fstype == typeSysfs {
		pin, err := w.ns.Duplicate()
		if err != nil {
			return nil, errors.Join(err, base.Close())
		}
		k.pin = pin
	}
	t.made++
	k.name = strconv.FormatUint(t.made, 10)
	if err := t.workshop.Keep(k.name, base, w.place(), w.plan); err != nil {
		return nil, errors.Join(err, k.pin.Close())
	}
	t.kept = append(t.kept, k)
	return t.workshop.Clone(k.name)
}

// makeRoom forgets what was asked for longest ago, of the container if it has its share.
func (t *trees) makeRoom(container string) error {
	of := func(k keptTree) bool { return k.container == container }
	own := 0
	for _, k := range t.kept {
		if of(k) {
			own++
		}
	}
	switch {
	case own >= maxKeptOne:
		return t.forget(slices.IndexFunc(t.kept, of))
	case len(t.kept) >= maxKept:
		return t.forget(0)
	}
	return nil
}

// drop forgets all of a container.
func (t *trees) drop(container string) error {
	var errs []error
	for i := len(t.kept) - 1; i >= 0; i-- {
		if t.kept[i].container == container {
			errs = append(errs, t.forget(i))
		}
	}
	return errors.Join(errs...)
}

func (t *trees) forget(i int) error {
	k := t.kept[i]
	t.kept = slices.Delete(t.kept, i, i+1)
	return errors.Join(t.workshop.Forget(k.name), k.pin.Close())
}

// joined returns the options as one text.
func joined(options [][2]string) string {
	var b strings.Builder
	for _, o := range options {
		b.WriteString(o[0] + "=" + o[1] + ",")
	}
	return b.String()
}
