//go:build root

package attach_test

import (
	"errors"
	"path/filepath"
	"syscall"
	"testing"

	"cloister/internal/sys"
	"cloister/runtimehook/attach"
)

// What a container has mounted on its proc is there again if nothing could be put over that.
func TestMountsArePutBackWhenCoveringFails(t *testing.T) {
	c := lockedContainer(t, newContainer(t, "true"))
	err := c.inside(func() error {
		return sys.BindOnto(filepath.Join(c.root, "etc/hostname"), filepath.Join(c.root, "proc/version"))
	})
	if err != nil {
		t.Fatal(err)
	}
	init, err := sys.OpenProcess(c.pid)
	if err != nil {
		t.Fatal(err)
	}
	defer init.Close()
	w, _ := workshop(t, "view of ", "proc/uptime")
	_, err = onThread(func() ([]string, error) {
		order := &attach.Container{Root: c.root, Workshop: w}
		return nil, attach.Replace(init, c.pid, order, "proc", func(tree *sys.Tree) (*sys.Tree, error) {
			file, err := sys.OpenPath("/proc/version")
			return &sys.Tree{FD: file}, errors.Join(err, tree.Close())
		})
	})
	if !errors.Is(err, syscall.EINVAL) {
		t.Errorf("a file that is no mount: got %v, want EINVAL", err)
	}
	c.reads("proc/version", "its own")
}
