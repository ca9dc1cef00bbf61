package seccomp

import (
	"encoding/binary"
	"errors"
	"math"
	"os"

	"golang.org/x/sys/unix"

	"cloister/emul"
)

// Figures are what a container may see of the host.
type Figures interface {
	// Sysinfo returns those for a thread of the container, which may be in a container
	// of its own within that one.
	Sysinfo(container string, tid int) (emul.Sysinfo, error)
}

type sysinfo struct{ figures Figures }

// NewSysinfo returns the handler of sysinfo(2).
func NewSysinfo(f Figures) Handler { return sysinfo{f} }

func (h sysinfo) Serve(r *Request) Answer {
	s, err := h.figures.Sysinfo(r.Container, r.TID)
	if err != nil {
		return failed(err)
	}
	var b [sysinfoSize]byte
	encoded := b[:]
	if r.ABI.Compat() {
		encoded = b[:compatSysinfoSize]
		putCompatSysinfo(encoded, &s)
	} else {
		putSysinfo(encoded, &s)
	}
	// The caller was the one that the figures are for: this asks whether it still waits.
	if err := r.WriteMemory(r.Args[0], encoded); err != nil {
		return failed(err)
	}
	return Return(0)
}

// failed answers a bad pointer as the kernel does, and all else with Failed.
func failed(err error) Answer {
	if errors.Is(err, unix.EFAULT) {
		return Errno(unix.EFAULT)
	}
	return Failed(err)
}

const (
	sysinfoSize       = 112 // struct sysinfo with 64-bit longs
	compatSysinfoSize = 64  // struct compat_sysinfo
)

// putSysinfo writes s in the layout of 64-bit longs, with a mem_unit of 1.
func putSysinfo(b []byte, s *emul.Sysinfo) {
	put := binary.NativeEndian.PutUint64
	put(b[0:], uint64(s.Uptime))
	for i, load := range s.Loads {
		put(b[8+8*i:], load)
	}
	for i, size := range sizes(s) {
		put(b[32+8*i:], size)
	}
	binary.NativeEndian.PutUint16(b[80:], s.Procs)
	binary.NativeEndian.PutUint32(b[104:], 1)
}

// putCompatSysinfo writes s in the layout of 32-bit longs. As the kernel does, it
// counts in pages if RAM or swap have more bytes than fit.
func putCompatSysinfo(b []byte, s *emul.Sysinfo) {
	put := func(at int, v uint64) {
		binary.NativeEndian.PutUint32(b[at:], uint32(min(v, math.MaxUint32)))
	}
	unit := uint64(1)
	if max(s.TotalRAM, s.TotalSwap) > math.MaxUint32 {
		unit = uint64(os.Getpagesize())
	}
	put(0, uint64(min(max(s.Uptime, 0), math.MaxInt32)))
	for i, load := range s.Loads {
		put(4+4*i, load)
	}
	for i, size := range sizes(s) {
		put(16+4*i, size/unit)
	}
	binary.NativeEndian.PutUint16(b[40:], s.Procs)
	put(52, unit)
}

// sizes are the fields that count bytes, in the order that both layouts have.
func sizes(s *emul.Sysinfo) [6]uint64 {
	return [6]uint64{s.TotalRAM, s.FreeRAM, s.SharedRAM, s.BufferRAM, s.TotalSwap, s.FreeSwap}
}
