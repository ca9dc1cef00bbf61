package sys

import (
	"errors"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// Credentials are those of the process at the other end of a unix socket, at the
// time when it connected or began to listen.
type Credentials struct {
	PID      int
	UID, GID uint32
}

// PeerCredentials returns the credentials of the other end (unix(7), SO_PEERCRED),
// as numbers of this process's namespaces.
func PeerCredentials(conn *net.UnixConn) (Credentials, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return Credentials{}, err
	}
	var cred *unix.Ucred
	var credErr error
	err = raw.Control(func(fd uintptr) {
		cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err := errors.Join(err, os.NewSyscallError("getsockopt SO_PEERCRED", credErr)); err != nil {
		return Credentials{}, err
	}
	return Credentials{PID: int(cred.Pid), UID: cred.Uid, GID: cred.Gid}, nil
}
