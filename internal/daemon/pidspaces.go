package daemon

import (
	"fmt"
	"sync"

	"cloister/emul"
	"cloister/fs"
	"cloister/internal/sys"
)

// pidSpaces tells the containers of a container apart, and from it, by their pid
// namespaces: which views, and figures, are for a thread.
type pidSpaces struct {
	mu  sync.RWMutex
	all map[string]*pidSpace // by a container's key; guarded by mu
}

// pidSpace is a container's.
type pidSpace struct {
	slot   fs.Slot
	own    sys.FileID             // the namespace of its init
	nested map[sys.FileID]fs.Slot // namespaces in it that have views of their own
}

// maxPIDLevel is how deep the kernel lets pid namespaces be (MAX_PID_NS_LEVEL).
const maxPIDLevel = 32

// add notes a container whose init is pid.
func (s *pidSpaces) add(key string, slot fs.Slot, pid int) error {
	own, err := pidNamespaceOf(pid)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil {
		s.all = map[string]*pidSpace{}
	}
	s.all[key] = &pidSpace{slot: slot, own: own, nested: map[sys.FileID]fs.Slot{}}
	return nil
}

func (s *pidSpaces) remove(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.all, key)
}

// nest notes the views of a namespace in a container.
func (s *pidSpaces) nest(key string, ns sys.FileID, slot fs.Slot) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if space := s.all[key]; space != nil {
		space.nested[ns] = slot
	}
}

// unnest forgets them.
func (s *pidSpaces) unnest(key string, slot fs.Slot) {
	s.mu.Lock()
	defer s.mu.Unlock()
	space := s.all[key]
	if space == nil {
		return
	}
	for ns, its := range space.nested {
		if its == slot {
			delete(space.nested, ns)
		}
	}
}

// exact returns the slot that the views of a namespace have.
func (s *pidSpaces) exact(key string, ns sys.FileID) (slot fs.Slot, known bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	space := s.all[key]
	if space == nil {
		return fs.Slot{}, false
	}
	if ns == space.own {
		return space.slot, true
	}
	slot, known = space.nested[ns]
	return slot, known
}

// slotOf returns the slot for a thread of a container: that of its pid namespace, or of
// the innermost one around that has views. Preconditions: tid is the thread's number, or
// what is returned does not matter.
func (s *pidSpaces) slotOf(key string, tid int) (fs.Slot, error) {
	s.mu.RLock()
	space := s.all[key]
	alone := space != nil && len(space.nested) == 0
	s.mu.RUnlock()
	switch {
	case space == nil:
		return fs.Slot{}, fmt.Errorf("%s: %w", key, errNotFound)
	case alone:
		return space.slot, nil
	}
	id, err := pidNamespaceOf(tid)
	if err != nil {
		return fs.Slot{}, err
	}
	if slot, ok := s.exact(key, id); ok {
		return slot, nil
	}
	ns, err := sys.OpenPIDNamespace(tid, "pid")
	if err != nil {
		return fs.Slot{}, err
	}
	defer func() { _ = ns.Close() }() // only read from
	for range maxPIDLevel {
		outer, err := ns.Parent()
		if err != nil { // it is not below the container's: a pod shares that of its first container
			break
		}
		_ = ns.Close()
		ns = outer
		if slot, ok := s.exact(key, ns.ID()); ok {
			return slot, nil
		}
	}
	return space.slot, nil
}

// pidNamespaceOf identifies the pid namespace of a thread, as long as it has one.
func pidNamespaceOf(tid int) (sys.FileID, error) { return namespaceOf(tid, "pid") }

// namespaceOf identifies a namespace of a thread.
func namespaceOf(tid int, kind string) (sys.FileID, error) {
	st, err := sys.StatPath(fmt.Sprintf("/proc/%d/ns/%s", tid, kind))
	return st.ID(), err
}

// figures returns the container that a thread's figures are those of.
func (r *registry) figures(key string, tid int) (*emul.Container, error) {
	slot, err := r.pidSpaces.slotOf(key, tid)
	if err != nil {
		return nil, err
	}
	return r.views.container(slot)
}

// Sysinfo implements seccomp.Figures.
func (r *registry) Sysinfo(key string, tid int) (emul.Sysinfo, error) {
	c, err := r.figures(key, tid)
	if err != nil {
		return emul.Sysinfo{}, err
	}
	return c.Sysinfo()
}

// CPUs implements seccomp.Quotas.
func (r *registry) CPUs(key string, tid int) (int, error) {
	c, err := r.figures(key, tid)
	if err != nil {
		return 0, err
	}
	return c.CPUs()
}
