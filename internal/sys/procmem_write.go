package sys

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ProcessMemory is the memory of a process. It stays that when the process executes
// another program, or when its number has become another's.
type ProcessMemory struct{ mem, maps *os.File }

// OpenProcessMemory opens the memory of the process that has the thread.
func OpenProcessMemory(tid int) (m *ProcessMemory, err error) {
	m = &ProcessMemory{}
	if m.mem, err = os.OpenFile(fmt.Sprintf("/proc/%d/mem", tid), os.O_WRONLY, 0); err != nil {
		return nil, err
	}
	if m.maps, err = os.Open(fmt.Sprintf("/proc/%d/maps", tid)); err != nil {
		return nil, errors.Join(err, m.mem.Close())
	}
	return m, nil
}

// Close gives it back.
func (m *ProcessMemory) Close() error {
	if m == nil {
		return nil
	}
	return errors.Join(m.mem.Close(), m.maps.Close())
}

// Write writes as far as the process itself could: fewer bytes come with EFAULT, as well
// if the process has ended.
func (m *ProcessMemory) Write(addr uint64, b []byte) (int, error) {
	// The file writes where the process must not as well, to debug it.
	can, err := m.writable(addr, uint64(len(b)))
	if err != nil || can == 0 {
		return 0, errors.Join(err, unix.EFAULT)
	}
	n, err := m.mem.WriteAt(b[:can], int64(addr))
	if n < len(b) {
		err = unix.EFAULT
	}
	return n, err
}

// writable returns how many of length bytes from addr on can be written to.
func (m *ProcessMemory) writable(addr, length uint64) (n uint64, err error) {
	for n < length && int64(addr+n) >= 0 { // the upper half is the kernel's
		end, err := m.endOfWritable(addr + n)
		if err != nil || end <= addr+n {
			return n, err
		}
		n = min(end-addr, length)
	}
	return n, nil
}

// mapQuery is struct procmap_query (linux/fs.h).
type mapQuery struct {
	size, flags, addr           uint64
	start, end, vmaFlags        uint64
	pageSize, offset, inode     uint64
	major, minor                uint32
	nameSize, buildIDSize       uint32
	nameAddress, buildIDAddress uint64
}

const (
	procmapQuery    = 0xc0686611 // PROCMAP_QUERY (Linux 6.11), _IOWR('f', 17, struct procmap_query)
	procmapWritable = 2          // PROCMAP_QUERY_VMA_WRITABLE
)

// endOfWritable returns where the mapping ends that has addr, 0 if there is none which can
// be written to.
func (m *ProcessMemory) endOfWritable(addr uint64) (uint64, error) {
	q := mapQuery{flags: procmapWritable, addr: addr}
	q.size = uint64(unsafe.Sizeof(q))
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, m.maps.Fd(), procmapQuery, uintptr(unsafe.Pointer(&q)))
	switch errno {
	case 0:
		return q.end, nil
	case unix.ENOENT, unix.ESRCH:
		return 0, nil
	case unix.ENOTTY: // an older kernel
		return m.endInText(addr)
	}
	return 0, os.NewSyscallError("ioctl PROCMAP_QUERY", errno)
}

// endInText does the same by the text (proc_pid_maps(5)).
func (m *ProcessMemory) endInText(addr uint64) (uint64, error) {
	if _, err := m.maps.Seek(0, 0); err != nil {
		return 0, err
	}
	for lines := bufio.NewScanner(m.maps); ; {
		if !lines.Scan() {
			return 0, lines.Err()
		}
		var start, end uint64
		var access string
		if _, err := fmt.Sscanf(lines.Text(), "%x-%x %s", &start, &end, &access); err != nil {
			return 0, fmt.Errorf("%q in the list of mappings: %w", lines.Text(), err)
		}
		if addr >= start && addr < end {
			if !strings.Contains(access, "w") {
				end = 0
			}
			return end, nil
		}
	}
}
