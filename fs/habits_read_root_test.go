//go:build root

package fs

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"

	"golang.org/x/sys/unix"

	"cloister/fs/fstest"
)

var readHabits = []habit{
	{"read after SEEK_CUR", func(s subject) error {
		start := make([]byte, 5)
		if _, err := unix.Read(s.fd, start); err != nil {
			return err
		}
		if at, err := unix.Seek(s.fd, 0, unix.SEEK_CUR); err != nil || at != 5 {
			return fmt.Errorf("at %d, %w", at, err)
		}
		return s.whole(s.fd, start)
	}, nil, nil},
	{"read on after SEEK_SET", func(s subject) error {
		start := make([]byte, 9)
		if _, err := unix.Read(s.fd, start); err != nil {
			return err
		}
		if _, err := unix.Seek(s.fd, 4, unix.SEEK_SET); err != nil {
			return err
		}
		return s.whole(s.fd, start[:4])
	}, nil, nil},
	{"SEEK_END", seek(0, unix.SEEK_END), unix.EINVAL, []error{nil}},
	{"SEEK_DATA", seek(0, unix.SEEK_DATA), unix.EINVAL, []error{nil}},
	{"SEEK_SET before the start", seek(-1, unix.SEEK_SET), unix.EINVAL, nil},
	{"SEEK_SET behind the end", func(s subject) error {
		if _, err := unix.Seek(s.fd, 1<<30, unix.SEEK_SET); err != nil {
			return err
		}
		if n, err := unix.Read(s.fd, make([]byte, 10)); n != 0 || err != nil {
			return fmt.Errorf("%d bytes, %w", n, err)
		}
		_, err := unix.Seek(s.fd, 0, unix.SEEK_SET)
		return errors.Join(err, s.whole(s.fd, nil))
	}, nil, nil},
	{"preadv", func(s subject) error {
		buf := make([]byte, 64<<10)
		n, err := unix.Preadv(s.fd, [][]byte{buf[:10], buf[10:20], buf[20:]}, 0)
		return errors.Join(err, s.isWhole(buf[:n]))
	}, nil, nil},
	{"preadv2 without waiting", func(s subject) error {
		buf := make([]byte, 64<<10)
		n, err := unix.Preadv2(s.fd, [][]byte{buf}, 0, unix.RWF_NOWAIT)
		if err != nil {
			return err
		}
		return s.isWhole(buf[:n])
	}, unix.EOPNOTSUPP, []error{unix.EAGAIN, nil}},
	{"dup", func(s subject) error {
		fd, err := unix.Dup(s.fd)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		start := make([]byte, 7)
		if _, err := unix.Read(fd, start); err != nil {
			return err
		}
		return s.whole(s.fd, start)
	}, nil, nil},
	{"offset shared by processes", func(s subject) error {
		out, err := exec.Command("sh", "-c", `{ dd bs=7 count=1 status=none; cat; } < "$0"`, s.path).Output()
		return errors.Join(err, s.isWhole(out))
	}, nil, nil},
	{"readahead", func(s subject) error {
		_, _, errno := unix.Syscall(unix.SYS_READAHEAD, uintptr(s.fd), 0, 4096)
		return errors.Join(orNil(errno), s.whole(s.fd, nil))
	}, nil, nil},
	{"fadvise", func(s subject) error {
		return errors.Join(unix.Fadvise(s.fd, 0, 0, unix.FADV_DONTNEED), s.whole(s.fd, nil))
	}, nil, nil},
	{"io_uring at the start, twice", func(s subject) error {
		var last []byte
		for range 2 {
			buf := make([]byte, 28)
			n, err := fstest.ReadByUring(s.fd, buf, 0)
			if errors.Is(err, fstest.ErrNoUring) {
				return nil
			}
			if err != nil || n != len(buf) {
				return fmt.Errorf("%d bytes, %w", n, err)
			}
			if s.fresh && bytes.Equal(buf, last) {
				return errors.New("is not fresh")
			}
			last = buf
		}
		return s.whole(s.fd, nil)
	}, nil, nil},
	{"sendfile to a file", sendToFile, nil, []error{unix.EINVAL}},
	{"sendfile to a socket", sendToSocket, nil, []error{unix.EINVAL}},
	{"copy_file_range", func(s subject) error {
		to, err := newFile()
		if err != nil {
			return err
		}
		defer to.Close()
		n, err := unix.CopyFileRange(s.fd, nil, int(to.Fd()), nil, 64<<10, 0)
		if err != nil {
			return err
		}
		if n == 0 { // by the size of 0 that files of procfs have
			return unix.EINVAL
		}
		return s.copied(to)
	}, unix.EXDEV, []error{unix.EINVAL, unix.EOPNOTSUPP, nil}},
}

func seek(offset int64, whence int) func(subject) error {
	return func(s subject) error {
		_, err := unix.Seek(s.fd, offset, whence)
		return err
	}
}

func orNil(errno unix.Errno) error {
	if errno == 0 {
		return nil
	}
	return errno
}

// newFile is a file without a name.
func newFile() (*os.File, error) {
	fd, err := unix.MemfdCreate("copy", unix.MFD_CLOEXEC)
	return os.NewFile(uintptr(fd), "copy"), err
}

func (s subject) copied(to *os.File) error {
	if _, err := to.Seek(0, 0); err != nil {
		return err
	}
	return s.whole(int(to.Fd()), nil)
}

func sendToSocket(s subject) error {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(pair[1])
	err = send(pair[0], s.fd)
	unix.Close(pair[0])
	if err != nil {
		return err
	}
	return s.whole(pair[1], nil)
}

func sendToFile(s subject) error {
	to, err := newFile()
	if err != nil {
		return err
	}
	defer to.Close()
	if err := send(int(to.Fd()), s.fd); err != nil {
		return err
	}
	return s.copied(to)
}

// send moves a short file to its end.
func send(to, from int) error {
	for {
		if n, err := unix.Sendfile(to, from, nil, 64<<10); n == 0 || err != nil {
			return err
		}
	}
}
