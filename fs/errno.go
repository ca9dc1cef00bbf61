package fs

import (
	"errors"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"
)

// maxErrno is the first error that a reply must not carry: the kernel refuses
// the reply (ERESTARTSYS, fs/fuse/dev.c:fuse_dev_do_write) and the reader would
// wait for ever.
const maxErrno = 512

// status turns an error into what the reader sees: the syscall.Errno in its
// chain, or else EIO. ENOSYS is EIO as well, because the kernel takes it to mean
// that the server does not know the request, and stops sending it for every file.
func status(err error) fuse.Status {
	if err == nil {
		return fuse.OK
	}
	var errno syscall.Errno
	if !errors.As(err, &errno) || errno == 0 || errno >= maxErrno || errno == syscall.ENOSYS {
		return fuse.EIO
	}
	return fuse.Status(errno)
}
