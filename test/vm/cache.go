package vm

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// CacheEnv names the directory of downloads; without it they are in cloister-vm in
// the user's cache directory.
const CacheEnv = "CLOISTER_VM_CACHE"

// Cache keeps unpacked Debian packages. What it has once it neither downloads again
// nor updates: remove the directory to get newer packages. Several processes may
// use one directory; they download one after the other.
type Cache struct{ dir string }

// OpenCache opens the user's cache.
func OpenCache() (*Cache, error) {
	dir := os.Getenv(CacheEnv)
	if dir == "" {
		base, err := os.UserCacheDir()
		if err != nil {
			return nil, err
		}
		dir = filepath.Join(base, "cloister-vm")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	return &Cache{dir: dir}, os.MkdirAll(dir, 0o755)
}

// Packages returns a directory with the files of packages of a suite and of all
// that they depend on.
func (c *Cache) Packages(ctx context.Context, suite string, names ...string) (string, error) {
	return c.tree(filepath.Join(suite, strings.Join(names, "+")), func(dir string) error {
		a, err := c.apt(ctx, suite)
		if err != nil {
			return err
		}
		if err := a.install(ctx, names); err != nil {
			return err
		}
		return a.unpack(ctx, dir)
	})
}

// busyboxSuite is the suite of every guest's busybox. It works with any kernel.
const busyboxSuite = "trixie"

// Busybox returns busybox, which needs no libraries.
func (c *Cache) Busybox(ctx context.Context) (string, error) {
	dir, err := c.Packages(ctx, busyboxSuite, "busybox-static")
	return filepath.Join(dir, "usr/bin/busybox"), err
}

// tree returns the directory of a name. The first time it is filled; a directory
// that is there is complete.
func (c *Cache) tree(name string, fill func(dir string) error) (_ string, err error) {
	dir := filepath.Join(c.dir, name)
	if exists(dir) {
		return dir, nil
	}
	lock, err := c.lock()
	if err != nil {
		return "", err
	}
	defer lock.Close()
	if exists(dir) {
		return dir, nil
	}
	temp := filepath.Join(c.dir, "new")
	if err := os.RemoveAll(temp); err != nil { // that of a process which was killed
		return "", err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(temp)) }()
	for _, d := range []string{temp, filepath.Dir(dir)} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return "", err
		}
	}
	if err := fill(temp); err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	return dir, os.Rename(temp, dir)
}

// lock keeps other processes, and other users of this one, from downloading.
func (c *Cache) lock() (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(c.dir, "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", f.Name(), err), f.Close())
	}
	return f, nil
}
