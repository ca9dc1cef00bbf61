//go:build root

package fs

import (
	"errors"
	"fmt"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// openHabits open the file in other ways.
var openHabits = []habit{
	{"through /proc/self/fd", func(s subject) error { return s.again(procFD(s.fd), unix.O_RDONLY) }, nil, nil},
	{"of an O_PATH", func(s subject) error {
		fd, err := unix.Open(s.path, unix.O_PATH|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		if _, err := unix.Read(fd, make([]byte, 1)); !errors.Is(err, unix.EBADF) {
			return fmt.Errorf("read: %w", err)
		}
		return s.again(procFD(fd), unix.O_RDONLY)
	}, nil, nil},
	{"without a name", func(s subject) error { _, err := unix.Openat(s.fd, "", unix.O_RDONLY, 0); return err }, unix.ENOENT, nil},
	{"as a directory", func(s subject) error { return s.again(s.path, unix.O_RDONLY|unix.O_DIRECTORY) }, unix.ENOTDIR, nil},
	{"with O_DIRECT", func(s subject) error { return s.again(s.path, unix.O_RDONLY|unix.O_DIRECT) }, unix.EINVAL, []error{nil}},
	{"with O_NONBLOCK", func(s subject) error { return s.again(s.path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOATIME) }, nil, nil},
	{"to execute", func(s subject) error { return unix.Exec(s.path, []string{s.path}, nil) }, unix.EACCES, nil},
	{"to connect", func(s subject) error {
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		return unix.Connect(fd, &unix.SockaddrUnix{Name: procFD(s.fd)})
	}, unix.ECONNREFUSED, []error{unix.EROFS}},
	{"to map and write", func(s subject) error {
		_, err := unix.Mmap(s.fd, 0, 4096, unix.PROT_WRITE, unix.MAP_SHARED)
		return err
	}, unix.EACCES, nil},
}

// askHabits ask about the open file.
var askHabits = []habit{
	{"fstat", func(s subject) error {
		var st unix.Stat_t
		if err := unix.Fstat(s.fd, &st); err != nil {
			return err
		}
		if st.Mode != unix.S_IFREG|0o444 || st.Nlink != 1 {
			return fmt.Errorf("%+v", st)
		}
		return s.whole(s.fd, nil)
	}, nil, nil},
	{"poll", func(s subject) error {
		fds := []unix.PollFd{{Fd: int32(s.fd), Events: unix.POLLIN}}
		if n, err := unix.Poll(fds, 0); n != 1 || err != nil || fds[0].Revents != unix.POLLIN {
			return fmt.Errorf("%d %+v, %w", n, fds, err)
		}
		return nil
	}, nil, nil},
	{"epoll", func(s subject) error {
		epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
		if err != nil {
			return err
		}
		defer unix.Close(epoll)
		return unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, s.fd, &unix.EpollEvent{Events: unix.EPOLLIN})
	}, nil, nil},
	{"FIONREAD", func(s subject) error { _, err := unix.IoctlGetInt(s.fd, unix.TIOCINQ); return err }, nil, nil},
	{"TCGETS", func(s subject) error { _, err := unix.IoctlGetTermios(s.fd, unix.TCGETS); return err }, unix.ENOTTY, nil},
	{"FS_IOC_GETFLAGS", func(s subject) error { _, err := unix.IoctlGetInt(s.fd, unix.FS_IOC_GETFLAGS); return err }, unix.ENOTTY, nil},
	{"getxattr", func(s subject) error { _, err := unix.Getxattr(s.path, "user.x", make([]byte, 9)); return err }, unix.EOPNOTSUPP, nil},
	{"listxattr", func(s subject) error { _, err := unix.Listxattr(s.path, make([]byte, 99)); return err }, nil, []error{unix.EOPNOTSUPP}},
	{"flock", func(s subject) error {
		return errors.Join(unix.Flock(s.fd, unix.LOCK_SH|unix.LOCK_NB), unix.Flock(s.fd, unix.LOCK_UN))
	}, nil, nil},
	{"fcntl lock", func(s subject) error {
		lock := unix.Flock_t{Type: unix.F_RDLCK, Len: 1}
		return unix.FcntlFlock(uintptr(s.fd), unix.F_SETLK, &lock)
	}, nil, nil},
	{"lease", func(s subject) error {
		if _, err := unix.FcntlInt(uintptr(s.fd), unix.F_SETLEASE, unix.F_RDLCK); err != nil {
			return err
		}
		_, err := unix.FcntlInt(uintptr(s.fd), unix.F_SETLEASE, unix.F_UNLCK)
		return err
	}, nil, []error{unix.EAGAIN, unix.EINVAL}},
	{"inotify", func(s subject) error {
		fd, err := unix.InotifyInit1(unix.IN_CLOEXEC)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		_, err = unix.InotifyAddWatch(fd, s.path, unix.IN_ALL_EVENTS)
		return errors.Join(err, s.whole(s.fd, nil))
	}, nil, nil},
	{"statfs", func(s subject) error { return unix.Fstatfs(s.fd, new(unix.Statfs_t)) }, nil, nil},
}

// changeHabits would change the file if it were writable, see TestNothingCanBeWritten.
var changeHabits = []habit{
	{"fsync", func(s subject) error { return unix.Fsync(s.fd) }, unix.EINVAL, []error{nil}},
	{"fallocate", func(s subject) error { return unix.Fallocate(s.fd, 0, 0, 1) }, unix.EBADF, nil},
	{"ftruncate", func(s subject) error { return unix.Ftruncate(s.fd, 0) }, unix.EINVAL, nil},
	{"write", func(s subject) error { _, err := unix.Write(s.fd, []byte("x")); return err }, unix.EBADF, nil},
	{"name below a file", func(s subject) error { return unix.Mkdir(filepath.Join(s.path, "x"), 0o755) }, unix.ENOTDIR, nil},
	{"fchdir", func(s subject) error { return unix.Fchdir(s.fd) }, unix.ENOTDIR, nil},
}

func procFD(fd int) string { return fmt.Sprintf("/proc/self/fd/%d", fd) }
