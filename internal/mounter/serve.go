package mounter

import (
	"errors"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"cloister/internal/sys"
)

// mount is a request in service.
type mount struct {
	*server
	*request
	id       uint64
	deadline time.Time

	caller *caller
	starts []start // of the paths: where each lookup begins
	stubs  []*sys.Stub
	made   *sys.FD // the socket
}

// end gives all back, before the caller gets its answer: what holds a mount keeps the
// caller from unmounting it. leave is called when no stub is left, which one that is stuck
// does not hold up.
func (m *mount) end(leave func()) {
	if m.caller != nil {
		m.caller.close()
	}
	for _, s := range m.starts {
		if m.caller == nil || s.dir != m.caller.cwd {
			_ = s.dir.Close() // only looked at
		}
	}
	gone := make([]<-chan struct{}, len(m.stubs))
	busy := m.Socket != nil // the caller's cgroup
	for i, s := range m.stubs {
		busy = !s.LetGo() || busy
		gone[i] = s.End()
	}
	all := make(chan struct{})
	go func() {
		for _, g := range gone {
			<-g
		}
		leave()
		close(all)
	}()
	if busy {
		late := time.NewTimer(time.Until(m.deadline))
		defer late.Stop()
		select {
		case <-all:
		case <-late.C:
		}
	}
	m.spares.settle()
}

func (m *mount) serve(proc *sys.FD) (err error) {
	if m.caller, err = openCaller(proc); err != nil {
		return err
	}
	switch {
	case m.Socket != nil:
		m.made, err = m.socket()
		return err
	case m.Bind:
		return m.bind()
	case m.Remount:
		return m.remount()
	case m.Unmount:
		return m.unmount()
	}
	return m.mount()
}

// mount serves a new mount. Like the kernel it looks for the target first, and then at
// what the caller may do and wants.
func (m *mount) mount() error {
	tree, refused := m.tree()
	if refused != nil && !errors.As(refused, new(refusal)) {
		return refused
	}
	defer tree.Close()
	l, err := m.lookup(tree, string(m.Target))
	if err != nil {
		return err
	}
	if refused != nil {
		return refused
	}
	return m.attach(l.stub, l.tree, l.files[0], func(target sys.Stat) bool { return target.IsDir() })
}

// tree returns what the caller wants to mount.
func (m *mount) tree() (*sys.Tree, error) {
	ns, keep, err := m.shown()
	if err != nil {
		return nil, err
	}
	text, err := sys.ReadFileAt(m.caller.proc, "gid_map")
	if err != nil {
		return nil, err
	}
	groups, err := parseMapping(text)
	if err != nil {
		return nil, err
	}
	o, err := parseOptions(m.Type, m.Data, groups.outside)
	if err != nil {
		return nil, refusal{err}
	}
	attrs := attributes(m.Flags)
	w := &wanted{ns: ns, options: o.list, plan: &m.Facts.Plan, keep: keep}
	w.spec = spec{m.Container, m.Type, ns.ID(), m.Facts.Key, attrs &^ sys.ReadOnly, joined(o.list)}
	if m.Type == typeProc && m.Facts.ProcReadOnly || m.Type == typeSysfs && m.Facts.SysReadOnly {
		// The container's own can't be made writable, and this one neither.
		w.attrs |= sys.ReadOnly
		plan := m.Facts.Plan
		plan.Views = slices.Clone(plan.Views)
		for i := range plan.Views {
			plan.Views[i].Writable = false
		}
		w.plan = &plan
	}
	tree, err := m.onWorkshop(m.deadline, func() (*sys.Tree, error) { return m.trees.get(w) })
	if errors.Is(err, unix.EINVAL) && len(o.list) > 0 || errors.Is(err, unix.ENOMEM) {
		return nil, refusal{err}
	}
	if err == nil && (o.readOnly || attrs&sys.ReadOnly != 0) {
		err = tree.Set(sys.ReadOnly, true)
	}
	if err != nil {
		return nil, errors.Join(err, tree.Close())
	}
	return tree, nil
}

// shown returns the namespace that the new mount is to show, if the caller may mount
// there and have that shown, and whether the mount is worth keeping.
func (m *mount) shown() (ns *sys.Namespace, keep bool, err error) {
	c := m.caller
	if may, err := c.administers(c.mnt); err != nil || !may {
		return nil, false, or(err, refusal{unix.EPERM})
	}
	ns, keep = c.pid, true
	if m.Type == typeSysfs {
		ns, keep = c.net, c.net.ID() == m.Facts.Net
	}
	may, err := c.administers(ns)
	if m.Type == typeSysfs && keep && c.user.ID() == m.Facts.User {
		may = true // an engine may have made the container's network namespace
	}
	if err != nil || !may {
		return nil, false, or(err, refusal{unix.EPERM})
	}
	return ns, keep, nil
}

// or returns the first error that is one.
func or(err, otherwise error) error {
	if err != nil {
		return err
	}
	return otherwise
}

// bind serves a bind of a proc or sysfs which the kernel refuses as something is locked
// on it: the bind takes that along. Who makes it is the caller itself, in effect.
func (m *mount) bind() error {
	l, err := m.lookup(nil, string(m.Source))
	if err != nil {
		return orContinue(err)
	}
	magic, _, err := l.stub.StatFS(l.files[0])
	if err != nil || magic != sys.ProcMagic && magic != sys.SysfsMagic {
		return orContinue(err)
	}
	if l, err = m.lookup(nil, string(m.Source), string(m.Target)); err != nil {
		return orContinue(err)
	}
	source, _, err := l.stub.Stat(l.files[0])
	if err != nil {
		return orContinue(err)
	}
	if tree, err := l.stub.CloneTree(l.files[0], false); !errors.Is(err, unix.EINVAL) {
		if err == nil {
			l.stub.Forget(tree)
		}
		return orContinue(err)
	}
	tree, err := l.stub.CloneTree(l.files[0], true)
	if err != nil {
		return orContinue(err)
	}
	return m.attach(l.stub, tree, l.files[1], func(target sys.Stat) bool { return target.IsDir() == source.IsDir() })
}

// orContinue leaves to the kernel what it would refuse as well.
func orContinue(err error) error {
	if err == nil || errors.As(err, new(unix.Errno)) {
		return errContinue
	}
	return err
}

// lookup opens paths, in a new stub that is what the caller is. The stub has the tree as
// well, if there is one.
func (m *mount) lookup(tree *sys.Tree, paths ...string) (l lookedUp, err error) {
	for _, path := range paths[len(m.starts):] {
		if path == "" {
			return l, refusal{unix.ENOENT}
		}
		m.starts = append(m.starts, start{m.caller.cwd, path})
	}
	// Each round goes through one /proc/self.
	for range maxLinks {
		if l, err = m.become(tree); err != nil {
			return l, err
		}
		around, err := m.lookupIn(&l)
		if around == nil {
			return l, err
		}
		if err := m.takeDetour(around, len(l.files)); err != nil {
			return l, err
		}
	}
	return l, refusal{unix.ELOOP}
}

// lookedUp are numbers of a stub's.
type lookedUp struct {
	stub  *sys.Stub
	dirs  []int // of the starts
	tree  int   // if it was given one
	files []int // which the paths lead to
}

// lookupIn returns a detour of the path after those whose files it has found.
func (m *mount) lookupIn(l *lookedUp) (around *detour, err error) {
	for i, s := range m.starts {
		fd, err := lookup(l.stub, l.dirs[i], s.path)
		if errors.As(err, &around) {
			return around, nil
		}
		if err != nil {
			return nil, refusal{err}
		}
		l.files = append(l.files, fd)
	}
	return nil, nil
}

func (m *mount) takeDetour(d *detour, i int) error {
	s, err := d.take(m.caller)
	if err != nil {
		return refusal{err}
	}
	if m.starts[i].dir != m.caller.cwd {
		err = m.starts[i].dir.Close()
	}
	m.starts[i] = s
	return err
}

// become takes a stub that becomes what the caller is.
func (m *mount) become(tree *sys.Tree) (l lookedUp, err error) {
	if l.stub, err = m.spares.take(); err != nil {
		return l, err
	}
	m.stubs = append(m.stubs, l.stub)
	if err := l.stub.SetDeadline(m.deadline); err != nil {
		return l, err
	}
	c := m.caller
	give := []*sys.FD{c.mnt.FD, c.user.FD, c.root}
	for _, s := range m.starts {
		give = append(give, s.dir)
	}
	if tree != nil {
		give = append(give, tree.FD)
	}
	given, err := l.stub.Give(give...)
	if err != nil {
		return l, err
	}
	if m.Socket != nil {
		if err := m.joinForSocket(l.stub); err != nil {
			return l, err
		}
	}
	mnt, user, root := given[0], given[1], given[2]
	l.dirs, l.tree = given[3:3+len(m.starts)], given[len(given)-1]
	if c.user.ID() == m.userns {
		user = -1
	}
	return l, l.stub.Become(mnt, user, root, &c.Identity)
}

// attach moves a tree onto a target that fits it, both the stub's. The kernel decides
// whether the caller may.
func (m *mount) attach(stub *sys.Stub, tree, target int, fits func(sys.Stat) bool) error {
	st, at, err := stub.Stat(target)
	if err != nil {
		return refusal{err}
	}
	if m.Noted != 0 && at == m.Noted {
		return nil // who served it before has done it
	}
	if !fits(st) {
		return refusal{unix.ENOTDIR}
	}
	_, id, err := stub.Stat(tree)
	if err != nil {
		return err
	}
	if err := m.note(m.id, id, m.deadline); err != nil {
		return err
	}
	if err := stub.Attach(tree, target); err != nil {
		return refusal{err}
	}
	return nil
}
