//go:build root

package attach_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"cloister/internal/sealed"
	"cloister/internal/sys"
	"cloister/internal/sys/systest"
	"cloister/runtimehook/attach"
)

// deadViews are some whose server is gone.
func deadViews(t *testing.T, files ...string) (sealed.Address, []sealed.View) {
	t.Helper()
	dir := systest.Dir(t)
	for _, f := range files {
		path := filepath.Join(dir, f)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, nil, 0o644)); err != nil {
			t.Fatal(err)
		}
		server, err := mountFUSE(path)
		if err == nil {
			t.Cleanup(func() { _ = sys.Detach(path) })
			err = server.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return keeper(t, dir), below(dir, files...)
}

// At a restart of the daemon new views take the place of dead ones, and the host's files
// that of those that are no more. What the container has mounted stays.
func TestReattach(t *testing.T) {
	c := newContainer(t, "true")
	w, dead := deadViews(t, "proc/uptime", "proc/loadavg", "sys/devices/system/cpu/online")
	if _, err := c.attach(w, sealed.Plan{Views: dead}); err != nil {
		t.Fatal(err)
	}
	err := c.inside(func() error {
		return errors.Join(
			sys.BindOnto(filepath.Join(c.root, "etc/hostname"), filepath.Join(c.root, "proc/loadavg")),
			sys.BindOnto(filepath.Join(c.root, "etc/hostname"), filepath.Join(c.root, "proc/version")))
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // of one that is killed again
		w, views := workshop(t, "view of ", "proc/uptime")
		attached, err := c.reattach(c.pid, w, sealed.Plan{Views: views, Masked: []string{"proc/cmdline"}})
		if err != nil || !slices.Equal(attached, []string{"proc/uptime"}) {
			t.Errorf("attached %q, %v", attached, err)
		}
		for file, want := range map[string]string{
			"proc/uptime": "view of proc/uptime", "proc/loadavg": "its own", "proc/version": "its own", "proc/cmdline": "",
		} {
			c.reads(file, want)
		}
		if text, err := os.ReadFile(c.path("sys/devices/system/cpu/online")); err != nil || len(text) == 0 {
			t.Errorf("the host's file: %q, %v", text, err)
		}
		if text, err := os.ReadFile(c.path("proc/1/comm")); err != nil || string(text) != "cat\n" {
			t.Errorf("the first process of the container is %q, %v", text, err)
		}
		if err := c.umount("proc/uptime"); !errors.Is(err, syscall.EINVAL) {
			t.Errorf("unmounted a view: %v, want EINVAL", err)
		}
	}
}

// A proc that the container has locked itself, by namespaces of its own, stays below.
func TestReattachWhereAllIsLocked(t *testing.T) {
	c := newContainer(t, "true")
	w, dead := deadViews(t, "proc/uptime")
	if _, err := c.attach(w, sealed.Plan{Views: dead}); err != nil {
		t.Fatal(err)
	}
	c = lockedContainer(t, c)
	w, views := workshop(t, "view of ", "proc/uptime")
	attached, err := c.reattach(c.pid, w, sealed.Plan{Views: views})
	if err != nil || !slices.Equal(attached, []string{"proc/uptime"}) {
		t.Errorf("attached %q, %v", attached, err)
	}
	c.reads("proc/uptime", "view of proc/uptime")
}

// A container can leave its proc without files to put views over, but not for good.
func TestReattachWhereProcShowsProcessesAlone(t *testing.T) {
	c := newContainer(t, "true")
	w, dead := deadViews(t, "proc/uptime")
	if _, err := c.attach(w, sealed.Plan{Views: dead}); err != nil {
		t.Fatal(err)
	}
	err := c.inside(func() error {
		return sys.Mount("proc", filepath.Join(c.root, "proc"), "proc", unix.MS_REMOUNT, "subset=pid,hidepid=2")
	})
	if err != nil {
		t.Fatal(err)
	}
	w, views := workshop(t, "view of ", "proc/uptime")
	attached, err := c.reattach(c.pid, w, sealed.Plan{Views: views})
	if err != nil || !slices.Equal(attached, []string{"proc/uptime"}) {
		t.Errorf("attached %q, %v", attached, err)
	}
	c.reads("proc/uptime", "view of proc/uptime")
}

// What can't be replaced is no reason to leave the rest dead, and stays as it was.
func TestReattachGoesOnAfterAnError(t *testing.T) {
	c := newContainer(t, "true")
	w, dead := deadViews(t, "proc/uptime", "sys/devices/system/cpu/online")
	if _, err := c.attach(w, sealed.Plan{Views: dead}); err != nil {
		t.Fatal(err)
	}
	const many = 300
	err := c.inside(func() error {
		for range many {
			if err := sys.BindOnto(filepath.Join(c.root, "etc/hostname"), filepath.Join(c.root, "proc/version")); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	w, views := workshop(t, "view of ", "proc/uptime", "sys/devices/system/cpu/online")
	attached, err := c.reattach(c.pid, w, sealed.Plan{Views: views})
	if err == nil || !strings.Contains(err.Error(), "/proc: ") || !slices.Equal(attached, []string{"sys/devices/system/cpu/online"}) {
		t.Errorf("attached %q, %v, want that of sysfs alone", attached, err)
	}
	table, err := os.ReadFile(fmt.Sprintf("/proc/%d/mountinfo", c.pid))
	if got := strings.Count(string(table), c.root+"/proc/version "); err != nil || got != many {
		t.Errorf("%d of the container's own %d mounts are left, %v", got, many, err)
	}
}

// mountFUSE mounts a FUSE file that nobody serves, and which is dead once what it returns
// is closed.
func mountFUSE(path string) (*os.File, error) {
	f, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	options := fmt.Sprintf("fd=%d,rootmode=%o,user_id=0,group_id=0,allow_other", f.Fd(), syscall.S_IFREG)
	return f, sys.Mount("test", path, "fuse.test", 0, options)
}

func TestReattachOfAContainerThatEnded(t *testing.T) {
	p := systest.Process(t, sys.NewNS|sys.NewPID, 0)
	init, err := sys.OpenProcess(p.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	defer init.Close()
	_ = p.Process.Kill()
	_ = p.Wait() // killed
	w, _ := workshop(t, "")
	_, err = onThread(func() ([]string, error) {
		return views(attach.Reattach(init, p.Process.Pid, &attach.Container{Workshop: w, Root: "/"}))
	})
	if !errors.Is(err, syscall.ESRCH) && !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want that there is no such process", err)
	}
}
