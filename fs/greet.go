package fs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"cloister/fs/memory"
)

// greet answers INIT, which is the first request after the mount and the only one
// until it is answered. It is kept: the kernel sends it once.
func (d *device) greet() error {
	w := newWorker()
	buf := d.memory.Request(0)
	request, err := d.read(buf)
	if err != nil {
		return fmt.Errorf("read INIT: %w", err)
	}
	if op := request.opcode(); op != opInit {
		return fmt.Errorf("first request has opcode %d, want INIT", op)
	}
	reply, err := d.negotiate(request, w.reply)
	if err != nil {
		return err
	}
	if err := errors.Join(d.memory.SetShape(d.sb.shape()), d.memory.SetInit(request)); err != nil {
		return err
	}
	d.write(reply)
	memory.Clear(buf)
	return nil
}

// negotiate has the protocol server know what the kernel can do. Of struct
// fuse_init_out it is max_pages, at 28, that reads may be longer than writes by.
func (d *device) negotiate(init request, buf reply) (reply []byte, err error) {
	n, st := d.proto.HandleRequest([][]byte{init}, [][]byte{buf})
	if !st.Ok() || n < outHeaderLen+32 {
		return nil, fmt.Errorf("answer INIT: %w", syscall.Errno(st))
	}
	binary.NativeEndian.PutUint16(buf.body()[28:], uint16(maxRead/os.Getpagesize()))
	return buf[:n], nil
}

// remember is greet for the connection of a predecessor.
func (d *device) remember() error {
	init := d.memory.Init()
	if init == nil {
		return errors.New("nothing is known of INIT")
	}
	fds := []unix.PollFd{{Fd: int32(d.fd)}}
	if _, err := unix.Poll(fds, 0); err != nil || fds[0].Revents&unix.POLLERR != 0 {
		return ErrGone
	}
	if err := d.checkShape(); err != nil {
		return err
	}
	d.settles = d.sb.now() + settleTime
	_, err := d.negotiate(init, newWorker().reply)
	return err
}

// settleTime is for how long a successor puts nothing into the page cache, and has nothing
// dropped from it. A predecessor may have died in the middle of telling the kernel of a
// file's pages, and the kernel does not believe the size in a reply that crosses that.
const settleTime = 300 * time.Millisecond
