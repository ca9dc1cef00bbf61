//go:build root

package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"cloister/internal/api"
	"cloister/internal/sys"
)

func TestStateDirIsOneDaemonsAlone(t *testing.T) {
	h := newHost(t)
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(h.stateDir, link); err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("state directory %s is in use by another daemon (pid %d)", h.stateDir, os.Getpid())
	for _, stateDir := range []string{h.stateDir, link} {
		second := h.config()
		second.RunDir, second.StateDir = t.TempDir(), stateDir
		ctx, cancel := context.WithCancel(context.Background())
		cancel() // one that did start would stop at once
		if err := Run(ctx, second); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error with %q", err, want)
		}
	}
	if err := h.stop(); err != nil {
		t.Fatal(err)
	}
	h.start() // the lock does not outlive its daemon
}

// A daemon whose state directory has two names is no peer of its own.
func TestStateDirsNameIsTheRealOne(t *testing.T) {
	h := newHost(t)
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(h.stateDir, link); err != nil {
		t.Fatal(err)
	}
	if err := h.stop(); err != nil {
		t.Fatal(err)
	}
	stateDir := h.stateDir
	h.stateDir = link
	h.start()
	s, err := h.client.Status()
	if err != nil || s.StateDir != stateDir {
		t.Errorf("got %+v, %v, want the state directory %s", s, err, stateDir)
	}
}

// What a power failure leaves of files that were just written is empty ones.
func TestEmptyFilesAfterAPowerFailure(t *testing.T) {
	h := newHost(t)
	if err := h.stop(); err != nil {
		t.Fatal(err)
	}
	earlier := sample(3, 41)
	earlier.BootID = "earlier boot"
	for _, name := range []string{generationFile, earlier.name().file()} {
		if err := os.WriteFile(filepath.Join(h.stateDir, "containers", name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	h.start()
	g := h.register("web", os.Getpid())
	if want := "0.42"; g.Key != want {
		t.Errorf("got key %s, want %s", g.Key, want)
	}
	if err := h.client.Release(g.Key); err != nil {
		t.Fatal(err)
	}
	h.settled()
}

func TestViewsDirectoryIsRootsAlone(t *testing.T) {
	h := newHost(t)
	dir := filepath.Join(h.runDir, "views")
	check := func(when, dir string, want os.FileMode) {
		t.Helper()
		if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: got %v, %v, want mode %#o", when, info, err, want)
		}
	}
	check("mounted", filepath.Join(dir, "exact"), 0o500)
	check("mounted", filepath.Join(dir, "writable"), 0o500)
	if err := h.stop(); err != nil {
		t.Fatal(err)
	}
	check("after the end", dir, 0o700)
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	h.start()
	if err := h.stop(); err != nil {
		t.Fatal(err)
	}
	check("of an older daemon", dir, 0o700)
}

func TestBundlesAreRemoved(t *testing.T) {
	h := newHost(t)
	bundles := api.BundlesDir(h.stateDir)
	web, mounted := filepath.Join(bundles, "web"), filepath.Join(bundles, "mounted")
	left := filepath.Join(bundles, trashPrefix+"7.7") // by a daemon that was stopped
	for _, dir := range []string{web, mounted, left} {
		if err := os.MkdirAll(filepath.Join(dir, "rootfs/a/b"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := sys.MountTmpfs(filepath.Join(mounted, "rootfs/a")); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(mounted, "rootfs/a/file")
	t.Cleanup(func() { _ = sys.Detach(filepath.Dir(file)) })
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"web", "mounted"} {
		g, err := h.client.Register(&api.Registration{ID: id, Engine: "cloister", Bundle: filepath.Join(bundles, id), PID: os.Getpid()})
		if err != nil {
			t.Fatal(err)
		}
		if err := h.client.Release(g.Key); (err != nil) != (id == "mounted") {
			t.Errorf("%s: %v", id, err)
		}
	}
	h.eventually("the bundle is removed, and not the mount", func() bool {
		names := h.list(bundles)
		return !slices.ContainsFunc(names, func(n string) bool { return n != "mounted" && n != filepath.Base(left) })
	})
	if err := h.stop(); err != nil {
		t.Fatal(err)
	}
	h.start()
	h.eventually("what was left is removed", func() bool { return len(h.list(bundles)) == 1 })
	if _, err := os.Stat(file); err != nil {
		t.Error(err)
	}
	h.settled()
}

// A runtime that was killed cleans up nothing, also while its parent has not noticed.
func TestKilledRuntimesContainerIsDeleted(t *testing.T) {
	h := newHost(t)
	dir := t.TempDir()
	runtime, root := filepath.Join(dir, "runc"), filepath.Join(dir, "root")
	script := "#!/bin/sh\ncase $3 in delete) exec rm -r $2/$5;; esac\necho runc version 1.0\n" // --root $2 delete --force $5
	if err := os.WriteFile(runtime, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	state := filepath.Join(root, "web/state.json")
	if err := os.MkdirAll(filepath.Dir(state), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(state, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	creator := h.process(&syscall.SysProcAttr{})
	_, err := h.client.Register(&api.Registration{
		ID: "web", Engine: "cloister", Bundle: filepath.Join(api.BundlesDir(h.stateDir), "web"),
		Runtime: runtime, RuntimeRoot: root, PID: creator.Process.Pid,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := creator.Process.Kill(); err != nil { // and no Wait
		t.Fatal(err)
	}
	h.eventually("the runtime deletes the container", func() bool { return len(h.list(root)) == 0 })
	h.settled()
}

// A hook that got no answer from a worker that was killed says again what it has done.
func TestAttachedTwice(t *testing.T) {
	h := newHost(t)
	r := h.open().registry
	key, _, _ := h.shared(r)
	c, err := r.get(key)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.attached(key, api.Attached{Views: c.Views}); err != nil {
		t.Errorf("said again: %v", err)
	}
	if err := r.attached(key, api.Attached{Views: []string{"proc/other"}}); !errors.Is(err, errConflict) {
		t.Errorf("other views: got %v, want %v", err, errConflict)
	}
}
