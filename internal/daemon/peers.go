package daemon

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"cloister/runtimehook/idrange"
)

// peersDir is where the daemons of a host find each other.
const peersDir = "/run/lock/cloister"

// peers are the other daemons of this host, with state directories of their own,
// whose containers have ids that must not be given out twice. Each daemon leaves a
// symbolic link to its state directory in a common place; its records say which
// ids are in use, also while it does not run. The common directory stays for good:
// it is what daemons lock, and must be the same one for all.
type peers struct {
	dir  string
	link string // our own
	boot string
}

func joinPeers(dir, stateDir, boot string) (*peers, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("meet other daemons: %w", err)
	}
	sum := sha256.Sum256([]byte(stateDir))
	p := &peers{dir: dir, link: filepath.Join(dir, hex.EncodeToString(sum[:8])), boot: boot}
	// Somebody may be about to remove the link, having found no state behind it.
	unlock, err := p.lock()
	if err != nil {
		return nil, err
	}
	if err = os.Symlink(stateDir, p.link); errors.Is(err, os.ErrExist) {
		err = nil
	}
	if err := errors.Join(err, unlock()); err != nil {
		return nil, fmt.Errorf("meet other daemons: %w", err)
	}
	return p, nil
}

// leave takes our link away. Preconditions: there are no containers.
func (p *peers) leave() error { return ignoreMissing(os.Remove(p.link)) }

// lock keeps the other daemons from giving out ids until unlock is called.
func (p *peers) lock() (unlock func() error, err error) {
	f, err := os.Open(p.dir)
	if err != nil {
		return nil, fmt.Errorf("lock user ids: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		return nil, errors.Join(fmt.Errorf("lock user ids: %w", err), f.Close())
	}
	return f.Close, nil
}

// claims returns the ids that containers of the other daemons have. Preconditions:
// the lock is held.
func (p *peers) claims() ([]idrange.Range, error) {
	links, err := os.ReadDir(p.dir)
	if err != nil {
		return nil, fmt.Errorf("look for other daemons: %w", err)
	}
	var all []idrange.Range
	for _, l := range links {
		path := filepath.Join(p.dir, l.Name())
		if path == p.link {
			continue
		}
		ranges, err := p.claimsBehind(path)
		if err != nil {
			return nil, err
		}
		all = append(all, ranges...)
	}
	return all, nil
}

// claimsBehind returns those of the daemon that has left a link.
func (p *peers) claimsBehind(link string) ([]idrange.Range, error) {
	stateDir, err := os.Readlink(link)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil // it has left, and had no containers
	}
	if err != nil {
		return nil, fmt.Errorf("look for other daemons: %w", err)
	}
	ranges, err := p.claimsOf(stateDir)
	if errors.Is(err, os.ErrNotExist) {
		_ = os.Remove(link) // that daemon's state was removed
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("user ids of the daemon with state directory %s: %w", stateDir, err)
	}
	return ranges, nil
}

// claimsOf believes every record of this boot: a container whose init has ended may
// have processes yet, and its daemon removes the record when it has none.
func (p *peers) claimsOf(stateDir string) ([]idrange.Range, error) {
	s := &store{dir: filepath.Join(stateDir, "containers")}
	names, err := s.names()
	if err != nil {
		return nil, err
	}
	var all []idrange.Range
	for _, n := range names {
		if n.boot != p.boot {
			continue
		}
		r, err := s.get(n)
		if errors.Is(err, os.ErrNotExist) {
			continue // released while we were reading
		}
		if err != nil {
			return nil, err
		}
		all = append(all, r.IDs)
	}
	return all, nil
}
