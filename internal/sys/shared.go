package sys

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// NewSharedMemory makes a memfd of zeroes whose size nobody can change: who cut it
// would have those killed that have mapped it.
func NewSharedMemory(name string, size int64) (*FD, error) {
	n, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	fd := &FD{n}
	if err := unix.Ftruncate(n, size); err != nil {
		return nil, errors.Join(os.NewSyscallError("ftruncate", err), fd.Close())
	}
	_, err = unix.FcntlInt(uintptr(n), unix.F_ADD_SEALS, unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_SEAL)
	if err != nil {
		return nil, errors.Join(os.NewSyscallError("fcntl F_ADD_SEALS", err), fd.Close())
	}
	return fd, nil
}

// MapSharedMemory maps a file of NewSharedMemory, from this process or another one,
// that has this size.
func MapSharedMemory(fd *FD, size int64) ([]byte, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd.fd, &st); err != nil {
		return nil, os.NewSyscallError("fstat", err)
	}
	if st.Size != size {
		return nil, fmt.Errorf("shared memory has %d bytes instead of %d: %w", st.Size, size, unix.EINVAL)
	}
	b, err := unix.Mmap(fd.fd, 0, int(size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_NORESERVE)
	if err != nil {
		return nil, os.NewSyscallError("mmap", err)
	}
	return b, nil
}

// UnmapSharedMemory ends the mapping.
func UnmapSharedMemory(b []byte) error { return os.NewSyscallError("munmap", unix.Munmap(b)) }
