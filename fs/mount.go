package fs

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

const (
	fsName = "cloister"
	fsType = "fuse." + fsName

	mountFlags = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC
)

// realDir returns the absolute path of dir without symbolic links. It doesn't
// touch dir itself, where a mount may be whose server is dead.
func realDir(dir string) (string, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	parent, err := filepath.EvalSymlinks(filepath.Dir(abs))
	if err != nil {
		return "", err
	}
	return filepath.Join(parent, filepath.Base(abs)), nil
}

// mountFUSE mounts a new connection at dir and returns its /dev/fuse.
//
// The mount is made on top of a private bind mount of dir on itself: on a shared
// one it would be copied into every mount namespace in the peer group, and stay
// alive there after it is unmounted here. Of the bind mount they may get a copy,
// which shows an empty directory and goes when it goes here.
func mountFUSE(dir string, writable bool) (*os.File, error) {
	if err := requireDir(dir); err != nil {
		return nil, err
	}
	if err := unix.Mount(dir, dir, "", unix.MS_BIND, ""); err != nil {
		return nil, fmt.Errorf("bind %s on itself: %w", dir, err)
	}
	if err := unix.Mount("", dir, "", unix.MS_PRIVATE, ""); err != nil {
		return nil, fmt.Errorf("make %s private: %w", dir, err)
	}
	fd, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open /dev/fuse: %w", err)
	}
	data := fmt.Sprintf("fd=%d,rootmode=%o,user_id=0,group_id=0,allow_other,default_permissions", fd, unix.S_IFDIR)
	flags := uintptr(mountFlags)
	if !writable {
		flags |= unix.MS_RDONLY
	}
	if err := unix.Mount(fsName, dir, fsType, flags, data); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("mount at %s: %w", dir, err)
	}
	return os.NewFile(uintptr(fd), "/dev/fuse"), nil
}

// requireDir refuses a symbolic link as well, which mount(2) would follow.
func requireDir(dir string) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return &os.PathError{Op: "mount", Path: dir, Err: unix.ENOTDIR}
	}
	return nil
}
