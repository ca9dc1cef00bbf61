package daemon

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// lockDir makes sure that no other daemon uses the directory, which is the run or
// the state directory. The lock belongs to the open file: it goes on with the keeper.
func (l legacy) lockDir(kind, dir string) (f *os.File, inherited bool, err error) {
	name := "lock." + kind
	if f, err = l.take(name); f != nil || err != nil {
		if f != nil {
			nameHolder(f, l.holder())
		}
		return f, true, err
	}
	f, err = os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, false, fmt.Errorf("%s directory: %w", kind, err)
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	switch {
	case errors.Is(err, syscall.EWOULDBLOCK):
		err = fmt.Errorf("%s directory %s is in use by another daemon%s; stop it or give this one another --run-dir and --state-dir",
			kind, dir, lockHolder(f))
	case err == nil:
		nameHolder(f, l.holder())
		err = l.leave(name, f)
	}
	if err != nil {
		return nil, false, errors.Join(err, f.Close())
	}
	return f, false, nil
}

// of reports whether what was left is of a daemon with these directories: the settings of
// a service may be others than those with which it has left something to systemd.
func (l legacy) of(runDir, stateDir string) bool {
	for kind, dir := range map[string]string{"run": runDir, "state": stateDir} {
		name := "lock." + kind
		if !l.has(name) {
			continue
		}
		path, err := os.Readlink(l.client.Stored(name).ProcPath())
		if err != nil {
			return false
		}
		dir, err := filepath.Abs(dir)
		if err == nil {
			dir, err = filepath.EvalSymlinks(dir)
		}
		// That somebody has removed the file makes it no other.
		if err != nil || strings.TrimSuffix(path, " (deleted)") != filepath.Join(dir, "lock") {
			return false
		}
	}
	return true
}

// drop forgets all that was left.
func (l legacy) drop() error {
	var errs []error
	for _, kind := range []string{"run", "state"} {
		if name := "lock." + kind; l.has(name) { // the keeper closes it later
			errs = append(errs, syscall.Flock(l.client.Stored(name).Int(), syscall.LOCK_UN))
		}
	}
	return errors.Join(append(errs, l.forget(l.client.Names()...))...)
}

// holder is the process to stop, for who wants the lock.
func (l legacy) holder() int {
	if l.client == nil {
		return os.Getpid()
	}
	return os.Getppid()
}

// nameHolder leaves a pid in the lock file, for the message to the next daemon. That the
// disk is full keeps no container from its views.
func nameHolder(f *os.File, pid int) {
	if f.Truncate(0) == nil {
		_, _ = f.WriteAt([]byte(strconv.Itoa(pid)), 0)
	}
}

// lockHolder is " (pid N)", if the holder has left its pid already.
func lockHolder(f *os.File) string {
	text := make([]byte, 20)
	n, _ := f.ReadAt(text, 0) // io.EOF: a pid is shorter
	pid, err := strconv.Atoi(string(text[:n]))
	if err != nil {
		return ""
	}
	return fmt.Sprintf(" (pid %d)", pid)
}
