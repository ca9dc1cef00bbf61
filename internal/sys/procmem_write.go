package sys

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ProcessMemory is the memory of a process, to write to. It stays that when the process
// executes another program, or when its number has become another's.
type ProcessMemory struct{ fd *FD }

// OpenProcessMemory opens the memory of the process that has the thread.
func OpenProcessMemory(tid int) (*ProcessMemory, error) {
	fd, err := Open("/proc/"+strconv.Itoa(tid)+"/mem", unix.O_WRONLY)
	if err != nil {
		return nil, err
	}
	return &ProcessMemory{fd}, nil
}

// Close gives it back.
func (m *ProcessMemory) Close() error {
	if m == nil {
		return nil
	}
	return m.fd.Close()
}

// Write writes as far as the process itself could, by its mappings: fewer bytes come with
// EFAULT, as well if the process has ended. Where the mappings are wrong it may write where
// the process itself could not without mprotect(2), but in no other memory.
func (m *ProcessMemory) Write(maps *Mappings, addr uint64, b []byte) (int, error) {
	// The file writes where the process must not as well, to debug it.
	can, err := maps.Writable(addr, uint64(len(b)))
	if err != nil || can == 0 {
		return 0, errors.Join(err, unix.EFAULT)
	}
	n, _ := unix.Pwrite(m.fd.fd, b[:can], int64(addr))
	if n < len(b) {
		return max(n, 0), unix.EFAULT
	}
	return n, nil
}

// Mappings is what is mapped into the memory of a process. Like ProcessMemory it stays that.
type Mappings struct{ fd *FD }

// OpenMappings opens those of the process that has the thread.
func OpenMappings(tid int) (*Mappings, error) {
	fd, err := Open("/proc/"+strconv.Itoa(tid)+"/maps", unix.O_RDONLY)
	if err != nil {
		return nil, err
	}
	return &Mappings{fd}, nil
}

// Close gives it back.
func (m *Mappings) Close() error {
	if m == nil {
		return nil
	}
	return m.fd.Close()
}

// Writable returns how many of length bytes from addr on can be written to, none if the
// process has ended.
func (m *Mappings) Writable(addr, length uint64) (n uint64, err error) {
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
func (m *Mappings) endOfWritable(addr uint64) (uint64, error) {
	q := mapQuery{flags: procmapWritable, addr: addr}
	q.size = uint64(unsafe.Sizeof(q))
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(m.fd.fd), procmapQuery, uintptr(unsafe.Pointer(&q)))
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
func (m *Mappings) endInText(addr uint64) (uint64, error) {
	for lines := bufio.NewScanner(&fromStart{fd: m.fd}); ; {
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

// fromStart reads a file from its beginning, wherever others have read.
type fromStart struct {
	fd *FD
	at int64
}

// Read implements io.Reader.
func (r *fromStart) Read(b []byte) (int, error) {
	n, err := unix.Pread(r.fd.fd, b, r.at)
	if err != nil {
		return 0, os.NewSyscallError("pread", err)
	}
	if n == 0 {
		return 0, io.EOF
	}
	r.at += int64(n)
	return n, nil
}
