package sys

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// PacketConn is one end of a pair of connected sockets that keep the borders of
// messages (SOCK_SEQPACKET), and that carry descriptors.
type PacketConn struct{ conn *net.UnixConn }

// PacketPair returns both ends; the other one is for a child process.
func PacketPair() (*PacketConn, *os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	other := os.NewFile(uintptr(fds[1]), "socketpair")
	conn, err := NewPacketConn(fds[0])
	if err != nil {
		return nil, nil, errors.Join(err, other.Close())
	}
	return conn, other, nil
}

// NewPacketConn takes over a socket.
func NewPacketConn(fd int) (*PacketConn, error) {
	f := os.NewFile(uintptr(fd), "socket")
	if f == nil {
		return nil, fmt.Errorf("socket %d: %w", fd, unix.EBADF)
	}
	defer f.Close() // FileConn has made a duplicate
	c, err := net.FileConn(f)
	if err != nil {
		return nil, err
	}
	conn, ok := c.(*net.UnixConn)
	if !ok {
		return nil, errors.Join(fmt.Errorf("descriptor %d is no unix socket", fd), c.Close())
	}
	return &PacketConn{conn}, nil
}

// MaxPacketFDs is how many descriptors a message can carry (SCM_MAX_FD).
const MaxPacketFDs = 253

// Send sends a message, with duplicates of the descriptors.
func (c *PacketConn) Send(text string, fds ...int) error {
	return SendPacket(c.conn, text, fds...)
}

// SendPacket is Send on any unix socket that keeps the borders of messages; it
// observes the write deadline. (WriteMsgUnix refuses connected datagram sockets.)
func SendPacket(conn *net.UnixConn, text string, fds ...int) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var sendErr error
	err = raw.Write(func(fd uintptr) (done bool) {
		sendErr = sendmsg(fd, text, fds)
		return !errors.Is(sendErr, unix.EAGAIN)
	})
	if err != nil {
		return err
	}
	return os.NewSyscallError("sendmsg", sendErr)
}

// TrySend sends a message if that is possible at once, and also while a Send waits
// for the other end to read.
func (c *PacketConn) TrySend(text string, fds ...int) error {
	raw, err := c.conn.SyscallConn()
	if err != nil {
		return err
	}
	var sendErr error
	err = raw.Control(func(fd uintptr) { sendErr = sendmsg(fd, text, fds) })
	return errors.Join(err, os.NewSyscallError("sendmsg", sendErr))
}

func sendmsg(fd uintptr, text string, fds []int) error {
	var rights []byte
	if len(fds) > 0 {
		rights = unix.UnixRights(fds...)
	}
	return unix.Sendmsg(int(fd), []byte(text), rights, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
}

// Receive waits for a message and reads it into buf. What is too long for buf, and
// descriptors that the process's limit has no place for, are lost: the caller
// knows what to expect. io.EOF means that the other end is closed.
func (c *PacketConn) Receive(buf []byte) (string, []*FD, error) {
	oob := make([]byte, unix.CmsgSpace(MaxPacketFDs*4))
	n, oobn, _, _, err := c.conn.ReadMsgUnix(buf, oob)
	for errors.Is(err, unix.ECONNRESET) {
		// The other end was closed with messages unread. The kernel says so only
		// once, and before it hands out what is left here.
		n, oobn, _, _, err = c.conn.ReadMsgUnix(buf, oob)
	}
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = io.EOF
		}
		return "", nil, err
	}
	fds, err := receivedFDs(oob[:oobn])
	return string(buf[:n]), fds, err
}

func receivedFDs(oob []byte) ([]*FD, error) {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil, err
	}
	var fds []*FD
	for i := range messages {
		rights, err := unix.ParseUnixRights(&messages[i])
		if err != nil {
			return fds, err
		}
		for _, fd := range rights {
			fds = append(fds, &FD{fd}) // the net package asks for close-on-exec
		}
	}
	return fds, nil
}

// Duplicate returns another descriptor of this end.
func (c *PacketConn) Duplicate() (fd *FD, err error) {
	raw, err := c.conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	if controlErr := raw.Control(func(n uintptr) { fd, err = Duplicate(int(n)) }); controlErr != nil {
		return nil, controlErr
	}
	return fd, err
}

// Close closes this end, and ends what waits on it.
func (c *PacketConn) Close() error { return c.conn.Close() }
