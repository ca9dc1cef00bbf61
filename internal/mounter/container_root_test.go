//go:build root

package mounter_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"

	"cloister/internal/mounter"
	"cloister/internal/sealed"
	"cloister/internal/seccomp"
	"cloister/internal/sys"
	"cloister/internal/sys/systest"
)

// roleEnv makes this program something else than the tests.
const roleEnv = "CLOISTER_TEST_ROLE"

const firstID = 2_100_000_000

var auditArch = map[string]uint32{"amd64": unix.AUDIT_ARCH_X86_64, "arm64": unix.AUDIT_ARCH_AARCH64}

// container is one with sealed trees, whose mount(2) the handler serves.
type container struct {
	t       testing.TB
	conn    *sys.PacketConn
	process *os.Process
	mounter *mounter.Mounter
	facts   *mounter.Facts
	views   string
	// every tells that each user namespace passes for the container's own.
	every bool
}

// Facts is of mounter.Source.
func (c *container) Facts(_ string, _ sys.FileID, tid int) (*mounter.Facts, error) {
	f := *c.facts
	if c.every {
		user, err := sys.OpenPIDNamespace(tid, "user")
		if err != nil {
			return nil, err
		}
		f.User = user.ID()
		return &f, user.Close()
	}
	return &f, nil
}

// newContainer starts one. adapt, which may be nil, changes what is said of it.
func newContainer(t testing.TB, adapt func(*container)) *container {
	t.Helper()
	views := systest.Dir(t)
	for name, text := range map[string]string{"view": "VIEW", "swappiness": "60"} {
		path := filepath.Join(views, name)
		if err := errors.Join(os.WriteFile(path, []byte(text), 0o644), os.Chown(path, firstID, firstID)); err != nil {
			t.Fatal(err)
		}
	}
	c := &container{t: t, views: views, facts: &mounter.Facts{Key: "key", Plan: sealed.Plan{
		Views: []sealed.View{
			{Source: views + "/view", Path: "proc/meminfo"},
			{Source: views + "/swappiness", Path: "proc/sys/vm/swappiness", Writable: true},
			{Source: views + "/view", Path: "sys/kernel/fscaps"},
		},
		Masked:   []string{"proc/version", "sys/fs"},
		ReadOnly: []string{"proc/sys/kernel"},
	}}}
	fuse := views + "/fuse" // the host's may be root's alone
	if err := errors.Join(unix.Mknod(fuse, unix.S_IFCHR, int(unix.Mkdev(10, 229))), os.Chmod(fuse, 0o666)); err != nil {
		t.Fatal(err)
	}
	log := zerolog.New(zerolog.NewTestWriter(t))
	c.mounter = mounter.Keep(log, views)
	if err := c.mounter.Started(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.check(c.mounter.Close()) })
	c.start("c", log, adapt)
	return c
}

// neighbour starts another container with the same mounter.
func (c *container) neighbour() *container {
	facts := *c.facts
	n := &container{t: c.t, views: c.views, facts: &facts, mounter: c.mounter}
	n.start("n", zerolog.New(zerolog.NewTestWriter(c.t)), nil)
	return n
}

func (c *container) check(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

func (c *container) start(key string, log zerolog.Logger, adapt func(*container)) {
	conn, theirs, err := sys.PacketPair()
	c.check(err)
	root := systest.Dir(c.t)
	text, err := os.ReadFile("/proc/self/exe")
	c.check(err)
	program := filepath.Join(c.views, key)
	c.check(os.WriteFile(program, text, 0o755))
	cmd := exec.Command(program, root)
	cmd.Env = append(os.Environ(), roleEnv+"=container")
	cmd.Stderr = os.Stderr
	cmd.ExtraFiles = []*os.File{theirs}
	ids := []syscall.SysProcIDMap{{HostID: firstID, Size: 65536}}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Credential:  &syscall.Credential{},
		Cloneflags:  sys.NewUser | sys.NewNS | sys.NewPID | sys.NewNet | sys.NewIPC,
		UidMappings: ids, GidMappings: ids, GidMappingsEnableSetgroups: true,
	}
	c.check(cmd.Start())
	c.process, c.conn = cmd.Process, conn
	c.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // killed
		_ = conn.Close()
	})
	c.check(theirs.Close())
	c.receive() // its mounts are made

	for kind, id := range map[string]*sys.FileID{"user": &c.facts.User, "net": &c.facts.Net} {
		ns, err := sys.OpenPIDNamespace(c.process.Pid, kind)
		c.check(err)
		*id = ns.ID()
		c.check(ns.Close())
	}
	if adapt != nil {
		adapt(c)
	}
	inWorkshop(c.t, c.mounter, func(w *sealed.Workshop) error {
		return errors.Join(c.seal(w, root, "proc"), c.seal(w, root, "sys"))
	})
	c.check(c.conn.Send("go on"))
	_, fds := c.receive()
	journal, err := seccomp.CreateJournal()
	c.check(err)
	handler := &mounter.Handler{Mounter: c.mounter, Source: c}
	agent, err := seccomp.New(seccomp.Options{
		Journal: journal, Log: log,
		Handlers: map[string]seccomp.Handler{
			"mount":      handler,
			"umount2":    handler,
			"socketcall": &mounter.SocketHandler{Mounter: c.mounter},
		},
	})
	c.check(errors.Join(err, journal.Close()))
	c.check(agent.Add(seccomp.Listener{Container: key, Name: key, FD: fds[0]}))
	agent.Start()
	c.t.Cleanup(func() { c.check(agent.Close()) })
}

// inWorkshop calls f on a thread that may seal mounts.
func inWorkshop(t testing.TB, m *mounter.Mounter, f func(*sealed.Workshop) error) {
	t.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		w, err := sealed.Open(m.Process().PID, m.Process().LockedFD)
		if err != nil {
			done <- err
			return
		}
		done <- errors.Join(sys.UnshareFS(), f(w), w.Close())
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// seal does what the hook does.
func (c *container) seal(w *sealed.Workshop, root, fs string) error {
	mounts, err := sys.OpenPIDNamespace(c.process.Pid, "mnt")
	if err != nil {
		return err
	}
	defer mounts.Close()
	target := root + "/" + fs
	var base *sys.Tree
	if err := sys.InMounts(mounts, func() (err error) { base, err = sys.ClonePath(target, false); return err }); err != nil {
		return err
	}
	tree, _, err := w.Seal(base, fs, &c.facts.Plan)
	if err != nil {
		return err
	}
	defer tree.Close()
	return sys.InMounts(mounts, func() error { return errors.Join(sys.Detach(target), tree.MoveTo(target)) })
}

func (c *container) receive() (string, []*sys.FD) {
	c.t.Helper()
	text, fds, err := c.conn.Receive(make([]byte, 65536))
	c.check(err)
	return text, fds
}

// sh runs a script in the container and returns what it writes, without the last line's
// end. M is mount(2): source, target, type, flags, data. It writes the error's name, or ok.
func (c *container) sh(script string) string {
	c.t.Helper()
	c.check(c.conn.Send(script))
	text, _ := c.receive()
	return strings.TrimSpace(text)
}

// inContainer is the program of the container.
func inContainer(root string) error {
	if err := errors.Join(
		unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""),
		unix.Mount("root", root, "tmpfs", 0, "mode=0755"),
	); err != nil {
		return err
	}
	for _, dir := range []string{"/proc", "/sys", "/tmp", "/dev", "/usr", "/mnt", "/mnt/a", "/mnt/b"} {
		if err := os.Mkdir(root+dir, 0o755); err != nil {
			return err
		}
	}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	binds := map[string]string{"/usr": "/usr", program: "/self", "/dev/null": "/dev/null", filepath.Dir(program) + "/fuse": "/dev/fuse"}
	for _, dir := range []string{"/bin", "/lib", "/lib64", "/sbin"} {
		if to, err := os.Readlink(dir); err == nil {
			if err := os.Symlink(to, root+dir); err != nil {
				return err
			}
		} else if err := os.Mkdir(root+dir, 0o755); err == nil {
			binds[dir] = dir
		}
	}
	for from, to := range binds {
		st, err := os.Stat(from)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err == nil && !st.IsDir() {
			err = os.WriteFile(root+to, nil, 0o600)
		}
		if err := errors.Join(err, unix.Mount(from, root+to, "", unix.MS_BIND|unix.MS_REC, "")); err != nil {
			return fmt.Errorf("%s: %w", from, err)
		}
	}
	if err := errors.Join(
		os.Symlink("/proc/self/fd", root+"/dev/fd"),
		unix.Mount("proc", root+"/proc", "proc", 0, ""),
		unix.Mount("sysfs", root+"/sys", "sysfs", 0, ""),
	); err != nil {
		return err
	}
	conn, err := sys.NewPacketConn(3)
	if err != nil {
		return err
	}
	buf := make([]byte, 65536)
	if err := conn.Send("ready"); err != nil {
		return err
	}
	if _, _, err := conn.Receive(buf); err != nil {
		return err
	}
	if err := sys.ChangeRoot(root); err != nil {
		return err
	}
	listener, err := systest.InstallFilter(
		systest.Trap{Arch: auditArch[runtime.GOARCH], Nr: unix.SYS_MOUNT},
		systest.Trap{Arch: auditArch[runtime.GOARCH], Nr: unix.SYS_UMOUNT2},
		systest.Trap{Arch: unix.AUDIT_ARCH_I386, Nr: 102}, // socketcall
	)
	if err != nil {
		return err
	}
	if err := errors.Join(conn.Send("listener", listener.Int()), listener.Close()); err != nil {
		return err
	}
	for {
		script, _, err := conn.Receive(buf)
		if err != nil {
			return nil // the test has ended
		}
		cmd := exec.Command("/bin/sh")
		cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", roleEnv + "=call", "GORACE=atexit_sleep_ms=0"}
		cmd.Stdin = strings.NewReader("M() { /self \"$@\"; }\ncd /mnt\n" + script + "\n")
		out, _ := cmd.CombinedOutput() // how it ends is in its words
		if err := conn.Send(string(out)); err != nil {
			return err
		}
	}
}
