package mounter

import "cloister/internal/sys"

// MountProc serves a new proc for a caller, as if it had been served before with a note.
func (m *Mounter) MountProc(container string, f *Facts, proc *sys.FD, target string, noted uint64, note func(uint64) error) error {
	return m.errorOf(&request{
		Container: container, Type: typeProc, Target: []byte(target), Facts: f, Noted: noted, Timeout: serviceLimit,
	}, proc, note)
}

// Remount changes the flags of a mount for a caller.
func (m *Mounter) Remount(container string, proc *sys.FD, target string, flags uint64, note func(uint64) error) error {
	return m.errorOf(&request{
		Container: container, Remount: true, Flags: flags, Target: []byte(target), Timeout: serviceLimit,
	}, proc, note)
}

func (m *Mounter) errorOf(r *request, proc *sys.FD, note func(uint64) error) error {
	answer, err := m.mount(r, proc, note)
	if err == nil && answer.Errno != 0 {
		err = answer.Errno
	}
	return err
}

const (
	MaxKeptOne   = maxKeptOne
	PerContainer = perContainer
	ServiceLimit = serviceLimit
)
