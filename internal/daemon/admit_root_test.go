//go:build root

package daemon

import (
	"os"
	"path/filepath"
	"testing"

	"cloister/internal/api"
)

// Nobody finds a container unlocked, and releases it, before it is admitted.
func TestContainerIsKnownWithItsLockHeld(t *testing.T) {
	r := newHost(t).open().registry
	c, err := r.reserve(api.Registration{ID: "c", Bundle: "/b/c"}, process{})
	if err != nil {
		t.Fatal(err)
	}
	if c.mu.TryLock() {
		t.Error("it is not locked")
	}
	if err := r.releaseLocked(c); err != nil {
		t.Error(err)
	}
	c.mu.Unlock()
}

// A process that outlives its runtime for a moment leaves nothing for good.
func TestDirectoryThatComesAgainIsRemoved(t *testing.T) {
	h := newHost(t)
	r := h.open().registry
	g, err := r.register(api.Registration{ID: "c", Bundle: "/b/c", PID: os.Getpid()})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.end(g.Key); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(g.Dir, "mounts"), 0o700); err != nil {
		t.Fatal(err)
	}
	h.eventually("the directory is gone", func() bool {
		_, err := os.Lstat(g.Dir)
		return os.IsNotExist(err)
	})
}
