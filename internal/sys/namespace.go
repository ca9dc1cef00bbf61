package sys

import (
	"errors"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The kinds of namespaces, as setns(2) and unshare(2) number them.
const (
	NewNS     = unix.CLONE_NEWNS
	NewUser   = unix.CLONE_NEWUSER
	NewNet    = unix.CLONE_NEWNET
	NewPID    = unix.CLONE_NEWPID
	NewIPC    = unix.CLONE_NEWIPC
	NewUTS    = unix.CLONE_NEWUTS
	NewCgroup = unix.CLONE_NEWCGROUP
	NewTime   = unix.CLONE_NEWTIME
)

// ErrNotNamespace is returned for a path that holds no namespace.
var ErrNotNamespace = errors.New("not a namespace")

// Namespace is an open namespace. While it is open the namespace exists.
type Namespace struct {
	*FD
	id FileID
}

// OpenNamespace opens the namespace at path, which is /proc/<pid>/ns/<kind> or
// a place where such a file is mounted.
func OpenNamespace(path string) (*Namespace, error) {
	named, err := OpenPath(path) // opening a device may do something
	if err != nil {
		return nil, err
	}
	defer named.Close()
	magic, err := named.FSMagic()
	if err == nil && magic != unix.NSFS_MAGIC {
		err = fmt.Errorf("%s: %w", path, ErrNotNamespace)
	}
	if err != nil {
		return nil, err
	}
	fd, err := Open(named.ProcPath(), unix.O_RDONLY)
	if err != nil {
		return nil, err
	}
	return newNamespace(fd)
}

// OpenPIDNamespace opens a namespace of a process; kind is the file's name in
// /proc/<pid>/ns.
func OpenPIDNamespace(pid int, kind string) (*Namespace, error) {
	return OpenNamespace(fmt.Sprintf("/proc/%d/ns/%s", pid, kind))
}

// OpenThreadNamespace opens a namespace of the calling thread.
func OpenThreadNamespace(kind string) (*Namespace, error) {
	return OpenNamespace("/proc/thread-self/ns/" + kind)
}

// OpenNamespaceAt opens a namespace of the process whose directory in /proc is open.
func OpenNamespaceAt(process *FD, kind string) (*Namespace, error) {
	fd, err := process.OpenAt("ns/"+kind, unix.O_RDONLY)
	if err != nil {
		return nil, err
	}
	return newNamespace(fd)
}

func newNamespace(fd *FD) (*Namespace, error) {
	st, err := fd.Stat()
	if err != nil {
		return nil, errors.Join(err, fd.Close())
	}
	return &Namespace{FD: fd, id: st.ID()}, nil
}

// Close gives the namespace back; nil is none.
func (n *Namespace) Close() error {
	if n == nil {
		return nil
	}
	return n.FD.Close()
}

// ID identifies the namespace on this host while it exists.
func (n *Namespace) ID() FileID { return n.id }

// Owner opens the user namespace that owns n (ioctl_ns(2), NS_GET_USERNS):
// capabilities in that one decide what may be done in n. For a user namespace
// it is the parent. EPERM means that the owner is outside the caller's own user
// namespace.
func (n *Namespace) Owner() (*Namespace, error) {
	fd, err := unix.IoctlRetInt(n.fd, unix.NS_GET_USERNS)
	if err != nil {
		return nil, os.NewSyscallError("ioctl NS_GET_USERNS", err)
	}
	return newNamespace(&FD{fd})
}

// OwnerUID returns the user who has made a user namespace (NS_GET_OWNER_UID). In its
// parent, that user has all capabilities over it.
func (n *Namespace) OwnerUID() (uint32, error) {
	var uid uint32
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(n.fd), unix.NS_GET_OWNER_UID, uintptr(unsafe.Pointer(&uid)))
	if errno != 0 {
		return 0, os.NewSyscallError("ioctl NS_GET_OWNER_UID", errno)
	}
	return uid, nil
}

// Enter moves the calling thread into n. kind is checked by the kernel.
func (n *Namespace) Enter(kind int) error {
	return os.NewSyscallError("setns", unix.Setns(n.fd, kind))
}

// UnshareMounts gives the calling thread a mount namespace, working directory
// and root of its own. The other threads keep theirs, so the thread must stay
// locked, and later file accesses of this goroutine only see the new namespace.
func UnshareMounts() error {
	return os.NewSyscallError("unshare", unix.Unshare(unix.CLONE_NEWNS))
}

// UnshareFS gives the calling thread a working directory and root of its own,
// which setns(2) into a mount namespace demands.
func UnshareFS() error {
	return os.NewSyscallError("unshare", unix.Unshare(unix.CLONE_FS))
}

// Duplicate returns another descriptor of the namespace.
func (n *Namespace) Duplicate() (*Namespace, error) {
	fd, err := Duplicate(n.fd)
	if err != nil {
		return nil, err
	}
	return &Namespace{FD: fd, id: n.id}, nil
}
