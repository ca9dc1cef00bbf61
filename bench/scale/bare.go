package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"cloister/internal/api"
	"cloister/internal/sealed"
	"cloister/internal/sys"
)

// bare puts views in a process's mount namespace by nothing but the calls that do it:
// open_tree, setns and move_mount. It returns how long that took, which no attachment
// takes less than.
func (b *bench) bare(pid int, views *api.Views) (took time.Duration, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and ends with the goroutine
		took, err = b.moveMounts(pid, views.Views)
	}()
	<-done
	return took, err
}

func (b *bench) moveMounts(pid int, views []sealed.View) (time.Duration, error) {
	begin := time.Now()
	if err := sys.UnshareFS(); err != nil {
		return 0, err
	}
	if err := enter(b.daemon); err != nil {
		return 0, err
	}
	trees := make([]int, len(views))
	for i, view := range views {
		fd, err := unix.OpenTree(unix.AT_FDCWD, view.Source, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
		if err != nil {
			return 0, os.NewSyscallError("open_tree", err)
		}
		defer unix.Close(fd)
		trees[i] = fd
	}
	if err := enter(pid); err != nil {
		return 0, err
	}
	for i, view := range views {
		err := unix.MoveMount(trees[i], "", unix.AT_FDCWD, "/"+view.Path, unix.MOVE_MOUNT_F_EMPTY_PATH)
		if err != nil && !errors.Is(err, unix.ENOENT) { // not every kernel has every file
			return 0, fmt.Errorf("move_mount to /%s: %w", view.Path, err)
		}
	}
	return time.Since(begin), nil
}

func enter(pid int) error {
	process, err := sys.OpenProcess(pid)
	if err != nil {
		return err
	}
	return errors.Join(sys.EnterMounts(process), process.Close())
}
