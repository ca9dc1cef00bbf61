package fs

import (
	"fmt"
	"strconv"
	"strings"
)

// MaxSlots is the number of slot indexes: 0 to MaxSlots-1. The uid space has
// room for one range of 65,536 ids per slot and no more.
const MaxSlots = 1 << 16

// Slot names one container's copy of the tree. An index is used again once its
// container is gone; the generation tells its users apart.
type Slot struct {
	Index      uint32
	Generation uint32
}

// String is the name of the slot's directory, "<index>.<generation>".
func (s Slot) String() string {
	return strconv.FormatUint(uint64(s.Index), 10) + "." + strconv.FormatUint(uint64(s.Generation), 10)
}

// ParseSlot is the inverse of String. It takes no other spelling of the numbers
// (sign, leading zeros), so that a slot has one name.
func ParseSlot(name string) (Slot, error) {
	index, generation, _ := strings.Cut(name, ".")
	i, errIndex := strconv.ParseUint(index, 10, 16)
	g, errGeneration := strconv.ParseUint(generation, 10, 32)
	s := Slot{Index: uint32(i), Generation: uint32(g)}
	if errIndex != nil || errGeneration != nil || s.String() != name {
		return Slot{}, fmt.Errorf("%q is not a slot name", name)
	}
	return s, nil
}
