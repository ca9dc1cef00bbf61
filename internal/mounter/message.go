package mounter

import (
	"encoding/json"
	"syscall"
	"time"

	"cloister/internal/sys"
)

// message is what the daemon and the mounter tell each other. A request comes with the
// directory of the caller in /proc.
type message struct {
	ID      uint64   `json:"id,omitempty"` // of the request that it is about
	Request *request `json:"request,omitempty"`
	// Note is the id of the mount that the mounter is about to attach or change; Noted tells it to
	// go on, and Gone that there is nobody any more whose it would be.
	Note  uint64 `json:"note,omitempty"`
	Noted bool   `json:"noted,omitempty"`
	Gone  bool   `json:"gone,omitempty"`
	Reply *reply `json:"reply,omitempty"`
	// Drop is a container that has ended.
	Drop string `json:"drop,omitempty"`
}

// request is a mount(2), umount2(2) or socket(2) to serve.
type request struct {
	Container string        `json:"container"`
	Bind      bool          `json:"bind,omitempty"`
	Remount   bool          `json:"remount,omitempty"`
	Unmount   bool          `json:"unmount,omitempty"`
	Type      string        `json:"type,omitempty"` // of a new mount
	Flags     uint64        `json:"flags,omitempty"`
	Source    []byte        `json:"source,omitempty"`
	Target    []byte        `json:"target"`
	Data      []byte        `json:"data,omitempty"`
	Facts     *Facts        `json:"facts,omitempty"` // of a new mount
	Noted     uint64        `json:"noted,omitempty"` // by who served it before
	Timeout   time.Duration `json:"timeout"`
	Socket    *socket       `json:"socket,omitempty"` // then nothing of a mount
}

// reply is what the caller gets.
type reply struct {
	Errno    syscall.Errno `json:"errno,omitempty"`
	Continue bool          `json:"continue,omitempty"` // the kernel is to do it
	Error    string        `json:"error,omitempty"`    // for the log, of EIO

	socket *sys.FD // comes with the message
}

func send(conn *sys.PacketConn, m message, fds ...int) error {
	text, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return conn.Send(string(text), fds...)
}

// receive waits for a message. The descriptors are for the caller to close.
func receive(conn *sys.PacketConn, buf []byte) (m message, fds []*sys.FD, err error) {
	text, fds, err := conn.Receive(buf)
	if err == nil {
		err = json.Unmarshal([]byte(text), &m)
	}
	return m, fds, err
}
