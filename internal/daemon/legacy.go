package daemon

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"

	"cloister/internal/keeper"
	"cloister/internal/sys"
)

// legacy is what outlives this process: descriptors that the keeper has, too, and gives
// to the next one. Without a keeper nothing does.
type legacy struct {
	client *keeper.Client
	mu     *sync.Mutex
	fds    map[string]int // all that is kept, by name; guarded by mu
}

func newLegacy(client *keeper.Client) legacy {
	l := legacy{client: client, mu: &sync.Mutex{}, fds: map[string]int{}}
	if client != nil {
		for _, name := range client.Names() {
			l.fds[name] = client.Stored(name).Int()
		}
	}
	return l
}

// takeOver makes this process the keeper, in place of one that is dead. It returns only
// if it fails.
func (l legacy) takeOver() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.client.TakeOver(os.Args[1:], l.fds)
}

// has reports whether a predecessor has left something under a name.
func (l legacy) has(name string) bool {
	return l.client != nil && l.client.Stored(name) != nil
}

// take returns what a predecessor has left under a name, nil if there is none. The
// file is the caller's.
func (l legacy) take(name string) (*os.File, error) {
	if !l.has(name) {
		return nil, nil
	}
	fd, err := sys.Duplicate(l.client.Stored(name).Int())
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd.Int()), name), nil
}

// leave has the keeper keep a file, which stays the caller's.
func (l legacy) leave(name string, f syscall.Conn) error {
	if l.client == nil {
		return nil
	}
	conn, err := f.SyscallConn() // os.File.Fd would have accept(2) block
	if err != nil {
		return err
	}
	var own *sys.FD
	if failed := conn.Control(func(fd uintptr) { own, err = sys.Duplicate(int(fd)) }); failed != nil {
		err = failed
	}
	if err != nil {
		return err
	}
	if err := l.client.Store(name, own.Int()); err != nil {
		return errors.Join(fmt.Errorf("%s: %w", name, err), own.Close())
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fds[name] = own.Int()
	return nil
}

// forget has what was left under names closed, here and in the keeper.
func (l legacy) forget(names ...string) error {
	if l.client == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	var errs []error
	for _, name := range names {
		if fd := l.client.Stored(name); fd != nil {
			errs = append(errs, l.client.Remove(name), fd.Close())
			delete(l.fds, name)
		}
	}
	return errors.Join(errs...)
}

// trusted reports whether what was left may be used: not after predecessors that have
// failed with it again and again.
func (l legacy) trusted() bool { return l.client != nil && !l.client.Fresh() }
