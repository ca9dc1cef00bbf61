package sys

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"unsafe"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"
)

// Zygote starts stubs. It is one itself, which has hardly any memory, and so have those that
// it starts: they begin and end in a fraction of the time that a copy of this process takes.
// The zero value is ready, and forks a process when it is first needed.
type Zygote struct {
	mu   sync.Mutex
	stub *Stub // guarded by mu
}

// NewStub is the function of that name, for the namespaces that the zygote was started in.
// A zygote that has failed is replaced.
func (z *Zygote) NewStub() (*Stub, error) {
	z.mu.Lock()
	defer z.mu.Unlock()
	for {
		started := z.stub == nil
		if started {
			if err := z.start(); err != nil {
				return nil, err
			}
		}
		s, err := z.stub.newStub()
		if err == nil {
			return s, nil
		}
		z.stub.End() // what it has made of the calls is not known
		z.stub = nil
		if started {
			return nil, err
		}
	}
}

// End ends the zygote, not the stubs that it has started.
func (z *Zygote) End() {
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.stub != nil {
		<-z.stub.End()
		z.stub = nil
	}
}

func (z *Zygote) start() (err error) {
	// The kernel writes to memory of the C library, if there is one (rseq(2)), and ends a
	// stub that has given it back. It is not in the heap.
	for _, heapOnly := range []bool{false, true} {
		if z.stub, err = NewStub(); err != nil {
			return err
		}
		if err = z.stub.shrink(heapOnly); err == nil {
			return nil
		}
		z.stub.End()
	}
	z.stub = nil
	return fmt.Errorf("give back the memory of a stub: %w", err)
}

// newStub has the stub start another one, whose parent is this process as well.
func (s *Stub) newStub() (*Stub, error) {
	n, k, err := prepareStub()
	if err != nil {
		return nil, err
	}
	defer k.close()
	given, err := s.Give(k.memory, k.conn)
	if err != nil {
		return nil, errors.Join(err, n.conn.Close(), UnmapSharedMemory(n.memory))
	}
	return n.begin(s.giver, given[1], func() (int, error) {
		at := uintptr(unsafe.Pointer(&n.memory[0])) // it has nothing there that we had not
		s.plan("mmap", unix.SYS_MMAP, at, stubMemory, unix.PROT_READ|unix.PROT_WRITE,
			unix.MAP_SHARED|unix.MAP_FIXED_NOREPLACE, uintptr(given[0]), 0)
		clone := len(s.names)
		s.plan("clone", unix.SYS_CLONE, unix.CLONE_PARENT)
		s.calls().call[clone].child = n.calls()
		s.plan("munmap", unix.SYS_MUNMAP, at, stubMemory)
		s.planCloseAllBut(s.giver, s.theirs)
		err := s.run()
		return int(s.calls().call[clone].result), err
	})
}

// shrink gives back the memory of this program that the stub has a copy of, but for the end
// of its stack, and what others share with it.
func (s *Stub) shrink(heapOnly bool) error {
	p, err := procfs.NewProc(s.pid)
	if err != nil {
		return err
	}
	mappings, err := p.ProcMaps()
	if err != nil {
		return err
	}
	page := uintptr(os.Getpagesize())
	end := s.calls().stack &^ (page - 1) // it never returns to what is above
	own := uintptr(unsafe.Pointer(&s.memory[0]))
	for _, m := range mappings {
		has := func(addr uintptr) bool { return m.StartAddr <= addr && addr < m.EndAddr }
		ofFile := m.Inode != 0 || strings.HasPrefix(m.Pathname, "[v") // vdso, vvar, vsyscall
		if has(own) || !m.Perms.Shared && (ofFile || heapOnly && !has(end)) {
			continue
		}
		if err := errors.Join(s.unmap(m.StartAddr, min(m.EndAddr, end-page)), s.unmap(max(m.StartAddr, end+2*page), m.EndAddr)); err != nil {
			return err
		}
	}
	return nil
}

func (s *Stub) unmap(start, end uintptr) error {
	if start >= end {
		return nil
	}
	_, err := s.do("munmap", unix.SYS_MUNMAP, start, end-start)
	return err
}
