package hook

import (
	"errors"
	"fmt"
	"io"

	"cloister/internal/api"
	"cloister/internal/sealed"
	"cloister/runtimehook/attach"
	"cloister/runtimehook/spec"
	"cloister/runtimehook/stage"
)

// Prestart verifies a container that is about to start and attaches its views. key
// is that of its registration and promised what was promised for it; both are empty
// if the hook stands in an engine's own list. It must be called on a locked thread.
func Prestart(client *api.Client, key, promised string, stdin io.Reader) error {
	s, err := readState(stdin)
	if err != nil {
		return err
	}
	if err := prestart(client, key, promised, s); err != nil {
		// crun throws away what a hook says on standard error.
		_ = client.Refused(&api.Refusal{ID: s.ID, By: "prestart hook", Reason: err.Error()})
		return err
	}
	return nil
}

func prestart(client *api.Client, key, promised string, s *state) error {
	promise, err := attach.ParsePromise(promised)
	if err != nil {
		return err
	}
	if s.Root == "" {
		s.Root = promise.Root
	}
	start, err := s.describe(key)
	if err != nil {
		return err
	}
	for try := 1; ; try++ {
		views, err := client.Start(start)
		if err != nil || views.Attached {
			return err
		}
		done, err := confine(s, views, promise)
		if errors.Is(err, sealed.ErrGone) && try < maxTries {
			start.Gone = views.Workshop.PID
			continue // there will be another
		}
		if err != nil {
			return err
		}
		return client.Attached(views.Key, done)
	}
}

// maxTries is how many of the processes with a workshop may end under the hook.
const maxTries = 5

// confine does what only the host's root can do to the container.
func confine(s *state, views *api.Views, promise *attach.Promise) (*api.Attached, error) {
	if err := attach.Verify(s.PID, promise.Namespaces); err != nil {
		return nil, err
	}
	spec.ShiftPingGroups(promise.Sysctls, views.IDs.Start, views.IDs.Size)
	if err := attach.Sysctls(s.PID, views.IDs.Start, promise.Sysctls); err != nil {
		return nil, err
	}
	if promise.SharedMounts {
		// The container's mount namespace has its own copies by now.
		if err := stage.Clear(views.StageDir); err != nil {
			return nil, fmt.Errorf("clear staged mounts: %w", err)
		}
	}
	c := &attach.Container{
		Root: s.Root, Workshop: views.Workshop, Plan: plan(views.Views, promise),
		Locked: promise.Locked,
	}
	done, err := attach.Attach(s.PID, c)
	if err != nil {
		return nil, err
	}
	return &api.Attached{Views: done.Views, Plan: c.Plan, ProcReadOnly: done.ProcReadOnly, SysReadOnly: done.SysReadOnly}, nil
}

// plan returns what is to be over the container's proc and sysfs. The config of one that
// did not come through the wrapper still has the engine's masks, which its runtime adds.
func plan(views []sealed.View, promise *attach.Promise) sealed.Plan {
	p := sealed.Plan{Views: views, Masked: promise.Masked, ReadOnly: promise.ReadOnly}
	if p.Masked == nil {
		var paths []string
		for _, v := range views {
			paths = append(paths, v.Path)
		}
		p.Masked, p.ReadOnly = spec.HostPaths(paths)
	}
	return p
}

// Poststop tells the daemon that a container is gone.
func Poststop(client *api.Client, stdin io.Reader) error {
	s, err := readState(stdin)
	if err != nil {
		return err
	}
	c, err := client.Container(s.ID)
	if err != nil || c.Bundle != s.Bundle {
		return nil // not one of ours, or known to be gone
	}
	return client.Release(c.Key)
}
