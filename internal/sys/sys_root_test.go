//go:build root

package sys_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"cloister/internal/sys"
	"cloister/internal/sys/systest"
)

const firstID = 2_100_000_000

func TestIDMappedMountShiftsOwnersBothWays(t *testing.T) {
	systest.InPrivateMounts(t, func(dir string) error {
		source, target := filepath.Join(dir, "source"), filepath.Join(dir, "target")
		if err := errors.Join(os.Mkdir(source, 0o755), os.Mkdir(target, 0o755)); err != nil {
			return err
		}
		ns, err := sys.NewUserNamespace(firstID, 65536)
		if err != nil {
			return err
		}
		defer ns.Close()
		tree, err := sys.ClonePath(source, false)
		if err != nil {
			return err
		}
		defer tree.Close()
		if err := errors.Join(tree.IDMap(ns.FD, false), tree.MoveTo(target)); err != nil {
			return err
		}
		if uid := owner(t, target); uid != firstID {
			t.Errorf("owner of the mount: got %d, want %d", uid, firstID)
		}
		err = sys.AsFSUser(firstID+33, firstID+33, func() error { return os.WriteFile(filepath.Join(target, "file"), nil, 0o600) })
		if err != nil {
			return err
		}
		if uid := owner(t, filepath.Join(source, "file")); uid != 33 {
			t.Errorf("owner on disk: got %d, want 33", uid)
		}
		return nil
	})
}

func TestUserNamespaceLeavesNoProcess(t *testing.T) {
	before := children(t)
	ns, err := sys.NewUserNamespace(firstID, 65536)
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Close()
	if after := children(t); !slices.Equal(before, after) {
		t.Errorf("child processes: %v before, %v after", before, after)
	}
	own, err := sys.OpenThreadNamespace("user")
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	parent, err := ns.Owner()
	if err != nil {
		t.Fatal(err)
	}
	defer parent.Close()
	if parent.ID() != own.ID() || ns.ID() == own.ID() {
		t.Errorf("namespace %v with parent %v, want a new one below %v", ns.ID(), parent.ID(), own.ID())
	}
}

func TestImpossibleMapsAreAnError(t *testing.T) {
	ns, err := sys.NewUserNamespace(1<<32-10, 65536)
	if err == nil {
		ns.Close()
		t.Fatal("ids beyond 32 bits were mapped")
	}
	if !strings.Contains(err.Error(), "with ids 4294967286 to 4295032821") {
		t.Errorf("got %v, want the ids named", err)
	}
}

// What was cloned from locked mounts stays read-only, for root as well.
func TestLockedMounts(t *testing.T) {
	systest.InPrivateMounts(t, func(dir string) error {
		if err := sys.BindOnto(dir, dir); err != nil {
			return err
		}
		if err := unix.MountSetattr(unix.AT_FDCWD, dir, 0, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY}); err != nil {
			return err
		}
		open, err := sys.ClonePath(dir, false)
		if err != nil {
			return err
		}
		defer open.Close()
		if err := clearReadOnly(open); err != nil {
			t.Errorf("a mount of our own: %v", err)
		}

		ns, err := sys.NewLockedMounts(firstID, 65536)
		if err != nil {
			return err
		}
		defer ns.Close()
		var locked *sys.Tree
		err = sys.InMounts(ns, func() (err error) { locked, err = sys.ClonePath(dir, false); return err })
		if err != nil {
			return err
		}
		defer locked.Close()
		if err := clearReadOnly(locked); !errors.Is(err, unix.EPERM) {
			t.Errorf("a locked mount was made writable: %v", err)
		}
		return nil
	})
}

func TestExitWatcher(t *testing.T) {
	w, err := sys.NewExitWatcher()
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan int, 3)
	watch := func(pid int) {
		t.Helper()
		fd, err := sys.OpenProcess(pid)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Watch(fd, func() { ended <- pid }); err != nil {
			t.Fatal(err)
		}
	}
	first, second, third := systest.Process(t, 0, 0), systest.Process(t, 0, 0), systest.Process(t, 0, 0)
	watch(first.Process.Pid)
	watch(third.Process.Pid)
	if err := second.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	watch(second.Process.Pid) // a zombie by now, or soon
	if pid := <-ended; pid != second.Process.Pid {
		t.Errorf("process %d ended, want %d", pid, second.Process.Pid)
	}
	if err := first.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if pid := <-ended; pid != first.Process.Pid {
		t.Errorf("process %d ended, want %d", pid, first.Process.Pid)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	_ = third.Process.Kill()
	_ = third.Wait()
	select {
	case pid := <-ended:
		t.Errorf("told of process %d after Close", pid)
	default:
	}
}

// A pidfd's file outlives its number while a child has a copy of it.
func TestExitWatcherForgetsTheNumber(t *testing.T) {
	w, err := sys.NewExitWatcher()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	ended := make(chan string, 8)
	gone, living, last := systest.Process(t, 0, 0), systest.Process(t, 0, 0), systest.Process(t, 0, 0)
	first := open(t, gone)
	number := first.Int()
	kept, err := unix.FcntlInt(uintptr(number), unix.F_DUPFD_CLOEXEC, number+100)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(kept)
	if err := w.Watch(first, func() { ended <- "gone" }); err != nil {
		t.Fatal(err)
	}
	_ = gone.Process.Kill()
	if who := <-ended; who != "gone" {
		t.Fatalf("the %s process ended", who)
	}

	second := open(t, living)
	for second.Int() != number {
		if second.Int() > number {
			t.Fatalf("number %d is not free again", number)
		}
		defer second.Close()
		second = open(t, living)
	}
	if err := w.Watch(second, func() { ended <- "living" }); err != nil {
		t.Fatal(err)
	}
	if err := w.Watch(open(t, last), func() { ended <- "last" }); err != nil {
		t.Fatal(err)
	}
	_ = last.Process.Kill()
	if who := <-ended; who != "last" {
		t.Errorf("the end of the %s process was told", who)
	}
}

// While this process forks all the time, nobody is told of the end of a process
// that lives.
func TestExitWatcherWhileOthersFork(t *testing.T) {
	const workers, rounds = 8, 60
	w, err := sys.NewExitWatcher()
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for range rounds {
				cmd := exec.Command("cat")
				in, err := cmd.StdinPipe()
				if err == nil {
					err = cmd.Start()
				}
				if err != nil {
					t.Error(err)
					return
				}
				var mayEnd atomic.Bool
				told := make(chan struct{})
				fd, err := sys.OpenProcess(cmd.Process.Pid)
				if err == nil {
					err = w.Watch(fd, func() {
						if !mayEnd.Load() {
							t.Errorf("told of the end of process %d, which lives", cmd.Process.Pid)
						}
						close(told)
					})
				}
				if err != nil {
					t.Error(err)
				}
				_ = exec.Command("true").Run() // it lives that long
				mayEnd.Store(true)
				_ = in.Close()
				_ = cmd.Wait()
				if err == nil {
					<-told
				}
			}
		})
	}
	wg.Wait()
	if err := w.Close(); err != nil {
		t.Error(err)
	}
}

func open(t *testing.T, cmd *exec.Cmd) *sys.FD {
	t.Helper()
	fd, err := sys.OpenProcess(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	return fd
}

func TestEndedProcessCannotBeOpened(t *testing.T) {
	p := systest.Process(t, 0, 0)
	_ = p.Process.Kill()
	_ = p.Wait()
	if fd, err := sys.OpenProcess(p.Process.Pid); !errors.Is(err, unix.ESRCH) {
		t.Errorf("got %v, %v, want ESRCH", fd, err)
	}
}

func TestWriteToAnotherProcess(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	cmd := exec.Command("sleep", "infinity")
	cmd.Stderr = w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close() // the process alone has it now
	if err := sys.WriteTo(cmd.Process.Pid, 2, "from outside"); err != nil {
		t.Error(err)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait() // killed
	if text, err := io.ReadAll(r); err != nil || string(text) != "from outside" {
		t.Errorf("read %q, %v", text, err)
	}
}

func TestUsersAreGivenBack(t *testing.T) {
	systest.InPrivateMounts(t, func(string) error {
		before := credentials(t)
		err := errors.Join(
			sys.AsFSUser(firstID, firstID, func() error {
				if now := credentials(t); now["Uid"] != fmt.Sprintf("0 0 0 %d", firstID) || now["CapEff"] != before["CapEff"] {
					t.Errorf("as file system user: %v", now)
				}
				return nil
			}),
			sys.AsUser(firstID, func() error {
				if now := credentials(t); now["Uid"] != fmt.Sprintf("0 %d 0 %[1]d", firstID) || now["CapEff"] != before["CapEff"] {
					t.Errorf("as effective user: %v", now)
				}
				return nil
			}),
		)
		for key, value := range credentials(t) {
			if value != before[key] {
				t.Errorf("%s: %s before, %s after", key, before[key], value)
			}
		}
		return err
	})
}

func TestInNamespaceComesBack(t *testing.T) {
	p := systest.Process(t, sys.NewNet|sys.NewNS|sys.NewUTS|sys.NewIPC, 0)
	systest.InPrivateMounts(t, func(string) error {
		for kind, in := range map[string]func(*sys.Namespace, func() error) error{
			"net": sys.InNetwork, "mnt": sys.InMounts, "uts": sys.InUTS, "ipc": sys.InIPC,
		} {
			its, err := sys.OpenPIDNamespace(p.Process.Pid, kind)
			if err != nil {
				return err
			}
			before, failed := current(t, kind), errors.New("f failed")
			err = in(its, func() error {
				if now := current(t, kind); now != its.ID() {
					t.Errorf("%s: in %v, want %v", kind, now, its.ID())
				}
				return failed
			})
			if !errors.Is(err, failed) {
				t.Errorf("%s: got %v, want the error of f", kind, err)
			}
			if after := current(t, kind); after != before {
				t.Errorf("%s: the thread stays in %v", kind, after)
			}
			if err := its.Close(); err != nil {
				return err
			}
		}
		return nil
	})
}

func TestBeneathNothingLeadsOut(t *testing.T) {
	dir := t.TempDir()
	if err := errors.Join(
		os.Mkdir(filepath.Join(dir, "proc"), 0o755),
		os.WriteFile(filepath.Join(dir, "proc/file"), nil, 0o600),
		os.Symlink("/etc/passwd", filepath.Join(dir, "link")),
		os.Symlink("/etc", filepath.Join(dir, "absolute")),
		os.Symlink("../../../../etc", filepath.Join(dir, "up")),
	); err != nil {
		t.Fatal(err)
	}
	root, err := sys.OpenPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	f, err := sys.OpenBeneathPath(root, "proc/file")
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	link, err := sys.OpenBeneathPath(root, "link")
	if err != nil {
		t.Fatal(err)
	}
	defer link.Close()
	if st, err := link.Stat(); err != nil || st.Type() != unix.S_IFLNK {
		t.Errorf("a link at the end was followed: %+v, %v", st, err)
	}
	for _, path := range []string{"absolute/passwd", "up/passwd", "../" + filepath.Base(dir) + "/proc/file", "/etc/passwd"} {
		if f, err := sys.OpenBeneathPath(root, path); err == nil {
			f.Close()
			t.Errorf("%s was opened", path)
		}
	}
}

func clearReadOnly(tree *sys.Tree) error {
	return unix.MountSetattr(tree.Int(), "", unix.AT_EMPTY_PATH, &unix.MountAttr{Attr_clr: unix.MOUNT_ATTR_RDONLY})
}

func owner(t *testing.T, path string) uint32 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Sys().(*syscall.Stat_t).Uid
}

func current(t *testing.T, kind string) sys.FileID {
	t.Helper()
	ns, err := sys.OpenThreadNamespace(kind)
	if err != nil {
		t.Error(err)
		return sys.FileID{}
	}
	defer ns.Close()
	return ns.ID()
}

// children returns the child processes of all threads.
func children(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("/proc/self/task/*/children")
	if err != nil {
		t.Fatal(err)
	}
	var pids []string
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			continue // a thread that has ended
		}
		pids = append(pids, strings.Fields(string(text))...)
	}
	slices.Sort(pids)
	return pids
}

// credentials returns the lines of the calling thread's status that tell who it is.
func credentials(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("/proc/thread-self/status")
	if err != nil {
		t.Error(err)
	}
	out := map[string]string{}
	for _, line := range strings.Split(string(text), "\n") {
		if key, value, _ := strings.Cut(line, ":"); key == "Uid" || key == "Gid" || strings.HasPrefix(key, "Cap") {
			out[key] = strings.Join(strings.Fields(value), " ")
		}
	}
	return out
}
