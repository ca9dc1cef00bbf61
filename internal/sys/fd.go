package sys

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// FD is an owned file descriptor, always close-on-exec. Unlike os.File it is
// never handed to the runtime's poller and has no finalizer: whoever opened it
// closes it. The zero value is not usable.
type FD struct{ fd int }

// NewFD takes over a descriptor that is close-on-exec.
func NewFD(fd int) *FD { return &FD{fd} }

// OpenPath opens path with O_PATH: a handle on the file itself that gives no
// access to its content and does not trigger opens of devices or sockets. A
// symbolic link at the end is followed.
func OpenPath(path string) (*FD, error) {
	return Open(path, unix.O_PATH)
}

// Open opens path with the given flags and O_CLOEXEC.
func Open(path string, flags int) (*FD, error) {
	fd, err := unix.Open(path, flags|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	return &FD{fd}, nil
}

// OpenBeneathPath opens the file at path below dir with O_PATH. It follows no
// symbolic link on the way and never leaves dir, while it crosses mounts freely:
// this is how a path that a container controls is opened.
func OpenBeneathPath(dir *FD, path string) (*FD, error) {
	fd, err := unix.Openat2(dir.fd, path, &unix.OpenHow{
		Flags:   unix.O_PATH | unix.O_NOFOLLOW | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS,
	})
	if err != nil {
		return nil, &os.PathError{Op: "openat2", Path: path, Err: err}
	}
	return &FD{fd}, nil
}

// OpenInRoot opens the file at path with O_PATH, as a process would whose root is
// the directory root: links are followed and stay in it.
func OpenInRoot(root *FD, path string) (*FD, error) {
	fd, err := unix.Openat2(root.fd, path, &unix.OpenHow{
		Flags:   unix.O_PATH | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS,
	})
	if err != nil {
		return nil, &os.PathError{Op: "openat2", Path: path, Err: err}
	}
	return &FD{fd}, nil
}

const resolveCached = 0x20 // RESOLVE_CACHED, linux/openat2.h

// OpenCached is OpenInRoot for a path that the kernel has at hand. It waits for nobody,
// and returns EAGAIN where it would.
func OpenCached(root *FD, path string) (*FD, error) {
	fd, err := unix.Openat2(root.fd, path, &unix.OpenHow{
		Flags:   unix.O_PATH | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS | resolveCached,
	})
	if err != nil {
		return nil, &os.PathError{Op: "openat2", Path: path, Err: err}
	}
	return &FD{fd}, nil
}

// OpenAt opens the file at path below the directory, or wherever path leads, with the
// given flags and O_CLOEXEC.
func (f *FD) OpenAt(path string, flags int) (*FD, error) {
	fd, err := unix.Openat(f.fd, path, flags|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "openat", Path: path, Err: err}
	}
	return &FD{fd}, nil
}

// ReadFileAt reads the file with this name in a directory, following no link.
func ReadFileAt(dir *FD, name string) ([]byte, error) {
	fd, err := dir.OpenAt(name, unix.O_RDONLY|unix.O_NOFOLLOW)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd.fd), name)
	defer f.Close() // only read from
	return io.ReadAll(f)
}

// MkdirAllInRoot makes a directory and those above it, where they are missing, as a
// process would whose root is the directory root.
func MkdirAllInRoot(root *FD, path string, mode uint32) error {
	parent := ""
	for _, name := range strings.Split(strings.Trim(filepath.Clean("/"+path), "/"), "/") {
		if name == "" { // the root itself
			continue
		}
		if err := mkdirInRoot(root, parent, name, mode); err != nil {
			return &os.PathError{Op: "mkdir", Path: path, Err: err}
		}
		parent = filepath.Join(parent, name)
	}
	return nil
}

func mkdirInRoot(root *FD, parent, name string, mode uint32) error {
	there, err := OpenInRoot(root, filepath.Join(parent, name))
	if !errors.Is(err, os.ErrNotExist) {
		return errors.Join(err, there.Close())
	}
	dir, err := OpenInRoot(root, filepath.Join(".", parent))
	if err != nil {
		return err
	}
	defer dir.Close()
	return unix.Mkdirat(dir.fd, name, mode)
}

// CreateInRoot makes an empty file, unless there is one, in a directory that is there, as
// a process would whose root is the directory root.
func CreateInRoot(root *FD, path string, mode uint32) error {
	fd, err := unix.Openat2(root.fd, path, &unix.OpenHow{
		Flags:   unix.O_CREAT | unix.O_RDONLY | unix.O_NOFOLLOW | unix.O_NONBLOCK | unix.O_CLOEXEC,
		Mode:    uint64(mode),
		Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS,
	})
	if err != nil {
		return &os.PathError{Op: "openat2", Path: path, Err: err}
	}
	return (&FD{fd}).Close()
}

// Int returns the number; it stays valid until Close.
func (f *FD) Int() int { return f.fd }

// ProcPath names the open file in the calling thread's /proc, for calls that
// only take paths.
func (f *FD) ProcPath() string { return "/proc/thread-self/fd/" + strconv.Itoa(f.fd) }

// RealPath returns the path at which the open file is reachable in the calling
// thread's mount namespace, as the kernel prints it.
func (f *FD) RealPath() (string, error) {
	p, err := os.Readlink(f.ProcPath())
	if err != nil {
		return "", fmt.Errorf("name of open file: %w", err)
	}
	return p, nil
}

// Readlink returns the text of a symbolic link, which is open.
func (f *FD) Readlink() (string, error) {
	b := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(f.fd, "", b)
	if err != nil {
		return "", os.NewSyscallError("readlinkat", err)
	}
	return string(b[:n]), nil
}

// Write makes one write call: a kernel file takes a command whole or not at all.
func (f *FD) Write(b []byte) (int, error) {
	n, err := unix.Write(f.fd, b)
	return max(n, 0), os.NewSyscallError("write", err)
}

// TryLock takes the lock of the open file (flock(2)), which ends with the last
// descriptor of it. It reports whether nobody else had it.
func (f *FD) TryLock() (bool, error) {
	err := unix.Flock(f.fd, unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return false, nil
	}
	return err == nil, os.NewSyscallError("flock", err)
}

// Close gives the descriptor back.
func (f *FD) Close() error {
	if f == nil || f.fd < 0 {
		return nil
	}
	fd := f.fd
	f.fd = -1
	return os.NewSyscallError("close", unix.Close(fd))
}

// Stat is what identifies a file and says what it is.
type Stat struct {
	Dev, Ino uint64
	Mode     uint32 // S_IFMT and permission bits
	Rdev     uint64
	UID, GID uint32
}

// Type returns the S_IFMT bits.
func (s Stat) Type() uint32 { return s.Mode & unix.S_IFMT }

// IsDir, IsLink, IsSocket and IsDevice tell the kind of file.
func (s Stat) IsDir() bool    { return s.Type() == unix.S_IFDIR }
func (s Stat) IsLink() bool   { return s.Type() == unix.S_IFLNK }
func (s Stat) IsSocket() bool { return s.Type() == unix.S_IFSOCK }
func (s Stat) IsDevice() bool { return s.Type() == unix.S_IFCHR || s.Type() == unix.S_IFBLK }

// IsBlockDevice tells a block device from a character device.
func (s Stat) IsBlockDevice() bool { return s.Type() == unix.S_IFBLK }

// Device returns the number of the device that the file is a node of.
func (s Stat) Device() (major, minor int64) {
	return int64(unix.Major(s.Rdev)), int64(unix.Minor(s.Rdev))
}

// FileID names a file on this host while it exists.
type FileID struct{ Dev, Ino uint64 }

// ID returns the file's identity.
func (s Stat) ID() FileID { return FileID{s.Dev, s.Ino} }

// Stat reads the open file's attributes.
func (f *FD) Stat() (Stat, error) {
	var st unix.Stat_t
	if err := unix.Fstatat(f.fd, "", &st, unix.AT_EMPTY_PATH); err != nil {
		return Stat{}, os.NewSyscallError("fstat", err)
	}
	return newStat(&st), nil
}

// StatPath reads the attributes of the file at path, following a symbolic link.
func StatPath(path string) (Stat, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return Stat{}, &os.PathError{Op: "stat", Path: path, Err: err}
	}
	return newStat(&st), nil
}

func newStat(st *unix.Stat_t) Stat {
	return Stat{
		Dev: uint64(st.Dev), Ino: st.Ino, Mode: st.Mode, Rdev: uint64(st.Rdev), // int32 or uint32 elsewhere
		UID: st.Uid, GID: st.Gid,
	}
}

// The magic numbers of the kernel's own file systems.
const (
	ProcMagic  int64 = unix.PROC_SUPER_MAGIC
	SysfsMagic int64 = unix.SYSFS_MAGIC
)

// FSMagic returns the magic number of the file system that holds the open file
// (statfs(2), f_type).
func (f *FD) FSMagic() (int64, error) {
	var st unix.Statfs_t
	if err := unix.Fstatfs(f.fd, &st); err != nil {
		return 0, os.NewSyscallError("fstatfs", err)
	}
	return int64(st.Type), nil // int32 elsewhere
}

// IsMountRoot reports whether the file is the root of the mount that it was opened
// through, and returns its number. It asks no server of a file system.
func (f *FD) IsMountRoot() (is bool, inode uint64, err error) {
	var stx unix.Statx_t
	if err := unix.Statx(f.fd, "", unix.AT_EMPTY_PATH|unix.AT_STATX_DONT_SYNC, unix.STATX_INO, &stx); err != nil {
		return false, 0, os.NewSyscallError("statx", err)
	}
	return stx.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0, stx.Ino, nil
}

// MountID returns the id of the mount through which the file was opened, as the
// first column of mountinfo shows it.
func (f *FD) MountID() (int, error) {
	var stx unix.Statx_t
	if err := unix.Statx(f.fd, "", unix.AT_EMPTY_PATH|unix.AT_STATX_DONT_SYNC, unix.STATX_MNT_ID, &stx); err != nil {
		return 0, os.NewSyscallError("statx", err)
	}
	if stx.Mask&unix.STATX_MNT_ID == 0 {
		return 0, fmt.Errorf("statx: kernel gives no mount id (Linux 5.8 does): %w", unix.ENOSYS)
	}
	return int(stx.Mnt_id), nil
}
