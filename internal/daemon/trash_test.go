package daemon

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"cloister/internal/api"
)

// The name is free at once, and what is not removed yet waits for the next start.
func TestTrash(t *testing.T) {
	state := t.TempDir()
	bundles := api.BundlesDir(state)
	bin := newTrash(state, zerolog.Nop())
	web := filepath.Join(bundles, "web")
	for _, key := range []string{"0.1", "0.2"} {
		if err := os.MkdirAll(filepath.Join(web, "rootfs/etc"), 0o700); err != nil {
			t.Fatal(err)
		}
		for range 2 { // a bundle that is gone is no error
			if err := bin.add(web, key); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := os.Stat(filepath.Join(bundles, trashPrefix+key, "rootfs/etc")); err != nil {
			t.Error(err)
		}
	}
	next := newTrash(state, zerolog.Nop())
	next.start()
	for len(next.content()) > 0 {
	}
	next.close()

	elsewhere := t.TempDir()
	if err := bin.add(elsewhere, "0.3"); err == nil || !strings.Contains(err.Error(), "is not a bundle") {
		t.Errorf("got %v, want a refusal of %s", err, elsewhere)
	}
}

func TestBriefErrors(t *testing.T) {
	long := &os.PathError{Op: "unlink", Path: strings.Repeat("ä", maxErrorText), Err: os.ErrPermission}
	err := briefly(long)
	if text := err.Error(); len(text) > maxErrorText+10 || !strings.HasPrefix(text, "unlink ä") || !errors.Is(err, os.ErrPermission) {
		t.Errorf("got %q", text)
	}
	if briefly(nil) != nil {
		t.Error("no error has become one")
	}
}
