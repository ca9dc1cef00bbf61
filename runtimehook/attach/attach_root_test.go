//go:build root

package attach_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"cloister/internal/mounter"
	"cloister/internal/sealed"
	"cloister/internal/sys"
	"cloister/internal/sys/systest"
	"cloister/runtimehook/attach"
)

const firstID = 2_100_000_000

// allNamespaces are those that a container must have of its own.
const allNamespaces = sys.NewUser | sys.NewPID | sys.NewNS | sys.NewIPC | sys.NewUTS | sys.NewNet

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

func TestVerify(t *testing.T) {
	tests := []struct {
		name     string
		flags    uintptr
		promised []string
		shared   string // in the error
	}{
		{"isolated", allNamespaces, nil, ""},
		{"with a promised one", allNamespaces | sys.NewCgroup, []string{"cgroup"}, ""},
		{"without a promised one", allNamespaces, []string{"cgroup"}, "[cgroup]"},
		{"host's pid and network", sys.NewUser | sys.NewNS | sys.NewIPC | sys.NewUTS, nil, "[pid net]"},
		{"host's user namespace", allNamespaces &^ sys.NewUser, nil, "[user]"},
		{"nothing of its own", 0, nil, "[user pid mnt ipc uts net]"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := attach.Verify(systest.Process(t, tt.flags, firstID).Process.Pid, tt.promised)
			switch {
			case tt.shared == "" && err != nil:
				t.Errorf("got %v, want none", err)
			case tt.shared != "" && (!errors.Is(err, attach.ErrNotIsolated) || !strings.Contains(err.Error(), tt.shared)):
				t.Errorf("got %v, want %q shared", err, tt.shared)
			}
		})
	}
}

func TestVerifyOfAProcessThatIsGone(t *testing.T) {
	p := systest.Process(t, 0, 0)
	_ = p.Process.Kill()
	_ = p.Wait()
	if err := attach.Verify(p.Process.Pid, nil); err == nil {
		t.Error("verified")
	}
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

// The views cover the container's files and no others, read-only and for good, and what
// the runtime has mounted on its proc and sysfs stays.
func TestAttach(t *testing.T) {
	c := newContainer(t, `mount -t tmpfs lower "$0/sys/fs/cgroup" && echo lower >"$0/sys/fs/cgroup/file" &&
		mount -t tmpfs upper "$0/sys/fs/cgroup" && echo upper >"$0/sys/fs/cgroup/file" &&
		mount --bind "$0/etc/hostname" "$0/proc/sys/kernel/ostype" && mount -t tmpfs covers "$0/proc/sys/kernel" &&
		mount --bind "$0/etc/hostname" "$0/proc/version" && mount -t proc proc "$0/other"`)
	w, views := workshop(t, "view of ", "proc/uptime", "proc/nothing-of-this-name", "sys/devices/system/cpu/online", "etc/hostname")
	plan := sealed.Plan{Views: views, Masked: []string{"proc/cmdline", "proc/nothing"}, ReadOnly: []string{"proc/sys"}}
	attached, err := c.attach(w, plan)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"proc/uptime", "sys/devices/system/cpu/online"}; !slices.Equal(attached, want) {
		t.Errorf("attached: got %q, want %q", attached, want)
	}
	for file, want := range map[string]string{
		"proc/uptime": "view of proc/uptime", "sys/devices/system/cpu/online": "view of sys/devices/system/cpu/online",
		"other/uptime": "view of proc/uptime", "proc/cmdline": "",
		"etc/hostname": "its own", "sys/fs/cgroup/file": "upper\n", "proc/version": "its own",
	} {
		c.reads(file, want)
	}
	if err := os.WriteFile(c.path("proc/uptime"), nil, 0); !errors.Is(err, syscall.EROFS) {
		t.Errorf("write to a view: got %v, want EROFS", err)
	}
	for _, file := range []string{"proc/uptime", "proc/cmdline", "proc/sys", "sys/devices/system/cpu/online", "other/uptime"} {
		if err := c.umount(file); !errors.Is(err, syscall.EINVAL) {
			t.Errorf("unmounted %s: %v, want EINVAL", file, err)
		}
	}
	for _, own := range []string{"sys/fs/cgroup", "proc/sys/kernel"} {
		if err := c.umount(own); err != nil {
			t.Errorf("a mount of the container's own: %v", err)
		}
	}
	c.reads("sys/fs/cgroup/file", "lower\n")
	c.reads("proc/sys/kernel/ostype", "its own")
	for _, naked := range []string{"proc", "sys", "other"} {
		if err := c.umount(naked); err != nil {
			t.Error(err)
		}
		if names, err := os.ReadDir(c.path(naked)); err != nil || len(names) != 0 {
			t.Errorf("below /%s are %d files, %v", naked, len(names), err)
		}
	}
	if text, err := os.ReadFile("/proc/uptime"); err != nil || strings.HasPrefix(string(text), "view") {
		t.Errorf("the host's own file: %q, %v", text, err)
	}
}

// A proc under another could be uncovered.
func TestAttachRefusesAProcThatIsCovered(t *testing.T) {
	for name, more := range map[string]string{
		"by another": `mount -t proc proc "$0/proc"`, "by something else": `mount -t tmpfs none "$0/proc"`,
	} {
		c := newContainer(t, more)
		w, _ := workshop(t, "")
		if attached, err := c.attach(w, sealed.Plan{}); err == nil {
			t.Errorf("%s: attached %q", name, attached)
		}
	}
}

// A container that points its /proc elsewhere gets no view there, and nothing of
// the host's is covered.
func TestAttachFollowsNoLink(t *testing.T) {
	root := systest.Dir(t)
	if err := os.Symlink("/proc", filepath.Join(root, "proc")); err != nil {
		t.Fatal(err)
	}
	w, views := workshop(t, "view", "proc/uptime")
	c := &container{t: t, root: root, pid: systest.Process(t, sys.NewNS|sys.NewPID, 0).Process.Pid}
	if attached, err := c.attach(w, sealed.Plan{Views: views}); err != nil || len(attached) != 0 {
		t.Errorf("attached %q, %v", attached, err)
	}
	if text, err := os.ReadFile(fmt.Sprintf("/proc/%d/root/proc/uptime", c.pid)); err != nil || strings.HasPrefix(string(text), "view") {
		t.Errorf("the host's own file: %q, %v", text, err)
	}
}

// What is read-only in the beginning stays so, with all that is mounted on it.
func TestReadOnlyMountsAreLocked(t *testing.T) {
	c := newContainer(t, `cd "$0" && mount -t tmpfs none ro && mkdir ro/sub && mount -t tmpfs -o ro none ro/sub && mount -t tmpfs none other`)
	w, views := workshop(t, "view", "proc/uptime")
	attached, err := c.attach(w, sealed.Plan{Views: views}, func(order *attach.Container) {
		order.Locked, order.Dir, order.Owner = []string{"/ro", "/", "/none"}, "/etc/new/dir", firstID
	})
	if err != nil || !slices.Equal(attached, []string{"proc/uptime"}) {
		t.Fatalf("attached %q, %v", attached, err)
	}
	if st, err := sys.StatPath(c.path("etc/new/dir")); err != nil || st.UID != firstID {
		t.Errorf("working directory: %+v, %v", st, err)
	}
	c.reads("proc/uptime", "viewproc/uptime")
	if err := os.WriteFile(c.path("other/file"), nil, 0o644); err != nil {
		t.Errorf("a mount that is not read-only: %v", err)
	}
	for _, dir := range []string{"", "ro", "ro/sub"} {
		err := c.inside(func() error {
			return sys.Mount("", filepath.Join(c.root, dir), "", syscall.MS_REMOUNT|syscall.MS_BIND, "")
		})
		if !errors.Is(err, syscall.EPERM) {
			t.Errorf("/%s made writable: %v, want EPERM", dir, err)
		}
		if err := os.WriteFile(filepath.Join(c.path(dir), "file"), nil, 0o644); !errors.Is(err, syscall.EROFS) {
			t.Errorf("write in /%s: %v, want EROFS", dir, err)
		}
	}
}

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
	inner := exec.Command("nsenter", "-t", fmt.Sprint(c.pid), "-m", "-p", "unshare", "-Umf", "--propagation", "private", "--kill-child", "sh", "-c", "echo ready; exec cat")
	pid := child(t, inner)
	w, views := workshop(t, "view of ", "proc/uptime")
	attached, err := c.reattach(pid, w, sealed.Plan{Views: views})
	if err != nil || !slices.Equal(attached, []string{"proc/uptime"}) {
		t.Errorf("attached %q, %v", attached, err)
	}
	(&container{t: t, root: c.root, pid: pid}).reads("proc/uptime", "view of proc/uptime")
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

func TestAttachTellsWhatIsReadOnly(t *testing.T) {
	c := newContainer(t, `mount -o remount,ro,bind "$0/sys"`)
	w, list := workshop(t, "view", "sys/devices/system/cpu/online")
	order := &attach.Container{Root: c.root, Workshop: w, Plan: sealed.Plan{Views: list}}
	var done *attach.Attached
	_, err := onThread(func() (_ []string, err error) { done, err = attach.Attach(c.pid, order); return nil, err })
	if err != nil || done.ProcReadOnly || !done.SysReadOnly {
		t.Errorf("got %+v, %v, want that /sys alone is read-only", done, err)
	}
	err = c.inside(func() error {
		return sys.Mount("", filepath.Join(c.root, "sys"), "", syscall.MS_REMOUNT|syscall.MS_BIND, "")
	})
	if !errors.Is(err, syscall.EPERM) {
		t.Errorf("made writable: %v, want EPERM", err)
	}
}

func TestAttachWithoutAWorkshop(t *testing.T) {
	c := newContainer(t, "true")
	if _, err := c.attach(sealed.Address{PID: 1 << 23}, sealed.Plan{}); !errors.Is(err, sealed.ErrGone) {
		t.Errorf("got %v, want ErrGone", err)
	}
}

func TestSysctlsAreWrittenInTheContainersNamespaces(t *testing.T) {
	pid := systest.Process(t, allNamespaces, firstID).Process.Pid
	tests := []struct {
		name, value string
		in          func(*sys.Namespace, func() error) error
		kind        string
	}{
		{"net.ipv4.ip_forward", "1", sys.InNetwork, "net"},
		{"net.ipv4.conf.lo.forwarding", "1", sys.InNetwork, "net"},
		{"kernel.shmmni", "1234", sys.InIPC, "ipc"},
		{"kernel.domainname", "example.org", sys.InUTS, "uts"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := "/proc/sys/" + strings.ReplaceAll(tt.name, ".", "/")
			before, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			var inside []byte
			_, err = onThread(func() ([]string, error) {
				if err := attach.Sysctls(pid, firstID, map[string]string{tt.name: tt.value}); err != nil {
					return nil, err
				}
				ns, err := sys.OpenPIDNamespace(pid, tt.kind)
				if err != nil {
					return nil, err
				}
				defer ns.Close()
				return nil, tt.in(ns, func() error { inside, err = os.ReadFile(path); return err })
			})
			if err != nil || strings.TrimSpace(string(inside)) != tt.value {
				t.Errorf("in the container: got %q, %v, want %s", inside, err, tt.value)
			}
			if after, err := os.ReadFile(path); err != nil || string(after) != string(before) {
				t.Errorf("on the host: %q before, %q after, %v", before, after, err)
			}
		})
	}
}

func TestSysctlsOfTheHostAreRefused(t *testing.T) {
	pid := systest.Process(t, allNamespaces, firstID).Process.Pid
	same, err := os.ReadFile("/proc/sys/vm/swappiness")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"vm.swappiness", "net.//.vm.swappiness", "fs.mqueue.//.//.vm.swappiness", "net.//.//.sys.vm.swappiness", "net./.swappiness", "../vm/swappiness", "net"} {
		_, err := onThread(func() ([]string, error) {
			return nil, attach.Sysctls(pid, firstID, map[string]string{name: string(same)})
		})
		if err == nil {
			t.Errorf("%s was written", name)
		}
	}
}

func TestPromiseSurvivesTheCommandLine(t *testing.T) {
	want := &attach.Promise{
		Root: "/run/c/rootfs with \"quotes\"", Namespaces: []string{"cgroup", "time"},
		Sysctls: map[string]string{"net.ipv4.ping_group_range": "0\t1"}, SharedMounts: true,
	}
	got, err := attach.ParsePromise(want.String())
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != want.String() || got.Root != want.Root || !got.SharedMounts {
		t.Errorf("got %v, want %v", got, want)
	}
	if _, err := attach.ParsePromise("{"); err == nil {
		t.Error("half a promise was read")
	}
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
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait() // cat ends with its input
	})
	if _, err := io.ReadFull(out, make([]byte, len("ready\n"))); err != nil {
		t.Fatalf("container: %v", err)
	}
	for pid = cmd.Process.Pid; ; {
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
