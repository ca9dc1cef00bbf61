package memory

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

func TestSet(t *testing.T) {
	for _, bound := range []int{64, 256, 4096, 1 << 14, 1 << 20} {
		t.Run(fmt.Sprint(bound), func(t *testing.T) {
			s := newSet(bound)
			for want := range bound {
				if got, ok := s.take(); !ok || got != want {
					t.Fatalf("got %d, %v, want %d", got, ok, want)
				}
			}
			if got, ok := s.take(); ok {
				t.Fatalf("got %d of a full set", got)
			}
			if s.count != bound {
				t.Errorf("got count %d, want %d", s.count, bound)
			}
			for _, i := range []int{bound - 1, bound / 2, 0} {
				if !s.remove(i) || s.remove(i) || s.has(i) {
					t.Errorf("%d is not removed once", i)
				}
				if got, ok := s.take(); !ok || got != i {
					t.Errorf("got %d, %v, want %d", got, ok, i)
				}
			}
		})
	}
}

func TestSetAgainstModel(t *testing.T) {
	const bound = 1 << 13
	random := rand.New(rand.NewPCG(1, 2))
	s, model := newSet(bound), map[int]bool{}
	lowest := func() int {
		i := 0
		for model[i] {
			i++
		}
		return i
	}
	for range 20000 {
		// More is added than removed, so whole words and levels fill.
		switch i := random.IntN(bound); random.IntN(3) {
		case 0:
			want := lowest()
			if got, ok := s.take(); ok != (want < bound) || ok && got != want {
				t.Fatalf("take: got %d, %v, want %d", got, ok, want)
			}
			model[want] = true
		case 1:
			if got := s.add(i); got == model[i] {
				t.Fatalf("add %d: got %v", i, got)
			}
			model[i] = true
		case 2:
			if got := s.remove(i); got != model[i] {
				t.Fatalf("remove %d: got %v", i, got)
			}
			delete(model, i)
		}
		if s.count != len(model) {
			t.Fatalf("got count %d, want %d", s.count, len(model))
		}
	}
	members := 0
	for g := s.nextGroup(0); g < bound/64; g = s.nextGroup(g + 1) {
		for i := range 64 {
			if has := s.group(g)&(1<<i) != 0; has != model[g*64+i] {
				t.Fatalf("group has %d: got %v", g*64+i, has)
			} else if has {
				members++
			}
		}
	}
	if members != len(model) {
		t.Errorf("got %d members in groups, want %d", members, len(model))
	}
}
