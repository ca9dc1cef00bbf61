package keeper

import (
	"fmt"
	"net"
	"os"
	"time"

	"github.com/coreos/go-systemd/v22/activation"
	"github.com/coreos/go-systemd/v22/daemon"

	"cloister/internal/sys"
)

// systemd is the manager above the keeper; it is nil where there is none.
type systemd struct{ conn *net.UnixConn }

// notifyTimeout bounds how long a message waits for a manager that is busy.
const notifyTimeout = time.Second

func connectSystemd() (*systemd, error) {
	name := os.Getenv("NOTIFY_SOCKET")
	if name == "" {
		return nil, nil
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Net: "unixgram", Name: name})
	if err != nil {
		return nil, fmt.Errorf("notification socket of systemd: %w", err)
	}
	return &systemd{conn}, nil
}

func (s *systemd) notify(m message, fds ...int) error {
	if s == nil || len(m) == 0 {
		return nil
	}
	err := s.conn.SetWriteDeadline(time.Now().Add(notifyTimeout))
	if err == nil {
		err = sys.SendPacket(s.conn, m.String(), fds...)
	}
	if err != nil {
		return fmt.Errorf("tell systemd %s: %w", m[0], err)
	}
	return nil
}

// remove takes a name out of systemd's store.
func (s *systemd) remove(name string) error {
	return s.notify(message{fdStoreRemove, fdName + "=" + name})
}

// store replaces a name in systemd's store, which by itself keeps both.
// FDPOLL=0: an error on the descriptor, such as of a connection that was aborted,
// is no reason to drop it.
func (s *systemd) store(name string, fd int) error {
	if err := s.remove(name); err != nil {
		return err
	}
	return s.notify(message{fdStore, fdName + "=" + name, "FDPOLL=0"}, fd)
}

// pings returns a channel that tells when systemd's own watchdog wants to hear of
// the keeper; nil if it does not.
func (s *systemd) pings() (<-chan time.Time, error) {
	limit, err := daemon.SdWatchdogEnabled(false)
	if err != nil || limit == 0 || s == nil {
		return nil, err
	}
	return time.Tick(limit / 3), nil
}

// inherited returns what systemd has kept since the last keeper, and the sockets
// that it has opened for this one. Of several with one name the last is taken.
func inherited() (store, error) {
	s := store{}
	for _, f := range activation.Files(true) {
		fd, err := sys.Duplicate(int(f.Fd()))
		if err != nil {
			return nil, err
		}
		s.put(f.Name(), fd)
		if err := f.Close(); err != nil {
			return nil, err
		}
	}
	return s, nil
}
