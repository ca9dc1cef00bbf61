package main

import (
	"context"
	"errors"
	"slices"
	"syscall"
	"time"

	"cloister/internal/sealed"
)

// restart kills the daemon's worker while the meminfo of the last container is read on
// and on, and returns how long the read took that waited for its successor.
func (b *bench) restart(ctx context.Context) (time.Duration, error) {
	views := b.views[len(b.views)-1].Views.Views
	path := views[slices.IndexFunc(views, func(w sealed.View) bool { return w.Path == "proc/meminfo" })].Source
	killed := b.daemon
	if err := syscall.Kill(killed, syscall.SIGKILL); err != nil {
		return 0, err
	}
	var longest time.Duration
	for b.daemon == killed {
		took, err := readAll(path)
		if err != nil {
			return 0, err
		}
		if longest = max(longest, took); took < time.Millisecond {
			continue
		}
		if err := b.findDaemon(ctx); err != nil {
			return 0, err
		}
	}
	return longest, nil
}

// findDaemon waits until the daemon answers.
func (b *bench) findDaemon(ctx context.Context) error {
	for {
		status, err := b.stand.Client.Status()
		if err == nil {
			b.daemon = status.WorkerPID
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		case <-time.After(10 * time.Millisecond):
		}
	}
}
