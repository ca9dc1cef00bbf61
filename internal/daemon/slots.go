package daemon

import (
	"errors"

	"cloister/fs"
)

// slotSet hands out slot indexes, the lowest free one first.
type slotSet struct{ used []bool }

var errNoSlot = errors.New("no free view slot: the host has the greatest number of containers that cloister serves")

func (s *slotSet) take() (uint32, error) {
	for i, used := range s.used {
		if !used {
			s.used[i] = true
			return uint32(i), nil
		}
	}
	if len(s.used) == fs.MaxSlots {
		return 0, errNoSlot
	}
	s.used = append(s.used, true)
	return uint32(len(s.used) - 1), nil
}

// claim takes a particular index; false if it is in use.
func (s *slotSet) claim(i uint32) bool {
	if i >= fs.MaxSlots {
		return false
	}
	for uint32(len(s.used)) <= i {
		s.used = append(s.used, false)
	}
	if s.used[i] {
		return false
	}
	s.used[i] = true
	return true
}

func (s *slotSet) free(i uint32) {
	if i < uint32(len(s.used)) {
		s.used[i] = false
	}
}
