package daemon

import (
	"errors"
	"fmt"
	"net"
	"os"
)

// controlName is the control socket's in the legacy.
const controlName = "control"

// listen opens a socket for the host's root. name is its in the legacy. Who connects while
// there is no daemon waits for the next, if the keeper has the socket. One that is there
// otherwise is that of a dead predecessor, since we hold the directory's lock.
func (d *Daemon) listen(name, path string) (*net.UnixListener, error) {
	l, err := d.inheritSocket(name, path)
	if l == nil && err == nil {
		l, err = d.openSocket(name, path)
	}
	if err != nil {
		return nil, fmt.Errorf("socket %s: %w", path, err)
	}
	return l, nil
}

// inheritSocket returns nil if there is no socket of a predecessor at the path.
func (d *Daemon) inheritSocket(name, path string) (*net.UnixListener, error) {
	f, err := d.legacy.take(name)
	if f == nil || err != nil {
		return nil, err
	}
	defer f.Close()
	if _, err := os.Lstat(path); err != nil {
		return nil, ignoreMissing(err)
	}
	l, err := net.FileListener(f)
	if err != nil {
		return nil, err
	}
	unix, ok := l.(*net.UnixListener)
	if !ok {
		return nil, errors.Join(fmt.Errorf("what was left as %s is no unix socket", name), l.Close())
	}
	return unix, nil
}

func (d *Daemon) openSocket(name, path string) (*net.UnixListener, error) {
	if err := ignoreMissing(os.Remove(path)); err != nil {
		return nil, err
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false) // the successor has it, too
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	if err := d.legacy.leave(name, l); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}
