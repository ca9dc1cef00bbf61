package fs

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
)

// ErrServed says that a live process serves the mount.
var ErrServed = errors.New("served by a live process")

// CleanStale unmounts what dead servers left at dir: their FUSE mounts, which
// answer ENOTCONN, and the private bind mounts below them. It stops at a mount
// of any other kind, and returns ErrServed for a FUSE mount whose server lives
// (that server has to answer a request for it).
func CleanStale(dir string) error {
	dir, err := realDir(dir)
	if err != nil {
		return fmt.Errorf("clean up stale mounts: %w", err)
	}
	if _, err := unmountStack(dir, deadOnly); err != nil {
		return fmt.Errorf("clean up stale mounts at %s: %w", dir, err)
	}
	return nil
}

// Abort unmounts what CleanStale does, and what a live process serves as well: whoever
// reads there gets an error. It asks nobody, so it is for connections that none serves.
func Abort(dir string) error {
	dir, err := realDir(dir)
	if err != nil {
		return fmt.Errorf("abort: %w", err)
	}
	if _, err := unmountStack(dir, anyServer); err != nil {
		return fmt.Errorf("abort %s: %w", dir, err)
	}
	return nil
}

// deadOnly asks the server with a request that the kernel has no cached answer to.
func deadOnly(dir string) error {
	var st unix.Statfs_t
	err := unix.Statfs(dir, &st)
	if errors.Is(err, unix.ENOTCONN) {
		return nil
	}
	return errors.Join(ErrServed, err)
}

// unmountStack takes away FUSE mounts of ours and bind mounts of dir on itself,
// from the top of the stack at dir down to the first that is neither, or that
// may returns an error for. It returns how many FUSE mounts it took.
func unmountStack(dir string, may func(dir string) error) (int, error) {
	for fuseMounts := 0; ; {
		mounts, err := mountinfo.GetMounts(nil)
		if err != nil {
			return fuseMounts, err
		}
		top := topAt(mounts, dir)
		flags := unix.MNT_DETACH | unix.UMOUNT_NOFOLLOW // without a wait for users
		switch {
		case top == nil:
			return fuseMounts, nil
		case top.FSType == fsType:
			if err := may(dir); err != nil {
				return fuseMounts, err
			}
			fuseMounts++
			flags |= unix.MNT_FORCE // aborts the connection
		case !isSelfBind(mounts, top):
			return fuseMounts, nil
		}
		if err := unix.Unmount(dir, flags); err != nil {
			return fuseMounts, err
		}
	}
}

// topAt returns the mount at dir that no other one at dir covers, or nil.
func topAt(mounts []*mountinfo.Info, dir string) *mountinfo.Info {
	covered := map[int]bool{}
	for _, m := range mounts {
		if m.Mountpoint == dir {
			covered[m.Parent] = true
		}
	}
	for _, m := range mounts {
		if m.Mountpoint == dir && !covered[m.ID] {
			return m
		}
	}
	return nil
}

// isSelfBind reports whether m shows the very directory that it covers.
func isSelfBind(mounts []*mountinfo.Info, m *mountinfo.Info) bool {
	for _, parent := range mounts {
		if parent.ID != m.Parent {
			continue
		}
		below := strings.TrimPrefix(m.Mountpoint, parent.Mountpoint)
		return parent.Major == m.Major && parent.Minor == m.Minor && m.Root == path.Join(parent.Root, below)
	}
	return false
}
