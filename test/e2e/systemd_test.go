//go:build e2e

package e2e

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/moby/sys/mountinfo"
	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"

	"cloister/internal/api"
)

// manager does what systemd does for a service: it keeps descriptors for it over a
// restart.
type manager struct {
	t    *testing.T
	conn *net.UnixConn
	path string

	mu    sync.Mutex
	kept  map[string]*os.File // guarded by mu
	ready int                 // messages, guarded by mu
}

func newManager(t *testing.T) *manager {
	t.Helper()
	m := &manager{t: t, path: filepath.Join(shortDir(t), "notify"), kept: map[string]*os.File{}}
	var err error
	if m.conn, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram", Name: m.path}); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { defer close(done); m.serve() }()
	t.Cleanup(func() {
		_ = m.conn.Close()
		<-done
		for _, f := range m.kept {
			_ = f.Close()
		}
	})
	return m
}

// shortDir is for sockets, whose paths have a limit, and for what containers' roots have
// to pass.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp(world.Dir, "m")
	if err := errors.Join(err, os.Chmod(dir, 0o755)); err != nil {
		t.Fatal(err)
	}
	return dir
}

func (m *manager) serve() {
	buf, oob := make([]byte, 64<<10), make([]byte, 1<<10)
	for {
		n, oobn, _, _, err := m.conn.ReadMsgUnix(buf, oob)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil {
			err = m.handle(strings.Split(string(buf[:n]), "\n"), oob[:oobn])
		}
		if err != nil {
			m.t.Error(err)
			return
		}
	}
}

func (m *manager) handle(lines []string, oob []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	var name string
	for _, line := range lines {
		name = strings.TrimPrefix(line, "FDNAME=")
		if name != line {
			break
		}
	}
	if slices.Contains(lines, "READY=1") {
		m.ready++
	}
	if slices.Contains(lines, "FDSTOREREMOVE=1") {
		_ = m.kept[name].Close() // may be nil
		delete(m.kept, name)
	}
	if !slices.Contains(lines, "FDSTORE=1") {
		return nil
	}
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return err
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil {
		return err
	}
	m.kept[name] = os.NewFile(uintptr(fds[0]), name)
	return nil
}

// start starts the service with what is kept, and waits until it is ready.
func (m *manager) start(args ...string) *exec.Cmd {
	m.t.Helper()
	cmd, before := m.command(args...)
	if err := cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	eventually(m.t, "the service is ready", func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		return m.ready > before
	})
	return cmd
}

func (m *manager) command(args ...string) (cmd *exec.Cmd, ready int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	cmd = exec.Command("sh", append([]string{"-c", `LISTEN_PID=$$ exec "$0" "$@"`, world.Cloister}, args...)...)
	var names []string
	for name, f := range m.kept {
		names, cmd.ExtraFiles = append(names, name), append(cmd.ExtraFiles, f)
	}
	cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+m.path,
		fmt.Sprintf("LISTEN_FDS=%d", len(names)), "LISTEN_FDNAMES="+strings.Join(names, ":"))
	cmd.Stderr = os.Stderr
	return cmd, m.ready
}

// A restart of the service is not one for containers: reads that come meanwhile wait.
func TestServiceRestart(t *testing.T) {
	need(t, "runc")
	b := serveBelow(t, shortDir(t))
	for _, end := range []unix.Signal{unix.SIGTERM, unix.SIGKILL} {
		before, err := b.client.Status()
		if err != nil {
			t.Fatal(err)
		}
		if err := b.service.Process.Signal(end); err != nil {
			t.Fatal(err)
		}
		_ = b.service.Wait() // one that is killed has no status
		if end == unix.SIGKILL {
			_ = unix.Kill(before.WorkerPID, end) // as KillMode=mixed does; it may have ended
		}
		text := make(chan string, 1)
		go func() { text <- memTotal(b.pid) }()
		b.restart()
		if got := <-text; got != total64m {
			t.Errorf("after %v: got %q, want %q", end, got, total64m)
		}
		if s, err := b.client.Status(); err != nil || s.PID != b.service.Process.Pid || s.WorkerPID == before.WorkerPID || s.Containers != 1 {
			t.Errorf("after %v: got %+v, %v", end, s, err)
		} else if s.Syscalls.Listeners != 1 {
			t.Errorf("after %v: %d listeners for the container's system calls, want 1", end, s.Syscalls.Listeners)
		}
	}
}

// A worker that hangs is replaced, and calls that come meanwhile are answered: on a
// connection that it has accepted, and on a new one.
func TestHungWorker(t *testing.T) {
	need(t, "runc")
	b := serveBelow(t, shortDir(t))
	for what, client := range map[string]*api.Client{"kept": b.client, "new": api.NewClient(b.client.RunDir())} {
		before, err := b.client.Status()
		if err != nil {
			t.Fatal(err)
		}
		stop(t, before.WorkerPID)
		if s, err := client.Status(); err != nil || s.WorkerPID == before.WorkerPID || s.Kills != before.Kills+1 || s.Containers != 1 {
			t.Errorf("%s connection: got %+v, %v", what, s, err)
		}
		if got := memTotal(b.pid); got != total64m {
			t.Errorf("%s connection: got %q, want %q", what, got, total64m)
		}
	}
}

// stop stops a process, with all its threads: kill(2) returns while they may still answer.
func stop(t *testing.T, pid int) {
	t.Helper()
	if err := unix.Kill(pid, unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	eventually(t, fmt.Sprintf("process %d is stopped", pid), func() bool {
		threads, err := procfs.AllThreads(pid)
		if err != nil {
			t.Fatal(err)
		}
		for _, thread := range threads {
			if stat, err := thread.Stat(); err != nil || stat.State != "T" {
				return false
			}
		}
		return true
	})
}

// settingsBelow are those of a daemon beside the tests' own.
const settingsBelow = `{"cloister": {"idRegion": {"start": 2050000000, "size": 655360}}}`

// argsBelow are those of a daemon with all directories and settings below dir.
func argsBelow(t *testing.T, dir string) (args []string, client *api.Client) {
	t.Helper()
	runDir, settings := filepath.Join(dir, "run"), filepath.Join(dir, settingsFile)
	write1(t, settings, settingsBelow)
	return []string{
		"daemon", "--run-dir", runDir, "--state-dir", filepath.Join(dir, "state"), "--settings", settings,
	}, api.NewClient(runDir)
}

const settingsFile = "settings.json"

// total64m is memTotal in a container of 64 MiB.
const total64m = "MemTotal:          65536 kB\n<nil>"

// memTotal is what the container of a process shows, and an error.
func memTotal(pid int) string {
	out, err := exec.Command("head", "-1", fmt.Sprintf("/proc/%d/root/proc/meminfo", pid)).CombinedOutput()
	return fmt.Sprint(string(out), err)
}

// Settings that somebody breaks while the daemon runs keep no container's views from
// going on: they count once they are mended.
func TestBrokenSettings(t *testing.T) {
	need(t, "runc")
	dir := shortDir(t)
	b := serveBelow(t, dir)
	settings := filepath.Join(dir, settingsFile)
	write1(t, settings, `{"cloister": {"idRegion": {"start": 1`)
	for what, end := range map[string]func(s *api.Status){
		"the worker's end": func(s *api.Status) { _ = unix.Kill(s.WorkerPID, unix.SIGKILL) },
		"a restart": func(*api.Status) {
			terminate(t, b.service)
			b.restart()
		},
	} {
		before, err := b.client.Status()
		if err != nil {
			t.Fatal(err)
		}
		end(before)
		if got := memTotal(b.pid); got != total64m {
			t.Errorf("after %s: got %q, want %q", what, got, total64m)
		}
		now, err := b.client.Status()
		if err != nil || now.WorkerPID == before.WorkerPID || now.IDRegion != before.IDRegion || now.Containers != 1 ||
			!strings.Contains(now.SettingsError, settings+": line 1") {
			t.Errorf("after %s: got %+v, %v", what, now, err)
		}
	}
	write1(t, settings, settingsBelow)
	if err := b.service.Process.Signal(unix.SIGHUP); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the settings count", func() bool {
		s, err := b.client.Status()
		return err == nil && s.SettingsError == ""
	})
	if got := memTotal(b.pid); got != total64m {
		t.Errorf("at the end: got %q, want %q", got, total64m)
	}
}

// besideService is a service beside the tests' own daemon, with one container of 64 MiB.
type besideService struct {
	*manager
	args    []string
	client  *api.Client
	service *exec.Cmd
	pid     int // of the container's init
}

// serveBelow starts both; they end with the test.
func serveBelow(t *testing.T, dir string) *besideService {
	t.Helper()
	b := &besideService{manager: newManager(t)}
	b.args, b.client = argsBelow(t, dir)
	b.restart()
	t.Cleanup(func() { terminate(t, b.service); unmountBelow(t, dir) })
	flags := []string{"--run-dir", b.client.RunDir(), "run", "--runtime", "runc", "--name", ownName("below"), "-m", "64m"}
	begin(t, flags, func() {
		if b.pid != 0 {
			_ = unix.Kill(b.pid, unix.SIGKILL)
		}
		eventually(t, "the container is gone", func() bool { s, err := b.client.Status(); return err == nil && s.Containers == 0 })
	})
	all, err := b.client.Containers()
	if err != nil || len(all) != 1 {
		t.Fatalf("got %+v, %v, want one container", all, err)
	}
	b.pid = all[0].PID
	return b
}

func (b *besideService) restart() { b.service = b.start(b.args...) }

// terminate ends a service that hands over.
func terminate(t *testing.T, service *exec.Cmd) {
	t.Helper()
	if err := service.Process.Signal(unix.SIGTERM); err != nil {
		t.Error(err)
	}
	if err := service.Wait(); err != nil {
		t.Errorf("the daemon did not stop cleanly: %v", err)
	}
}

// unmountBelow removes the mounts that were left to a successor.
func unmountBelow(t *testing.T, dir string) {
	t.Helper()
	mounts, err := mountinfo.GetMounts(mountinfo.PrefixFilter(dir))
	if err != nil {
		t.Error(err)
	}
	for _, m := range mounts {
		if err := unix.Unmount(m.Mountpoint, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	}
}
