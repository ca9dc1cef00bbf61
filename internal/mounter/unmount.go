package mounter

import (
	"errors"
	"path"

	"golang.org/x/sys/unix"

	"cloister/internal/seccomp"
	"cloister/internal/sys"
)

// To the kernel a sealed tree is busy as long as it is mounted, since what is locked on it
// counts as mounted by somebody: umount2(2) without MNT_DETACH fails with EBUSY. Who has
// mounted a proc, or bound one, wants to unmount it like any other, so this is done with
// MNT_DETACH for them. The container's own /proc and /sys stay busy, which they are.

// readUnmount reads the arguments of umount2(2), or of the umount(2) without flags that
// old ABIs have.
func readUnmount(r *seccomp.Request, q *request) (ours bool, err error) {
	const argPath, argHow = 0, 1
	if r.Call == callUmount2 {
		q.Flags = r.Args[argHow]
	}
	if q.Flags&(unix.MNT_DETACH|unix.MNT_EXPIRE) != 0 {
		return false, nil
	}
	q.Unmount = true
	if q.Target, err = readPath(r, argPath); err != nil || len(q.Target) == 0 {
		return false, err
	}
	if q.Noted != 0 || !path.IsAbs(string(q.Target)) {
		return true, nil
	}
	return mayBeSealed(r, string(q.Target))
}

// mayBeSealed looks at what an absolute path leads to, as far as that takes no wait: it
// may be the root of a proc or sysfs. Most of what is unmounted or bound is something else,
// and the caller need not wait for the mounter.
func mayBeSealed(r *seccomp.Request, path string) (bool, error) {
	proc, err := r.ProcDir()
	if err != nil {
		return false, err
	}
	defer proc.Close()
	root, err := proc.OpenAt("root", unix.O_PATH)
	if err != nil {
		return false, errors.Join(r.Valid(), err)
	}
	defer root.Close()
	target, err := sys.OpenCached(root, path)
	if err != nil {
		return errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.ELOOP), nil
	}
	defer target.Close()
	// Only of few file systems the root has the number 1, and those of them that a
	// container can mount answer statfs at once: FUSE says nothing to the host's root.
	is, inode, err := target.IsMountRoot()
	if err != nil || !is || inode != procRootID {
		return false, nil
	}
	magic, err := target.FSMagic()
	return err == nil && (magic == sys.ProcMagic || magic == sys.SysfsMagic), nil
}

// unmount serves umount2(2) as the caller.
func (m *mount) unmount() error {
	id, dir, stub, err := m.mounted()
	switch {
	case m.Noted != 0 && (err != nil || id != m.Noted):
		return nil // who served it before has done it
	case err != nil:
		return orContinue(err)
	}
	if err := m.note(m.id, id, m.deadline); err != nil {
		return err
	}
	if err := stub.Detach(dir); err != nil {
		return refusal{err}
	}
	return nil
}

// mounted returns the id of the mount that is to be unmounted and its root, which is open
// in the stub. errContinue says that it is none that is served.
func (m *mount) mounted() (id uint64, dir int, stub *sys.Stub, err error) {
	l, err := m.lookup(nil, string(m.Target))
	if err != nil {
		return 0, 0, nil, err
	}
	dir = l.files[0]
	if m.Flags&unix.UMOUNT_NOFOLLOW != 0 {
		if dir, err = l.stub.OpenPath(l.dirs[0], string(m.Target), unix.O_NOFOLLOW|unix.O_DIRECTORY, sys.NoMagicLinks); err != nil {
			return 0, 0, nil, err
		}
	}
	magic, _, err := l.stub.StatFS(dir)
	if err == nil && magic != sys.ProcMagic && magic != sys.SysfsMagic {
		err = errContinue
	}
	if err != nil {
		return 0, 0, nil, err
	}
	st, id, err := l.stub.Stat(dir)
	if err != nil || st.Ino != procRootID {
		return 0, 0, nil, or(err, errContinue)
	}
	for _, own := range []string{"/proc", "/sys"} {
		fd, err := lookup(l.stub, l.dirs[0], own)
		if err != nil {
			continue // it has none
		}
		if _, its, err := l.stub.Stat(fd); err == nil && its == id {
			return 0, 0, nil, errContinue
		}
	}
	return id, dir, l.stub, nil
}
