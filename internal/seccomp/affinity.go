package seccomp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"cloister/internal/sys"
)

// Quotas tell how many CPUs a container may use.
type Quotas interface {
	// CPUs returns how many of its CPUs' time a thread of the container can use,
	// rounded up, or 0 if it is not limited.
	CPUs(container string, tid int) (int, error)
}

// maskWords are for more CPUs than Linux can have.
const maskWords = 128

type affinity struct {
	quotas   Quotas
	possible uint32 // nr_cpu_ids
}

// NewAffinity returns the handler of sched_getaffinity(2), which shows a thread that
// asks for itself as many CPUs as its quota is worth.
func NewAffinity(q Quotas) (Handler, error) {
	const path = "/sys/devices/system/cpu/possible"
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	last := strings.TrimSpace(string(text))
	last = last[strings.LastIndexAny(last, "-,")+1:]
	n, err := strconv.ParseUint(last, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return affinity{q, uint32(n) + 1}, nil
}

func (h affinity) Serve(r *Request) Answer {
	pid, length, addr := int32(r.Args[0]), uint32(r.Args[1]), r.Args[2]
	if pid != 0 {
		return Continue() // of what others see, nothing is hidden
	}
	if !validMask(length, h.possible, r.ABI) {
		return Errno(unix.EINVAL)
	}
	limit, err := h.quotas.CPUs(r.Container, r.TID)
	if err != nil {
		return failed(err)
	}
	if limit <= 0 {
		return Continue()
	}
	var mask [maskWords]uint64
	size, err := sys.Affinity(r.TID, mask[:])
	if err != nil {
		return failed(errors.Join(r.Valid(), err))
	}
	keepFirst(mask[:], limit)
	size = min(size, int(min(length, maskWords*8)))
	if err := r.WriteMemory(addr, encodeMask(mask[:], size)); err != nil {
		return failed(err)
	}
	return Return(int64(size))
}

// validMask tells whether the kernel takes a mask of that many bytes, as its
// sched_getaffinity does: in 32 bits that may overflow.
func validMask(length, possible uint32, abi ABI) bool {
	word := uint32(8)
	if abi.Compat() {
		word = 4
	}
	return length*8 >= possible && length%word == 0
}

// keepFirst takes all but the first n bits that are set out of a mask.
func keepFirst(mask []uint64, n int) {
	for i, w := range mask {
		for bits.OnesCount64(w) > n {
			w &^= 1 << (bits.Len64(w) - 1)
		}
		n -= bits.OnesCount64(w)
		mask[i] = w
	}
}

// encodeMask returns the first size bytes of a mask. Machines with cloister are
// little-endian, where words of both sizes look the same.
func encodeMask(mask []uint64, size int) []byte {
	b := make([]byte, 8*len(mask))
	for i, w := range mask {
		binary.LittleEndian.PutUint64(b[8*i:], w)
	}
	return b[:size]
}
