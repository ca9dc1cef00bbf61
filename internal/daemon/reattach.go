package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"cloister/internal/sealed"
	"cloister/runtimehook/attach"
	"cloister/runtimehook/spec"
)

const (
	// reattachLimit is how long the views of one container may take to attach
	// again. What it has mounted can make that long.
	reattachLimit = 10 * time.Second
	// reattachPlaces is of how many containers at a time.
	reattachPlaces = 8
)

// reattachment is what is to be done for one container.
type reattachment struct {
	Init      process
	Container attach.Container
	Expected  int // how many views it should have then
}

// reattach replaces the views of a daemon that is gone, which no longer answer, by
// new ones, in the background. Preconditions: c.mu is held.
func (r *registry) reattach(c *container) {
	id, key := c.ID, c.key()
	job := reattachment{Init: c.Init, Container: attach.Container{Root: "/", Plan: replan(c.Views, c.Plan, r.views.attachable(c.Slot))}}
	job.Expected = len(job.Container.Plan.Views)
	r.unattached.Add(1)
	work := func() (err error) {
		if job.Container.Workshop, err = r.workshop(0); err != nil {
			return err
		}
		return job.run()
	}
	r.background.start(work, func(err error) {
		defer r.reattached()
		if err != nil && job.Init.running() { // one that ended meanwhile has lost nothing
			r.log.Error().Str("cid", id).Str("key", key).Err(err).Msg("container goes on without some of its views")
		}
	})
}

// replan returns what is over a container's proc and sysfs from now on. Of its views
// some may be switched off since, or the daemon is another version: the host's files show
// in their places, but for those that containers don't see.
func replan(had []string, before *sealed.Plan, now []sealed.View) sealed.Plan {
	plan := sealed.Plan{}
	if before != nil {
		plan.Masked, plan.ReadOnly = slices.Clone(before.Masked), before.ReadOnly
	} else { // it was started by a version that had none
		plan.Masked, plan.ReadOnly = spec.HostPaths(had)
	}
	for _, view := range now {
		if slices.Contains(had, view.Path) {
			plan.Views = append(plan.Views, view)
		}
	}
	for _, path := range had {
		is := func(v sealed.View) bool { return v.Path == path }
		if !slices.ContainsFunc(plan.Views, is) && spec.Masked(path) {
			plan.Masked = append(plan.Masked, path)
		}
	}
	return plan
}

// run has a process of its own do the work. What the container has mounted may hold a
// task in the kernel for ever, where not even SIGKILL ends it. Were it a thread of the
// daemon, it would keep what a killed daemon has open: the locks, which the next needs,
// and /dev/fuse, for whose answer the readers of all containers would wait.
func (j *reattachment) run() error {
	runtime.LockOSThread() // Pdeathsig is about the thread
	defer runtime.UnlockOSThread()
	text, err := json.Marshal(j)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), reattachLimit)
	defer cancel()
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, "/proc/self/exe", "hook", "reattach")
	cmd.Stdin, cmd.Stderr = bytes.NewReader(text), &stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	err = cmd.Run()
	if ctx.Err() != nil {
		return fmt.Errorf("not finished within %v", reattachLimit)
	}
	if message := strings.TrimSpace(stderr.String()); err != nil && message != "" {
		err = errors.New(strings.TrimPrefix(message, "cloister: "))
	}
	return err
}

// Reattach is what that process does. It must be called on a locked thread.
func Reattach(in io.Reader) error {
	var j reattachment
	if err := json.NewDecoder(in).Decode(&j); err != nil {
		return err
	}
	fd, err := j.Init.open()
	if err != nil {
		return err
	}
	defer fd.Close()
	done, err := attach.Reattach(fd, j.Init.PID, &j.Container)
	if err == nil && len(done.Views) < j.Expected {
		err = fmt.Errorf("only %v of %d could be attached again", done.Views, j.Expected)
	}
	return err
}
