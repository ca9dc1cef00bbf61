package daemon

import (
	"testing"

	"cloister/internal/api"
	"cloister/runtimehook/idrange"
)

// Somebody who asks whether the daemon lives does not wait for a container.
func TestStatusWaitsForNoContainer(t *testing.T) {
	c := &container{}
	c.mu.Lock()
	defer c.mu.Unlock()
	d := &Daemon{
		views:    &views{},
		runtime:  func() (api.Runtime, error) { return api.Runtime{}, nil },
		features: func() map[string]bool { return nil },
		syscalls: &syscalls{intake: &intake{}},
		registry: &registry{ids: idrange.New(idrange.Range{}), containers: map[string]*container{"0.1": c}},
	}
	if s := d.status(); s.Containers != 1 {
		t.Errorf("got %+v, want one container", s)
	}
}
