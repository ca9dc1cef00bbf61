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

	"cloister/internal/sealed"
	"cloister/internal/sys"
	"cloister/internal/sys/systest"
	"cloister/runtimehook/attach"
)

const firstID = 2_100_000_000

// allNamespaces are those that a container must have of its own.
const allNamespaces = sys.NewUser | sys.NewPID | sys.NewNS | sys.NewIPC | sys.NewUTS | sys.NewNet

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

// The views cover the container's files and no others, read-only.
func TestAttach(t *testing.T) {
	// A container before its root is changed: its /proc and /sys below a directory.
	root := t.TempDir()
	dir := t.TempDir()
	for _, d := range []string{root, dir} {
		for _, sub := range []string{"proc", "sys/devices/system/cpu", "etc"} {
			if err := os.MkdirAll(filepath.Join(d, sub), 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := os.WriteFile(filepath.Join(root, "etc/hostname"), []byte("its own"), 0o644); err != nil {
		t.Fatal(err)
	}
	files := []string{"proc/uptime", "proc/nothing-of-this-name", "sys/devices/system/cpu/online", "etc/hostname"}
	for _, f := range files {
		if err := os.WriteFile(filepath.Join(dir, f), []byte("view of "+f), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	pid := containerAt(t, root)
	attached, err := onThread(func() ([]string, error) {
		return attach.Attach(pid, attach.Views{DaemonPID: os.Getpid(), List: below(dir, files...), Root: root})
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"proc/uptime", "sys/devices/system/cpu/online"}; !slices.Equal(attached, want) {
		t.Errorf("attached: got %q, want %q", attached, want)
	}
	inside := fmt.Sprintf("/proc/%d/root%s", pid, root)
	for file, want := range map[string]string{"proc/uptime": "view of proc/uptime", "etc/hostname": "its own"} {
		if text, err := os.ReadFile(filepath.Join(inside, file)); err != nil || string(text) != want {
			t.Errorf("/%s in the container: got %q, %v, want %q", file, text, err, want)
		}
	}
	if err := os.WriteFile(filepath.Join(inside, "proc/uptime"), nil, 0); !errors.Is(err, syscall.EROFS) {
		t.Errorf("write to a view: got %v, want EROFS", err)
	}
	if text, err := os.ReadFile("/proc/uptime"); err != nil || strings.HasPrefix(string(text), "view") {
		t.Errorf("the host's own file: %q, %v", text, err)
	}
}

// A container that points its /proc elsewhere gets no view there, and nothing of
// the host's is covered.
func TestAttachFollowsNoLink(t *testing.T) {
	root, dir := t.TempDir(), t.TempDir()
	if err := errors.Join(
		os.Symlink("/proc", filepath.Join(root, "proc")),
		os.Mkdir(filepath.Join(dir, "proc"), 0o755),
		os.WriteFile(filepath.Join(dir, "proc/uptime"), nil, 0o644),
	); err != nil {
		t.Fatal(err)
	}
	pid := systest.Process(t, sys.NewNS|sys.NewPID, 0).Process.Pid
	_, err := onThread(func() ([]string, error) {
		return attach.Attach(pid, attach.Views{DaemonPID: os.Getpid(), List: below(dir, "proc/uptime"), Root: root})
	})
	if !errors.Is(err, syscall.ELOOP) {
		t.Errorf("got %v, want ELOOP", err)
	}
}

// At a restart of the daemon the views of dead ones give way, but the container
// decides how much of its own is mounted there.
func TestReattach(t *testing.T) {
	tests := []struct {
		name   string
		path   string
		layers int
		served bool   // by somebody who does not answer
		want   string // in the error
	}{
		{"nothing is left of the views", "proc/uptime", 0, false, ""},
		{"some daemons were killed", "proc/uptime", 3, false, ""},
		{"the most that is taken away", "proc/uptime", 16, false, ""},
		{"the container stacks its own", "proc/uptime", 17, false, "more than 16"},
		{"no answer", "proc/uptime", 1, true, ""},
		{"no answer from its directory", "proc", 1, true, "at /proc"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			root, dir := t.TempDir(), t.TempDir()
			if err := errors.Join(
				os.Mkdir(filepath.Join(root, "proc"), 0o755),
				os.Mkdir(filepath.Join(root, "sys"), 0o755),
				os.Mkdir(filepath.Join(dir, "proc"), 0o755),
				os.WriteFile(filepath.Join(dir, "proc/uptime"), []byte("new view"), 0o644),
			); err != nil {
				t.Fatal(err)
			}
			pid := containerAt(t, root)
			init, err := sys.OpenProcess(pid)
			if err != nil {
				t.Fatal(err)
			}
			defer init.Close()
			_, err = onThread(func() ([]string, error) {
				if err := errors.Join(sys.UnshareFS(), sys.EnterMounts(init)); err != nil {
					return nil, err
				}
				for range tt.layers {
					server, err := mountFUSE(filepath.Join(root, tt.path))
					if err != nil {
						return nil, err
					}
					if tt.served {
						t.Cleanup(func() { server.Close() })
					} else if err := server.Close(); err != nil {
						return nil, err
					}
				}
				return nil, nil
			})
			if err != nil {
				t.Fatal(err)
			}
			attached, err := onThread(func() ([]string, error) {
				return attach.Reattach(init, attach.Views{DaemonPID: os.Getpid(), List: below(dir, "proc/uptime"), Root: root})
			})
			if tt.want != "" {
				if err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("got %v, want an error with %q", err, tt.want)
				}
				return
			}
			if err != nil || !slices.Equal(attached, []string{"proc/uptime"}) {
				t.Errorf("attached %q, %v", attached, err)
			}
			if text, err := os.ReadFile(fmt.Sprintf("/proc/%d/root%s/proc/uptime", pid, root)); err != nil || string(text) != "new view" {
				t.Errorf("in the container: %q, %v", text, err)
			}
		})
	}
}

// A view that can't be attached again is no reason to leave the others dead.
func TestReattachGoesOnAfterAnError(t *testing.T) {
	root, dir := t.TempDir(), t.TempDir()
	if err := errors.Join(
		os.Mkdir(filepath.Join(root, "proc"), 0o755),
		os.Mkdir(filepath.Join(root, "sys"), 0o755),
		os.Mkdir(filepath.Join(dir, "proc"), 0o755),
		os.WriteFile(filepath.Join(dir, "proc/uptime"), nil, 0o644),
		os.WriteFile(filepath.Join(dir, "proc/meminfo"), nil, 0o644),
	); err != nil {
		t.Fatal(err)
	}
	init, err := sys.OpenProcess(containerAt(t, root))
	if err != nil {
		t.Fatal(err)
	}
	defer init.Close()
	_, err = onThread(func() ([]string, error) {
		if err := errors.Join(sys.UnshareFS(), sys.EnterMounts(init)); err != nil {
			return nil, err
		}
		for range 17 { // one more than are taken away
			server, err := mountFUSE(filepath.Join(root, "proc/uptime"))
			if err == nil {
				err = server.Close()
			}
			if err != nil {
				return nil, err
			}
		}
		return nil, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	attached, err := onThread(func() ([]string, error) {
		return attach.Reattach(init, attach.Views{DaemonPID: os.Getpid(), List: below(dir, "proc/uptime", "proc/meminfo"), Root: root})
	})
	if err == nil || !strings.Contains(err.Error(), "/proc/uptime") || !slices.Equal(attached, []string{"proc/meminfo"}) {
		t.Errorf("attached %q, %v, want meminfo alone", attached, err)
	}
}

// mountFUSE mounts a FUSE file system that nobody serves, and which is dead once the
// file is closed.
func mountFUSE(path string) (*os.File, error) {
	kind := syscall.S_IFREG
	if filepath.Base(path) == "proc" {
		kind = syscall.S_IFDIR
	}
	f, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	options := fmt.Sprintf("fd=%d,rootmode=%o,user_id=0,group_id=0,allow_other", f.Fd(), kind)
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
	_, err = onThread(func() ([]string, error) {
		return attach.Reattach(init, attach.Views{DaemonPID: os.Getpid(), Root: "/"})
	})
	if !errors.Is(err, syscall.ESRCH) {
		t.Errorf("got %v, want ESRCH", err)
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
func containerAt(t *testing.T, root string) (pid int) {
	t.Helper()
	cmd := exec.Command("sh", "-c", `mount --make-rprivate / && mount -t proc proc "$0/proc" && mount -t sysfs sysfs "$0/sys" && echo ready && exec cat`, root)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: sys.NewNS | sys.NewPID}
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
	return cmd.Process.Pid
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
