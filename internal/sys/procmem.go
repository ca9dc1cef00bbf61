package sys

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ReadProcessMemory reads memory of the process that has the thread, as far as there
// is any: fewer bytes come with EFAULT. ESRCH means that there is no such thread.
func ReadProcessMemory(tid int, addr uint64, buf []byte) (int, error) {
	if tid <= 0 {
		return 0, unix.ESRCH
	}
	if addr+uint64(len(buf)) < addr {
		return 0, unix.EFAULT
	}
	done := 0
	for done < len(buf) {
		n, err := readPages(tid, addr+uint64(done), buf[done:])
		done += n
		switch {
		case err == unix.EFAULT || err == unix.ESRCH:
			return done, err
		case err != 0:
			return done, os.NewSyscallError("process_vm_readv", err)
		case n == 0:
			return done, unix.EFAULT
		}
	}
	return done, nil
}

// pagesPerCall is how many pages one call is asked for.
const pagesPerCall = 16

// remoteRange is a struct iovec of another process.
type remoteRange struct{ base, length uint64 }

var pageSize = uint64(os.Getpagesize())

// readPages copies the first pages. A range for each page lets the kernel do
// those that come before one that is not there.
func readPages(tid int, addr uint64, buf []byte) (int, unix.Errno) {
	var pages [pagesPerCall]remoteRange
	count, total := 0, uint64(0)
	for count < len(pages) && total < uint64(len(buf)) {
		at := addr + total
		n := min(pageSize-at%pageSize, uint64(len(buf))-total)
		pages[count] = remoteRange{at, n}
		count++
		total += n
	}
	local := unix.Iovec{Base: &buf[0]}
	local.SetLen(int(total))
	n, _, errno := unix.Syscall6(unix.SYS_PROCESS_VM_READV, uintptr(tid), uintptr(unsafe.Pointer(&local)), 1,
		uintptr(unsafe.Pointer(&pages)), uintptr(count), 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), 0
}
