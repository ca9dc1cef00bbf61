package sys

import (
	"errors"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Identity is what the kernel goes by when a process opens files. Ids are numbers of
// this process's user namespace.
type Identity struct {
	UID, GID             [4]uint32 // real, effective, saved, for files
	Groups               []uint32
	Effective, Permitted uint64 // capabilities in its own user namespace
}

// Give gives the stub, which has not become anybody yet, descriptors of this process. It
// returns their numbers there.
func (s *Stub) Give(files ...*FD) ([]int, error) {
	for _, f := range files {
		s.plan("pidfd_getfd", unix.SYS_PIDFD_GETFD, uintptr(s.giver), uintptr(f.fd), 0)
	}
	if err := s.run(); err != nil {
		return nil, err
	}
	given := make([]int, len(files))
	for i := range given {
		given[i] = int(s.calls().call[i].result)
	}
	return given, nil
}

// Become makes the stub a member of namespaces, with the directory root as its root and
// with an identity. All three are numbers of the stub's; user is -1 for the user
// namespace that it is in.
func (s *Stub) Become(mounts, user, root int, id *Identity) error {
	_, groups, err := s.put(id.Groups)
	if err != nil {
		return err
	}
	dot, err := s.putString(".")
	if err != nil {
		return err
	}
	_, header, err := s.put(unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3})
	if err != nil {
		return err
	}
	_, capabilities, err := s.put([2]unix.CapUserData{
		{Effective: uint32(id.Effective), Permitted: uint32(id.Permitted)},
		{Effective: uint32(id.Effective >> 32), Permitted: uint32(id.Permitted >> 32)},
	})
	if err != nil {
		return err
	}
	s.Forget(s.giver)
	s.plan("setgroups", unix.SYS_SETGROUPS, uintptr(len(id.Groups)), groups)
	// Its capabilities stay until they are set.
	s.plan("prctl PR_SET_SECUREBITS", unix.SYS_PRCTL, unix.PR_SET_SECUREBITS, secbitNoSetuidFixup)
	s.plan("setresgid", unix.SYS_SETRESGID, uintptr(id.GID[0]), uintptr(id.GID[1]), uintptr(id.GID[2]))
	s.plan("setfsgid", unix.SYS_SETFSGID, uintptr(id.GID[3]))
	s.plan("setresuid", unix.SYS_SETRESUID, uintptr(id.UID[0]), uintptr(id.UID[1]), uintptr(id.UID[2]))
	s.plan("setfsuid", unix.SYS_SETFSUID, uintptr(id.UID[3]))
	s.plan("setns", unix.SYS_SETNS, uintptr(mounts), NewNS)
	if user >= 0 {
		// Before the root: some file systems let in only members of the user namespace
		// that has mounted them.
		s.plan("setns", unix.SYS_SETNS, uintptr(user), NewUser)
	}
	own, err := s.planStat(unix.AT_FDCWD)
	if err != nil {
		return err
	}
	s.plan("fchdir", unix.SYS_FCHDIR, uintptr(root))
	s.plan("chroot", unix.SYS_CHROOT, dot)
	now, err := s.planStat(unix.AT_FDCWD)
	if err != nil {
		return err
	}
	_, err = s.do("capset", unix.SYS_CAPSET, header, capabilities)
	s.moved = own.Ino != now.Ino || own.Mnt_id != now.Mnt_id
	return err
}

// LetGo has the stub close all that it was given or has opened. It reports whether it keeps
// no mount busy then that others could unmount: its root does, if it was given one that is
// not that of its mount namespace.
func (s *Stub) LetGo() bool {
	s.planCloseAllBut(s.theirs)
	return s.run() == nil && !s.moved
}

// Resolve restricts a path lookup (openat2(2)).
type Resolve uint64

// NoMagicLinks refuses links that lead elsewhere than their text says, with ELOOP.
const NoMagicLinks Resolve = unix.RESOLVE_NO_MAGICLINKS

// OpenPath opens what path leads to from the directory dir, with O_PATH. The number is
// the stub's.
func (s *Stub) OpenPath(dir int, path string, flags int, resolve Resolve) (int, error) {
	name, err := s.putString(path)
	if err != nil {
		return 0, err
	}
	b, how, err := s.put(unix.OpenHow{Flags: uint64(unix.O_PATH | unix.O_CLOEXEC | flags), Resolve: uint64(resolve)})
	if err != nil {
		return 0, err
	}
	fd, err := s.do("openat2", unix.SYS_OPENAT2, uintptr(dir), name, how, uintptr(len(b)))
	return int(fd), err
}

// Stat returns the attributes of a descriptor of the stub's, and the id of the mount
// that it was opened through. Since Linux 6.8 no other mount ever has that id.
func (s *Stub) Stat(fd int) (st Stat, mount uint64, err error) {
	stx, err := s.planStat(fd)
	if err != nil {
		return st, 0, err
	}
	if err := s.run(); err != nil {
		return st, 0, err
	}
	return Stat{
		Dev: unix.Mkdev(stx.Dev_major, stx.Dev_minor), Ino: stx.Ino, Mode: uint32(stx.Mode),
		Rdev: unix.Mkdev(stx.Rdev_major, stx.Rdev_minor), UID: stx.Uid, GID: stx.Gid,
	}, stx.Mnt_id, nil
}

// planStat returns where the attributes of a descriptor, or of the working directory, will
// be.
func (s *Stub) planStat(fd int) (*unix.Statx_t, error) {
	empty, err := s.putString("")
	if err != nil {
		return nil, err
	}
	b, out, err := s.reserve(int(unsafe.Sizeof(unix.Statx_t{})))
	if err != nil {
		return nil, err
	}
	mask := uintptr(unix.STATX_BASIC_STATS | unix.STATX_MNT_ID | unix.STATX_MNT_ID_UNIQUE)
	flags := uintptr(unix.AT_EMPTY_PATH | unix.AT_STATX_DONT_SYNC)
	s.plan("statx", unix.SYS_STATX, uintptr(fd), empty, flags, mask, out)
	return (*unix.Statx_t)(unsafe.Pointer(&b[0])), nil
}

// StatFS returns the magic number of the file system that holds the file, and the flags
// of its mount.
func (s *Stub) StatFS(fd int) (magic int64, flags Restrictions, err error) {
	b, out, err := s.reserve(int(unsafe.Sizeof(unix.Statfs_t{})))
	if err != nil {
		return 0, 0, err
	}
	if _, err := s.do("fstatfs", unix.SYS_FSTATFS, uintptr(fd), out); err != nil {
		return 0, 0, err
	}
	st := (*unix.Statfs_t)(unsafe.Pointer(&b[0]))
	return int64(st.Type), Restrictions(st.Flags), nil
}

// Readlink returns the text of a symbolic link, which is open.
func (s *Stub) Readlink(fd int) (string, error) {
	empty, err := s.putString("")
	if err != nil {
		return "", err
	}
	b, out, err := s.reserve(unix.PathMax)
	if err != nil {
		return "", err
	}
	n, err := s.do("readlinkat", unix.SYS_READLINKAT, uintptr(fd), empty, out, uintptr(len(b)))
	if err != nil {
		return "", err
	}
	return string(b[:n]), nil
}

// CloneTree copies the mount that the file was opened through, with the file as its
// root. The number is the stub's.
func (s *Stub) CloneTree(fd int, recursive bool) (int, error) {
	empty, err := s.putString("")
	if err != nil {
		return 0, err
	}
	tree, err := s.do("open_tree", unix.SYS_OPEN_TREE, uintptr(fd), empty, uintptr(cloneFlags(recursive)|unix.AT_EMPTY_PATH))
	return int(tree), err
}

// Attach moves a detached tree onto a file.
func (s *Stub) Attach(tree, target int) error {
	empty, err := s.putString("")
	if err != nil {
		return err
	}
	_, err = s.do("move_mount", unix.SYS_MOVE_MOUNT, uintptr(tree), empty, uintptr(target), empty,
		unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_EMPTY_PATH)
	return err
}

// SetAttributes turns attributes of the mount that the file is the root of on and off. On
// is what is both.
func (s *Stub) SetAttributes(fd int, on, off Attr) error {
	empty, err := s.putString("")
	if err != nil {
		return err
	}
	b, attr, err := s.put(unix.MountAttr{Attr_set: uint64(on), Attr_clr: uint64(off)})
	if err != nil {
		return err
	}
	_, err = s.do("mount_setattr", unix.SYS_MOUNT_SETATTR, uintptr(fd), empty, unix.AT_EMPTY_PATH, attr, uintptr(len(b)))
	return err
}

// Detach unmounts the mount that the directory is the root of, with all that is mounted
// on it (MNT_DETACH).
func (s *Stub) Detach(dir int) error {
	dot, err := s.putString(".")
	if err != nil {
		return err
	}
	s.plan("fchdir", unix.SYS_FCHDIR, uintptr(dir))
	_, err = s.do("umount", unix.SYS_UMOUNT2, dot, unix.MNT_DETACH)
	return err
}

// Forget closes a descriptor of the stub's when the next call is made.
func (s *Stub) Forget(fd int) { s.plan("close", unix.SYS_CLOSE, uintptr(fd)) }

// newMount does in the stub what NewMount does here.
func (s *Stub) newMount(fstype string, attrs Attr, options [][2]string) (*Tree, error) {
	name, err := s.putString(fstype)
	if err != nil {
		return nil, err
	}
	context, err := s.do("fsopen", unix.SYS_FSOPEN, name, unix.FSOPEN_CLOEXEC)
	if err != nil {
		return nil, err
	}
	for _, o := range options {
		key, keyErr := s.putString(o[0])
		value, valueErr := s.putString(o[1])
		if err := errors.Join(keyErr, valueErr); err != nil {
			return nil, err
		}
		if _, err := s.do("fsconfig", unix.SYS_FSCONFIG, context, unix.FSCONFIG_SET_STRING, key, value, 0); err != nil {
			return nil, fmt.Errorf("%s=%s: %w", o[0], o[1], err)
		}
	}
	if _, err := s.do("fsconfig", unix.SYS_FSCONFIG, context, unix.FSCONFIG_CMD_CREATE, 0, 0, 0); err != nil {
		return nil, err
	}
	tree, err := s.do("fsmount", unix.SYS_FSMOUNT, context, unix.FSMOUNT_CLOEXEC, uintptr(attrs))
	if err != nil {
		return nil, err
	}
	fd, err := s.Take(int(tree))
	if err != nil {
		return nil, err
	}
	return &Tree{fd}, nil
}

// Take makes a descriptor of the stub's one of this process.
func (s *Stub) Take(fd int) (*FD, error) {
	process, err := OpenProcess(s.pid)
	if err != nil {
		return nil, err
	}
	defer process.Close()
	own, err := unix.PidfdGetfd(process.fd, fd, 0)
	if err != nil {
		return nil, os.NewSyscallError("pidfd_getfd", err)
	}
	return &FD{own}, nil
}
