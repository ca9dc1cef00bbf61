package daemon

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"

	"cloister/internal/keeper"
	"cloister/internal/sys"
)

// legacy is what outlives this process: descriptors that the keeper has, too, and gives
// to the next one. Without a keeper nothing does.
type legacy struct {
	client *keeper.Client
	mu     *sync.Mutex    // guards what of client is not for many goroutines, too
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
	if l.client == nil {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.client.Stored(name) != nil
}

// names returns those of all that a predecessor has left with a prefix.
func (l legacy) names(prefix string) []string {
	if l.client == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.DeleteFunc(l.client.Names(), func(name string) bool { return !strings.HasPrefix(name, prefix) })
}

// take returns what a predecessor has left under a name, nil if there is none. The
// file is the caller's.
func (l legacy) take(name string) (*os.File, error) {
	fd, err := l.takeFD(name)
	if fd == nil || err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd.Int()), name), nil
}

// takeFD is take of what is no file.
func (l legacy) takeFD(name string) (*sys.FD, error) {
	if l.client == nil {
		return nil, nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	stored := l.client.Stored(name)
	if stored == nil {
		return nil, nil
	}
	return sys.Duplicate(stored.Int())
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
	if failed := conn.Control(func(fd uintptr) { err = l.leaveFD(name, int(fd)) }); failed != nil {
		err = failed
	}
	return err
}

// leaveFD is leave of a descriptor.
func (l legacy) leaveFD(name string, fd int) error {
	if l.client == nil {
		return nil
	}
	own, err := sys.Duplicate(fd)
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

// forget has what was left under names, by a predecessor or by this process, closed here
// and in the keeper.
func (l legacy) forget(names ...string) error {
	if l.client == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	var errs []error
	for _, name := range names {
		if fd, ok := l.fds[name]; ok {
			errs = append(errs, l.client.Remove(name), sys.NewFD(fd).Close())
			delete(l.fds, name)
		}
	}
	return errors.Join(errs...)
}

// trusted reports whether what was left may be used: not after predecessors that have
// failed with it again and again.
func (l legacy) trusted() bool { return l.client != nil && !l.client.Fresh() }
