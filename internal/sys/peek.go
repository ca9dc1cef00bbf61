package sys

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// peekSize is how much of a stream is looked at in one go.
const peekSize = 64 << 10

// PeekStream looks at what the other end of a stream socket has sent, and at the
// descriptors beside it, until enough is true or fails. All of it stays in the socket, for
// who has the socket when this process is killed. It observes the read deadline, and
// gives up after limit bytes. The descriptors are the caller's, also with an error.
func PeekStream(conn *net.UnixConn, limit int, enough func(data []byte) (bool, error)) (fds []*FD, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	var optErr error
	err = raw.Control(func(fd uintptr) { optErr = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PEEK_OFF, 0) })
	if err := errors.Join(err, os.NewSyscallError("setsockopt SO_PEEK_OFF", optErr)); err != nil {
		return nil, err
	}
	var data []byte
	for {
		more, beside, err := peek(raw)
		fds = append(fds, beside...)
		if err != nil {
			return fds, err
		}
		data = append(data, more...)
		switch done, err := enough(data); {
		case done || err != nil:
			return fds, err
		case len(more) == 0:
			return fds, io.ErrUnexpectedEOF
		case len(data) > limit:
			return fds, fmt.Errorf("the message has more than %d bytes", limit)
		}
	}
}

// peek looks at what comes behind that which was looked at before.
func peek(raw syscall.RawConn) (data []byte, fds []*FD, err error) {
	data, oob := make([]byte, peekSize), make([]byte, unix.CmsgSpace(MaxPacketFDs*4))
	var n, oobn int
	var recvErr error
	err = raw.Read(func(fd uintptr) (done bool) {
		n, oobn, _, _, recvErr = unix.Recvmsg(int(fd), data, oob, unix.MSG_PEEK|unix.MSG_CMSG_CLOEXEC|unix.MSG_DONTWAIT)
		return !errors.Is(recvErr, unix.EAGAIN)
	})
	if err := errors.Join(err, os.NewSyscallError("recvmsg", recvErr)); err != nil {
		return nil, nil, err
	}
	fds, err = receivedFDs(oob[:oobn])
	return data[:n], fds, err
}
