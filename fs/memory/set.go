package memory

import "math/bits"

// set holds numbers below a bound and finds the lowest that it does not hold. Low
// numbers come again first: their memory is in the CPU's caches, and what is above
// them falls empty.
type set struct {
	// levels has a bit for each number in the first, and in each above it a bit for
	// each word of the one below: whether that is full.
	levels [][]uint64
	count  int
}

const full = ^uint64(0)

func newSet(bound int) set {
	var s set
	for bits := bound; ; {
		words := make([]uint64, (bits+63)/64)
		if rest := bits % 64; rest != 0 { // what is beyond the bound is not free
			words[len(words)-1] = full << rest
		}
		s.levels = append(s.levels, words)
		if bits = len(words); bits == 1 {
			return s
		}
	}
}

// take adds the lowest number that is not in the set.
func (s *set) take() (int, bool) {
	i := 0
	for l := len(s.levels) - 1; l >= 0; l-- {
		word := s.levels[l][i]
		if word == full { // only the highest level can be
			return 0, false
		}
		i = i<<6 | bits.TrailingZeros64(^word)
	}
	s.add(i)
	return i, true
}

// add reports whether the number was not in the set. Precondition: it is below the bound.
func (s *set) add(i int) bool {
	if s.has(i) {
		return false
	}
	s.count++
	for _, words := range s.levels {
		word := &words[i>>6]
		*word |= 1 << (i & 63)
		if *word != full {
			break
		}
		i >>= 6
	}
	return true
}

// remove reports whether the number was in the set. Precondition: it is below the bound.
func (s *set) remove(i int) bool {
	if !s.has(i) {
		return false
	}
	s.count--
	for _, words := range s.levels {
		word := &words[i>>6]
		wasFull := *word == full
		*word &^= 1 << (i & 63)
		if !wasFull {
			break
		}
		i >>= 6
	}
	return true
}

func (s *set) has(i int) bool { return s.levels[0][i>>6]&(1<<(i&63)) != 0 }

// group returns the members from i*64 to i*64+63, as bits.
func (s *set) group(i int) uint64 { return s.levels[0][i] }

// nextGroup returns the first group from i on that has members, or the number of groups.
func (s *set) nextGroup(i int) int {
	for ; i < len(s.levels[0]); i++ {
		if s.levels[0][i] != 0 {
			break
		}
	}
	return i
}
