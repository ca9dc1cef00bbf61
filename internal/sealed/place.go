package sealed

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"

	"cloister/internal/sys"
)

// place is where one tree is sealed. All of it is used in the namespace for putting
// together, which several processes may work in.
type place struct {
	name string
	lock *sys.FD
}

func (p *place) built() string  { return filepath.Join(buildDir, p.name) }
func (p *place) staged() string { return filepath.Join(stageDir, p.name) }

// takePlace makes a place that nobody else has. What others who were killed have left
// is taken away.
func takePlace() (*place, error) {
	sweep()
	for {
		p, err := tryPlace()
		if err != nil || p != nil {
			return p, err
		}
	}
}

// tryPlace returns nil if somebody has swept the new place before it was locked.
func tryPlace() (*place, error) {
	f, err := os.CreateTemp(locksDir, "")
	if err != nil {
		return nil, err
	}
	name := filepath.Base(f.Name())
	if err := f.Close(); err != nil {
		return nil, err
	}
	p, err := lockPlace(name)
	if err != nil || p == nil {
		return nil, err
	}
	if err := errors.Join(os.Mkdir(p.built(), 0o700), os.Mkdir(p.staged(), 0o700)); err != nil {
		return nil, errors.Join(err, p.leave())
	}
	return p, nil
}

// lockPlace returns nil if the place is somebody's or gone.
func lockPlace(name string) (_ *place, err error) {
	path := filepath.Join(locksDir, name)
	lock, err := sys.Open(path, os.O_RDWR)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	taken, err := lock.TryLock()
	if taken && err == nil {
		taken, err = isAt(lock, path)
	}
	if err != nil || !taken {
		return nil, errors.Join(err, lock.Close())
	}
	return &place{name, lock}, nil
}

// isAt reports whether a path still leads to the open file.
func isAt(f *sys.FD, path string) (bool, error) {
	at, err := sys.StatPath(path)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	own, ownErr := f.Stat()
	return at.ID() == own.ID(), errors.Join(err, ownErr)
}

// leave takes the place away, with what is mounted there.
func (p *place) leave() error {
	var errs []error
	for _, dir := range []string{p.built(), p.staged()} {
		for _, err := range []error{sys.Detach(dir), os.Remove(dir)} {
			if err != nil && !errors.Is(err, os.ErrNotExist) && !errors.Is(err, syscall.EINVAL) {
				errs = append(errs, err)
			}
		}
	}
	// The lock goes last: a place with something left in it is swept again.
	if len(errs) == 0 {
		errs = append(errs, os.Remove(filepath.Join(locksDir, p.name)))
	}
	return errors.Join(append(errs, p.lock.Close())...)
}

// sweep takes away the places of those who were killed. What can't be is in nobody's
// way, and the next one tries again.
func sweep() {
	names, err := os.ReadDir(locksDir)
	if err != nil {
		return
	}
	for _, n := range names {
		if p, err := lockPlace(n.Name()); err == nil && p != nil {
			_ = p.leave()
		}
	}
}
