package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
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
	Init  process
	Views attach.Views
}

// reattach replaces the views of a daemon that is gone, which no longer answer, by
// new ones, in the background. Preconditions: c.mu is held.
func (r *registry) reattach(c *container) {
	id, key := c.ID, c.key()
	job := reattachment{c.Init, attach.Views{DaemonPID: os.Getpid(), Root: "/"}}
	for _, view := range r.views.attachable(c.Slot) {
		if slices.Contains(c.Views, view.Path) {
			job.Views.List = append(job.Views.List, view)
		}
	}
	job.Views.Dropped = dropped(c.Views, job.Views.List)
	r.unattached.Add(1)
	r.background.start(job.run, func(err error) {
		defer r.reattached()
		if err != nil && job.Init.running() { // one that ended meanwhile has lost nothing
			r.log.Error().Str("cid", id).Str("key", key).Err(err).Msg("container goes on without some of its views")
		}
	})
}

// dropped returns those of a container's views that there are no more: they are
// switched off, or the daemon is another version. A file that is not masked because
// it had a view stays as it is, without an answer.
func dropped(had []string, now []sealed.View) (paths []string) {
	for _, path := range had {
		is := func(v sealed.View) bool { return v.Path == path }
		if !slices.ContainsFunc(now, is) && !spec.Masked("/"+path) {
			paths = append(paths, path)
		}
	}
	return paths
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

// Reattach is what that process does. It must be called on a locked thread, which it
// leaves in the container's mount namespace.
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
	attached, err := attach.Reattach(fd, j.Views)
	if err == nil && len(attached) < len(j.Views.List) {
		err = fmt.Errorf("only %v of %d could be attached again", attached, len(j.Views.List))
	}
	return err
}
