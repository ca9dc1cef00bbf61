//go:build root

package sealed_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"cloister/internal/sealed"
	"cloister/internal/sys"
	"cloister/internal/sys/systest"
)

const firstID = 2_100_000_000

// onThread calls f on a thread of its own, as the workshop wants it.
func onThread(t *testing.T, f func() error) {
	t.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		done <- errors.Join(sys.UnshareFS(), f())
	}()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// workshop builds one, and a directory with sources of views.
func workshop(t *testing.T) (w *sealed.Workshop, views string) {
	t.Helper()
	views = systest.Dir(t)
	for name, mode := range map[string]os.FileMode{"view": 0o644, "core_pattern": 0o666, "swappiness": 0o666} {
		path := filepath.Join(views, name)
		if err := errors.Join(os.WriteFile(path, []byte("VIEW"), 0o644), os.Chmod(path, mode)); err != nil {
			t.Fatal(err)
		}
	}
	onThread(t, func() (err error) { w, err = sealed.Build([]string{views}); return err })
	if t.Failed() {
		t.FailNow()
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	return w, views
}

type process struct {
	*exec.Cmd
	stdin  io.WriteCloser
	stdout io.Reader
}

// start runs a process that ends with the test.
func start(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{Cmd: cmd}
	var err error
	if p.stdin, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if p.stdout, err = cmd.StdoutPipe(); err != nil {
		t.Fatal(err)
	}
	runtime.LockOSThread() // Pdeathsig is about the thread
	t.Cleanup(runtime.UnlockOSThread)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = p.stdin.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // killed
	})
	return p
}

// proc returns a naked proc of this pid namespace.
func proc() (*sys.Tree, error) { return sys.NewMount("proc", sys.NoSUID|sys.NoDev|sys.NoExec) }

// mounts returns the mount points in both of the workshop's namespaces.
func mounts(t *testing.T, pid, lockedFD int) (points []string) {
	t.Helper()
	onThread(t, func() error {
		for _, path := range []string{fmt.Sprintf("/proc/%d/ns/mnt", pid), fmt.Sprintf("/proc/%d/fd/%d", pid, lockedFD)} {
			ns, err := sys.OpenNamespace(path)
			if err != nil {
				return err
			}
			err = sys.InMounts(ns, func() error {
				text, err := os.ReadFile("/proc/thread-self/mountinfo")
				for line := range strings.Lines(string(text)) {
					points = append(points, filepath.Base(path)+" "+strings.Fields(line)[4])
				}
				return err
			})
			if err := errors.Join(err, ns.Close()); err != nil {
				return err
			}
		}
		return nil
	})
	return points
}

// keepWorkshop is the process that keeps a workshop for others.
func keepWorkshop(viewsDirs []string) error {
	w, err := sealed.Build(viewsDirs)
	if err != nil {
		return err
	}
	fmt.Println(w.LockedFD())
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

func init() { runtime.LockOSThread() } // the main thread is the one in the workshop

// keeper starts such a process.
func keeper(t *testing.T, viewsDirs ...string) (pid, lockedFD int) {
	t.Helper()
	p := start(t, as("keeper", 0, viewsDirs...))
	if _, err := fmt.Fscan(p.stdout, &lockedFD); err != nil {
		t.Fatal(err)
	}
	return p.Process.Pid, lockedFD
}

// Other processes work in it, several at a time, and leave nothing there.
func TestWorkshopOfAnotherProcess(t *testing.T) {
	views := systest.Dir(t)
	if err := os.WriteFile(views+"/view", []byte("VIEW"), 0o644); err != nil {
		t.Fatal(err)
	}
	pid, fd := keeper(t, views)
	before := mounts(t, pid, fd)
	plan := &sealed.Plan{Views: []sealed.View{{Source: views + "/view", Path: "proc/meminfo"}}, Masked: []string{"proc/version"}}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			onThread(t, func() error {
				w, err := sealed.Open(pid, fd)
				if err != nil {
					return err
				}
				defer w.Close()
				for range 10 {
					base, err := proc()
					if err != nil {
						return err
					}
					tree, has, err := w.Seal(base, "proc", plan)
					if err != nil {
						return err
					}
					if !slices.Equal(has, []string{"proc/meminfo"}) {
						t.Errorf("has views %q", has)
					}
					f, err := sys.OpenBeneathPath(tree.FD, "meminfo")
					if err != nil {
						return err
					}
					text, err := os.ReadFile(f.ProcPath())
					if err != nil || string(text) != "VIEW" {
						t.Errorf("view: %q, %v", text, err)
					}
					if err := errors.Join(f.Close(), tree.Close()); err != nil {
						return err
					}
				}
				return nil
			})
		})
	}
	all.Wait()
	if after := mounts(t, pid, fd); !slices.Equal(before, after) {
		t.Errorf("mounts in the workshop: %q before, %q after", before, after)
	}
	left, err := filepath.Glob(fmt.Sprintf("/proc/%d/root/[lbs]*/*", pid))
	if err != nil || len(left) > 0 {
		t.Errorf("left in the workshop: %q, %v", left, err)
	}
	if len(before) > 16 {
		t.Errorf("the workshop has mounts of the host's: %q", before)
	}
}

func TestWorkshopThatIsGone(t *testing.T) {
	own, err := sys.OpenThreadNamespace("mnt")
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	p := systest.Process(t, sys.NewUser|sys.NewNS, firstID)
	for name, pid := range map[string]int{"this process": os.Getpid(), "a container": p.Process.Pid, "nobody": 1 << 23} {
		if w, err := sealed.Open(pid, own.Int()); !errors.Is(err, sealed.ErrGone) {
			t.Errorf("%s: got %v, %v, want ErrGone", name, w, err)
		}
	}
}

// leavePlace works in a workshop and never finishes: what is taken from stands still.
func leavePlace(pid, lockedFD string) error {
	p, err := strconv.Atoi(pid)
	if err != nil {
		return err
	}
	fd, err := strconv.Atoi(lockedFD)
	if err != nil {
		return err
	}
	w, err := sealed.Open(p, fd)
	if err != nil {
		return err
	}
	if err := sys.UnshareFS(); err != nil {
		return err
	}
	base, err := proc()
	if err != nil {
		return err
	}
	return w.LockAnd(base, func() error {
		fmt.Println("there")
		_, err := io.Copy(io.Discard, os.Stdin)
		return err
	})
}

// What a process that was killed has left is swept by the next, and what one that works
// has there is not.
func TestPlacesOfTheKilledAreSwept(t *testing.T) {
	pid, fd := keeper(t)
	before := mounts(t, pid, fd)
	args := []string{strconv.Itoa(pid), strconv.Itoa(fd)}
	var workers []*process
	for range 2 {
		p := start(t, as("killed", 0, args...))
		if _, err := p.stdout.Read(make([]byte, 16)); err != nil {
			t.Fatal(err)
		}
		workers = append(workers, p)
	}
	sealOne := func() {
		onThread(t, func() error {
			w, err := sealed.Open(pid, fd)
			if err != nil {
				return err
			}
			defer w.Close()
			base, err := proc()
			if err != nil {
				return err
			}
			tree, err := w.Lock(base)
			return errors.Join(err, tree.Close())
		})
	}
	for left := len(workers); left >= 0; left-- {
		sealOne()
		// A tree that is staged is in both namespaces.
		if got, want := len(mounts(t, pid, fd)), len(before)+2*left; got != want {
			t.Errorf("%d mounts while %d are at work, want %d", got, left, want)
		}
		if left > 0 {
			_ = workers[left-1].Process.Kill()
			_ = workers[left-1].Wait() // killed
		}
	}
}

func TestKeptTrees(t *testing.T) {
	w, views := workshop(t)
	onThread(t, func() error {
		base, err := proc()
		if err != nil {
			return err
		}
		plan := &sealed.Plan{Views: []sealed.View{{Source: views + "/view", Path: "proc/meminfo"}}}
		if err := w.Keep("one", base, "proc", plan); err != nil {
			return err
		}
		for range 2 {
			tree, err := w.Clone("one")
			if err != nil {
				return err
			}
			defer tree.Close()
			f, err := sys.OpenBeneathPath(tree.FD, "meminfo")
			if err != nil {
				return err
			}
			defer f.Close()
			if text, err := os.ReadFile(f.ProcPath()); err != nil || string(text) != "VIEW" {
				t.Errorf("view in a copy: %q, %v", text, err)
			}
			if _, err := sys.CloneTree(tree.FD, false); !errors.Is(err, unix.EINVAL) {
				t.Errorf("a copy without the views: %v, want EINVAL", err)
			}
		}
		if err := w.Forget("one"); err != nil {
			return err
		}
		if _, err := w.Clone("one"); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("copy of what is forgotten: %v", err)
		}
		if err := w.Forget("one"); err != nil {
			t.Errorf("forgotten again: %v", err)
		}
		for _, name := range []string{"", "..", "a/b"} {
			if _, err := w.Clone(name); err == nil || errors.Is(err, os.ErrNotExist) {
				t.Errorf("name %q: %v", name, err)
			}
		}
		return nil
	})
}

func TestLockedFlagsStay(t *testing.T) {
	w, _ := workshop(t)
	onThread(t, func() error {
		base, err := sys.NewMount("tmpfs", sys.ReadOnly)
		if err != nil {
			return err
		}
		tree, err := w.Lock(base)
		if err != nil {
			return err
		}
		defer tree.Close()
		err = unix.MountSetattr(tree.Int(), "", unix.AT_EMPTY_PATH, &unix.MountAttr{Attr_clr: unix.MOUNT_ATTR_RDONLY})
		if !errors.Is(err, unix.EPERM) {
			t.Errorf("made writable: %v, want EPERM", err)
		}
		return nil
	})
}

// Nothing else is taken for a proc or sysfs.
func TestOnlyProcAndSysfsAreSealed(t *testing.T) {
	w, _ := workshop(t)
	onThread(t, func() error {
		for _, fs := range []string{"proc", "sys", "dev"} {
			base, err := sys.NewMount("tmpfs", 0)
			if err != nil {
				return err
			}
			if _, _, err := w.Seal(base, fs, &sealed.Plan{}); err == nil {
				t.Errorf("a tmpfs was sealed as %s", fs)
			}
		}
		return nil
	})
}

// To the kernel a proc with nothing locked on it is one that hides nothing.
func TestAProcWithoutAPlaceForViewsIsRefused(t *testing.T) {
	w, views := workshop(t)
	onThread(t, func() error {
		base, err := sys.NewMount("proc", 0, [2]string{"subset", "pid"})
		if err != nil {
			return err
		}
		if tree, _, err := w.Seal(base, "proc", thePlan(views)); err == nil {
			t.Error("sealed", tree.Close())
		}
		base, err = sys.NewMount("proc", 0, [2]string{"subset", "pid"})
		if err != nil {
			return err
		}
		if err := w.Keep("bare", base, "proc", &sealed.Plan{Masked: []string{"proc/kcore"}}); err == nil {
			t.Error("kept")
		}
		return nil
	})
}
