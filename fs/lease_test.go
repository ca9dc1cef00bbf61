package fs

import (
	"errors"
	"testing"
	"time"

	"cloister/fs/memory"
)

// leaseScript is a sequence of what happens to one file.
type leaseScript struct {
	told    bool   // by the last renew
	other   bool   // by the last open: the kernel may have the size of other content
	dropped bool   // by the last open: what was in the page cache
	thread  uint32 // of the next calls
	t       *testing.T
	l       *lease
	m       *memory.Memory
	handles map[string]memory.Handle
	now     time.Duration
}

func newLeaseScript(t *testing.T) *leaseScript {
	t.Helper()
	m, err := memory.Open(newMemoryFile(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return &leaseScript{t: t, l: &lease{}, m: m, handles: map[string]memory.Handle{}, now: time.Hour, thread: 1}
}

func (s *leaseScript) open(name string, length int, want grant) {
	s.t.Helper()
	h, err := s.m.NewHandle(memory.Opening{})
	if err == nil {
		err = h.Publish(make([]byte, length))
	}
	if err != nil {
		s.t.Fatal(err)
	}
	s.handles[name] = h
	s.other, s.dropped = false, false
	tell := telling{
		store:   func() bool { return true },
		drop:    func() { s.dropped = true },
		resized: func(other bool) { s.other = other },
	}
	got := s.l.open(h, s.thread, length, true, s.now, tell)
	if got != want || s.dropped != (got == byRead) {
		s.t.Errorf("open %s with %d bytes: got %d, pages dropped: %v; want %d", name, length, got, s.dropped, want)
	}
}

// alone opens around the page cache.
func (s *leaseScript) alone(name string, length int, other bool) {
	s.t.Helper()
	s.open(name, length, alone)
	if s.other != other {
		s.t.Errorf("open %s with %d bytes: the kernel has the size of other content: got %v, want %v", name, length, s.other, other)
	}
}

func (s *leaseScript) close(name string, left bool) {
	s.t.Helper()
	if got := s.l.close(s.handles[name]); got != left {
		s.t.Errorf("close %s: left %v, want %v", name, got, left)
	}
	s.handles[name].Free()
}

// sweep is one that the kernel has heard of.
func (s *leaseScript) sweep(name string, want bool) {
	s.t.Helper()
	h := s.handles[name]
	got := s.l.sweep(h, s.now-sweepAge)
	if got {
		s.l.left(h)
	}
	if got != want {
		s.t.Errorf("sweep %s: got %v, want %v", name, got, want)
	}
}

func (s *leaseScript) size(want int) {
	s.t.Helper()
	if got := s.l.tellSize(s.thread, s.now); got != want {
		s.t.Errorf("the kernel is told %d, want %d", got, want)
	}
}

func (s *leaseScript) fill(name string) { s.l.fill(s.handles[name], s.now) }

func (s *leaseScript) renew(name string, length int, want bool) {
	s.t.Helper()
	h := s.handles[name]
	got, told, err := s.l.renew(h, false, func() error { return h.Publish(make([]byte, length)) })
	s.told = told
	if err != nil || got != want {
		s.t.Errorf("renew %s: got %v, %v, want %v", name, got, err, want)
	}
}

// first opens and closes the first file, whose size threads are told before its content is
// read.
func (s *leaseScript) first(askers ...uint32) {
	s.t.Helper()
	s.open("a", 100, byRead)
	for _, s.thread = range askers {
		s.size(100)
	}
	s.fill("a")
	s.close("a", false)
}

func TestLease(t *testing.T) {
	for name, script := range map[string]func(s *leaseScript){
		"the first is read, then stored": func(s *leaseScript) {
			s.open("a", 100, byRead)
			s.size(100)
			s.fill("a")
			s.close("a", false)
			s.size(100)
			s.open("b", 100, byStore)
			s.close("b", false)
			s.open("c", 120, byStore)
			s.size(120)
			s.close("c", false)
		},
		"who is told a smaller size cuts for a while": func(s *leaseScript) {
			s.first(2)
			s.thread = 3
			s.alone("b", 120, true)
			s.close("b", false)
			s.now += truncateLimit
			s.open("c", 120, byRead)
		},
		"not if it is the opener": func(s *leaseScript) {
			s.first(1)
			s.thread = 3
			s.size(100)
			s.open("b", 120, byStore)
			s.size(120)
		},
		"not when it opens the file next": func(s *leaseScript) {
			s.first(2)
			s.open("b", 120, byStore)
		},
		"but others who were told do": func(s *leaseScript) {
			s.first(2, 3)
			s.alone("b", 120, true)
		},
		"nobody knows who asks": func(s *leaseScript) {
			s.thread = 0
			s.first(0)
			s.alone("b", 120, true)
		},
		"shorter content is read": func(s *leaseScript) {
			s.open("a", 100, byRead)
			s.fill("a")
			s.close("a", false)
			s.open("b", 99, byRead)
			s.size(99)
			s.close("b", false)
			s.open("c", 200, byRead) // nobody has read b
			s.close("c", false)
		},
		"others go beside": func(s *leaseScript) {
			s.open("a", 100, byRead)
			s.open("b", 200, beside)
			s.size(100)
			s.close("b", false)
			s.open("c", 50, beside)
			s.fill("a")
			s.close("a", true)
			s.size(100) // its pages are still there
			s.l.gone()
			s.size(0)
			s.open("d", 50, beside)
			s.close("c", false)
			s.close("d", false)
			s.alone("e", 50, true) // the kernel is still being told
			s.close("e", false)
			s.l.arrived()
			s.open("f", 50, byRead)
			s.close("f", false)
		},
		"what is no page": func(s *leaseScript) {
			s.alone("a", maxLeased+1, true)
			s.size(0)
			s.close("a", false)
			s.alone("b", 0, false)
			s.close("b", false)
			s.open("c", maxLeased, byRead)
			s.fill("c")
			s.size(maxLeased)
			s.close("c", false)
			s.alone("d", maxLeased+1, true)
			s.size(0)
			s.close("d", false)
		},
		"sweeps": func(s *leaseScript) {
			s.open("a", 100, byRead)
			s.now += time.Hour
			s.sweep("a", false) // nothing is there
			s.fill("a")
			s.sweep("a", false) // it has just come
			s.now += sweepAge
			s.sweep("a", true)
			s.sweep("a", false)
			s.renew("a", 300, true)
			s.renew("a", 400, false)
			s.size(300)
			s.fill("a")
			s.renew("a", 400, false)
			s.close("a", false)
			s.size(0) // what the kernel believes is not known
			s.open("b", 300, byRead)
			s.close("b", false)
		},
		"read again while it is dropped": func(s *leaseScript) {
			s.open("a", 100, byRead)
			s.fill("a")
			s.now += sweepAge
			h := s.handles["a"]
			if !s.l.sweep(h, s.now-sweepAge) {
				s.t.Error("not swept")
			}
			s.fill("a")
			s.l.left(h)
			if s.l.stale(h) || !s.l.keeps(h) {
				s.t.Error("pages that are there count as dropped")
			}
		},
		"its new size is on its way": func(s *leaseScript) {
			s.open("a", 100, byRead)
			s.fill("a")
			s.now += sweepAge
			s.sweep("a", true)
			h := s.handles["a"]
			if renewed, _, err := s.l.renew(h, true, func() error { return h.Publish(make([]byte, 300)) }); !renewed || err != nil {
				s.t.Errorf("renewed: %v, %v", renewed, err)
			}
			s.fill("a")
			s.now += sweepAge
			s.sweep("a", false) // and no other content comes before it
			s.close("a", false)
			s.alone("b", 200, true)
			s.close("b", false)
			s.l.arrived()
			s.open("c", 200, byRead)
			s.fill("c")
			s.now += sweepAge
			s.sweep("c", true)
			s.close("c", false)
		},
		"told of the old size": func(s *leaseScript) {
			s.open("a", 100, byRead)
			for length, asks := range []bool{false, true, false} {
				s.fill("a")
				s.size(s.handles["a"].Len()) // the kernel forgets that with the pages
				s.now += sweepAge
				s.sweep("a", true)
				if asks {
					s.size(s.handles["a"].Len())
				}
				if s.renew("a", 200+length, true); s.told != asks {
					s.t.Errorf("told %v, want %v", s.told, asks)
				}
			}
		},
		"a render that fails": func(s *leaseScript) {
			s.open("a", 100, byRead)
			s.fill("a")
			s.now += sweepAge
			s.sweep("a", true)
			broken := errors.New("broken")
			if _, _, err := s.l.renew(s.handles["a"], false, func() error { return broken }); !errors.Is(err, broken) {
				s.t.Errorf("got %v, want the error", err)
			}
			s.size(100)
			s.renew("a", 50, true)
		},
		"a successor": func(s *leaseScript) {
			s.open("a", 100, byRead)
			s.open("b", 120, beside)
			s.fill("a")
			s.l = &lease{}
			for h := range s.m.Handles() {
				s.l.restore(h, s.now)
			}
			s.size(100)
			s.open("c", 50, beside)
			s.sweep("a", true)
			s.close("b", false)
			s.close("c", false)
			s.close("a", false)
			s.open("d", 500, byRead)
		},
		"a successor before the first read": func(s *leaseScript) {
			s.open("a", 100, byRead)
			s.l = &lease{}
			s.l.restore(s.handles["a"], s.now)
			s.sweep("a", false)
			s.fill("a")
			s.now += sweepAge
			s.sweep("a", true)
		},
		"withdrawn": func(s *leaseScript) {
			s.open("a", 100, byRead)
			s.l.withdraw(s.handles["a"])
			s.size(0)
			s.open("b", 100, beside)
			s.close("a", false)
			s.close("b", false)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newLeaseScript(t)
			s.t = t
			script(s)
		})
	}
}

func TestLeaseOfWhatCannotBeStored(t *testing.T) {
	s := newLeaseScript(t)
	s.open("a", 100, byRead)
	s.fill("a")
	s.close("a", false)
	h, err := s.m.NewHandle(memory.Opening{})
	if err != nil {
		t.Fatal(err)
	}
	tell := telling{store: func() bool { return false }, drop: func() {}}
	if got := s.l.open(h, 1, 100, true, s.now, tell); got != byRead {
		t.Errorf("got %d, want that it is read", got)
	}
}

// However often pages leave, one message waits; what leaves after it is sent needs another.
func TestLeaseQueuesOneMessage(t *testing.T) {
	var l lease
	for round := range 2 {
		for n := range 3 {
			l.leaving()
			if sent := l.queue(); sent != (n == 0) {
				t.Errorf("round %d: message %d is to be sent: %t", round, n, sent)
			}
		}
		l.sending()
	}
	if l.invals != 2 {
		t.Errorf("%d messages are on their way, want 2", l.invals)
	}
	l.arrived()
	l.arrived()
	if l.invals != 0 || l.queued {
		t.Errorf("at the end %d messages are on their way, one waits: %t", l.invals, l.queued)
	}
}
