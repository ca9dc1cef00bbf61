package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"

	"cloister/bench/stand"
	"cloister/internal/api"
	"cloister/internal/sealed"
	"cloister/runtimehook/attach"
)

// perContainer is how many views of cgroups below a container's own there are at most
// (daemon.maxNested).
const perContainer = 256

// bench is a run.
type bench struct {
	stand    *stand.Stand
	daemon   int // pid
	real     []*api.ContainerDetails
	views    []nested
	sleepers []*exec.Cmd // each has a mount namespace

	registering, attaching, barely []time.Duration
}

// nested are views of a container's cgroup.
type nested struct {
	*api.Views
	of *api.ContainerDetails
}

// grow asks for views until there are n.
func (b *bench) grow(ctx context.Context, n int) error {
	for len(b.views) < n {
		if ctx.Err() != nil {
			return errors.New("interrupted")
		}
		if len(b.views) == perContainer*len(b.real) {
			d, err := b.stand.Container(ctx, fmt.Sprintf("scale-%d-%d", os.Getpid(), len(b.real)))
			if err != nil {
				return err
			}
			b.real = append(b.real, d)
		}
		of := b.real[len(b.real)-1]
		begin := time.Now()
		v, err := b.stand.Client.Nest(of.Key, &api.Nested{Cgroups: of.Cgroups, PID: of.PID})
		if err != nil {
			return fmt.Errorf("container %d: %w", len(b.views), err)
		}
		b.registering = append(b.registering, time.Since(begin))
		b.views = append(b.views, nested{v, of})
	}
	return nil
}

// shrink gives all views back but the first.
func (b *bench) shrink() error {
	var errs []error
	for _, v := range b.views[1:] {
		errs = append(errs, b.stand.Client.Unnest(v.of.Key, v.Key))
	}
	b.views = b.views[:1]
	return errors.Join(errs...)
}

// startSleepers starts processes with a mount namespace each.
func (b *bench) startSleepers(ctx context.Context, n int) error {
	for range n {
		if ctx.Err() != nil {
			return errors.New("interrupted")
		}
		cmd := exec.Command("sleep", "infinity")
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS, Setpgid: true, Pdeathsig: syscall.SIGKILL}
		if err := cmd.Start(); err != nil {
			return err
		}
		b.sleepers = append(b.sleepers, cmd)
	}
	return nil
}

// killSleepers ends them, and with them their mount namespaces.
func (b *bench) killSleepers() error {
	var errs []error
	for _, cmd := range b.sleepers {
		errs = append(errs, cmd.Process.Kill())
	}
	for _, cmd := range b.sleepers {
		_ = cmd.Wait() // it was killed
	}
	b.sleepers = nil
	return errors.Join(errs...)
}

// attach attaches views in the mount namespace of each sleeper: as the hook does, and
// with every second one barely.
func (b *bench) attach(ctx context.Context) error {
	for i, cmd := range b.sleepers {
		if ctx.Err() != nil {
			return errors.New("interrupted")
		}
		views := b.views[i%len(b.views)].Views
		how, times := b.hooked, &b.attaching
		if i%2 == 1 {
			how, times = b.bare, &b.barely
		}
		took, err := how(cmd.Process.Pid, views)
		if err != nil {
			return fmt.Errorf("attach views: %w", err)
		}
		*times = append(*times, took)
	}
	return nil
}

// hooked attaches as the hook does.
func (b *bench) hooked(pid int, views *api.Views) (took time.Duration, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and ends with the goroutine
		begin := time.Now()
		var attached *attach.Attached
		attached, err = attach.Attach(pid, &attach.Container{Root: "/", Workshop: views.Workshop, Plan: sealed.Plan{Views: views.Views}})
		took = time.Since(begin)
		if err == nil && len(attached.Views) == 0 {
			err = errors.New("nothing was attached")
		}
	}()
	<-done
	return took, err
}
