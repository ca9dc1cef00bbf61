package mounter

import (
	"time"

	"cloister/internal/sealed"
)

// Address returns where others find the workshop. gone, if not 0, is the process of an
// address whose workshop they have not found: there will be another.
func (m *Mounter) Address(gone int) (sealed.Address, error) {
	deadline := time.Now().Add(startLimit)
	p, err := m.next(nil, deadline)
	if err == nil && p.PID == gone {
		p, err = m.next(p, deadline)
	}
	if err != nil {
		return sealed.Address{}, err
	}
	return sealed.Address{PID: p.PID, LockedFD: p.LockedFD}, nil
}
