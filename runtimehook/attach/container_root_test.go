//go:build root

package attach_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"testing"

	"cloister/internal/mounter"
	"cloister/internal/sealed"
	"cloister/internal/sys"
	"cloister/internal/sys/systest"
	"cloister/internal/sys/systest/talk"
	"cloister/runtimehook/attach"
)

const firstID = 2_100_000_000

func init() { runtime.LockOSThread() } // the main thread is the one in the workshop

func TestMain(m *testing.M) {
	if !slices.Equal(os.Args[1:], mounter.Args) {
		os.Exit(m.Run())
	}
	if err := mounter.Main(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// container is one before its root is changed: its /proc, /sys and more below a directory.
type container struct {
	t    *testing.T
	root string
	pid  int
}

// newContainer mounts proc and sysfs below a new root and runs more in the container's
// mount namespace, with the root as $0.
func newContainer(t *testing.T, more string) *container {
	t.Helper()
	c := &container{t: t, root: systest.Dir(t)}
	for _, sub := range []string{"proc", "sys", "etc", "other", "ro"} {
		if err := os.Mkdir(filepath.Join(c.root, sub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(c.root, "etc/hostname"), []byte("its own"), 0o644); err != nil {
		t.Fatal(err)
	}
	c.pid = containerAt(t, c.root, more)
	return c
}

// lockedContainer starts one in a container that has the same mounts, all of them locked.
func lockedContainer(t *testing.T, outer *container) *container {
	t.Helper()
	inner := exec.Command("nsenter", "-t", fmt.Sprint(outer.pid), "-m", "-p", "unshare", "-Umf", "--propagation", "private", "--kill-child", "sh", "-c", "echo ready; exec cat")
	return &container{t: t, root: outer.root, pid: child(t, inner)}
}

// path names a file in the container.
func (c *container) path(file string) string {
	return fmt.Sprintf("/proc/%d/root%s/%s", c.pid, c.root, file)
}

func (c *container) reads(file, want string) {
	c.t.Helper()
	if text, err := os.ReadFile(c.path(file)); err != nil || string(text) != want {
		c.t.Errorf("/%s in the container: got %q, %v, want %q", file, text, err, want)
	}
}

// umount unmounts what is at a place in the container, as the host's root.
func (c *container) umount(file string) error {
	return c.inside(func() error { return sys.Detach(filepath.Join(c.root, file)) })
}

func (c *container) inside(f func() error) error {
	init, err := sys.OpenProcess(c.pid)
	if err != nil {
		c.t.Fatal(err)
	}
	defer init.Close()
	_, err = onThread(func() ([]string, error) {
		return nil, errors.Join(sys.UnshareFS(), sys.InMountsOf(init, f))
	})
	return err
}

func (c *container) attach(w sealed.Address, plan sealed.Plan, more ...func(*attach.Container)) ([]string, error) {
	order := &attach.Container{Root: c.root, Workshop: w, Plan: plan}
	for _, m := range more {
		m(order)
	}
	return onThread(func() ([]string, error) { return views(attach.Attach(c.pid, order)) })
}

func (c *container) reattach(pid int, w sealed.Address, plan sealed.Plan) ([]string, error) {
	init, err := sys.OpenProcess(pid)
	if err != nil {
		c.t.Fatal(err)
	}
	defer init.Close()
	return onThread(func() ([]string, error) {
		return views(attach.Reattach(init, pid, &attach.Container{Root: c.root, Workshop: w, Plan: plan}))
	})
}

func views(done *attach.Attached, err error) ([]string, error) {
	if done == nil {
		return nil, err
	}
	return done.Views, err
}

// workshop starts a process with one, and returns views that say what they are.
func workshop(t *testing.T, text string, files ...string) (sealed.Address, []sealed.View) {
	t.Helper()
	dir := systest.Dir(t)
	for _, f := range files {
		path := filepath.Join(dir, f)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text+f), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	return keeper(t, dir), below(dir, files...)
}

func keeper(t *testing.T, dir string) sealed.Address {
	t.Helper()
	p, err := mounter.Start(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return sealed.Address{PID: p.PID, LockedFD: p.LockedFD}
}

// containerAt starts a process in a mount namespace with /proc and /sys below root.
func containerAt(t *testing.T, root, more string) (pid int) {
	t.Helper()
	cmd := exec.Command("sh", "-c", `mount --make-rprivate / && mount --bind "$0" "$0" && mount -t proc proc "$0/proc" && mount -t sysfs sysfs "$0/sys" && `+more+` && echo ready && exec cat`, root)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: sys.NewNS | sys.NewPID}
	child(t, cmd)
	return cmd.Process.Pid
}

// child starts a command that says when it is ready and then waits, and returns the
// process that does.
func child(t *testing.T, cmd *exec.Cmd) (pid int) {
	t.Helper()
	cmd.Stderr = os.Stderr
	p := talk.Start(t, cmd)
	p.Hear("ready")
	for pid = p.PID; ; {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", pid))
		if err != nil || len(text) == 0 {
			return pid
		}
		if _, err := fmt.Sscan(string(text), &pid); err != nil {
			t.Fatal(err)
		}
	}
}

// onThread calls f on a thread that f may leave changed.
func onThread(f func() ([]string, error)) (out []string, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		out, err = f()
	}()
	<-done
	return out, err
}

// below returns views whose sources are below dir.
func below(dir string, paths ...string) (list []sealed.View) {
	for _, p := range paths {
		list = append(list, sealed.View{Source: filepath.Join(dir, p), Path: p})
	}
	return list
}
