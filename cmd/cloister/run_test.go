package main

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestRunRemovesOnlyItsOwnBundle(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "web")
	create := func() *os.File {
		t.Helper()
		if err := os.MkdirAll(filepath.Join(dir, "rootfs"), 0o700); err != nil {
			t.Fatal(err)
		}
		f, err := os.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	gone := func() bool { _, err := os.Stat(dir); return errors.Is(err, os.ErrNotExist) }

	if err := removeMade(dir, create()); err != nil || !gone() {
		t.Errorf("its own: %v, gone: %v", err, gone())
	}
	first := create()
	if err := os.RemoveAll(dir); err != nil { // the daemon
		t.Fatal(err)
	}
	second := create() // another process
	if err := removeMade(dir, first); err != nil || gone() {
		t.Errorf("another one's: %v, gone: %v", err, gone())
	}
	if err := removeMade(dir, second); err != nil || !gone() {
		t.Errorf("its own: %v, gone: %v", err, gone())
	}
	third := create()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := removeMade(dir, third); err != nil {
		t.Errorf("one that is gone: %v", err)
	}
}
