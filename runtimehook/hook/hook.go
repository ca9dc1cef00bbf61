package hook

import (
	"errors"
	"fmt"
	"io"

	"cloister/internal/api"
	"cloister/runtimehook/attach"
	"cloister/runtimehook/stage"
)

// Prestart verifies a container that is about to start and attaches its views. key
// is that of its registration and promised what was promised for it; both are empty
// if the hook stands in an engine's own list. It must be called on a locked thread,
// which it leaves in the container's mount namespace.
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
		attached, err := confine(s, views, promise)
		if errors.Is(err, attach.ErrDaemonGone) && try < maxTries {
			continue // its successor answers
		}
		if err != nil {
			return err
		}
		return client.Attached(views.Key, &api.Attached{Views: attached})
	}
}

// maxTries is how many of the daemon's processes may end under the hook.
const maxTries = 5

// confine does what only the host's root can do to the container.
func confine(s *state, views *api.Views, promise *attach.Promise) (attached []string, err error) {
	if err := attach.Verify(s.PID, promise.Namespaces); err != nil {
		return nil, err
	}
	if err := attach.Sysctls(s.PID, views.IDs.Start, promise.Sysctls); err != nil {
		return nil, err
	}
	if promise.SharedMounts {
		// The container's mount namespace has its own copies by now.
		if err := stage.Clear(views.StageDir); err != nil {
			return nil, fmt.Errorf("clear staged mounts: %w", err)
		}
	}
	return attach.Attach(s.PID, attach.Views{
		DaemonPID: views.DaemonPID, List: views.Views, Root: s.Root,
	})
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
