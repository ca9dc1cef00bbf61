package keeper

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// patience is how long a test waits for what must come.
const patience = 30 * time.Second

// host is where a keeper runs, and its workers connect to.
type host struct {
	t       *testing.T
	dir     string
	cmd     *exec.Cmd
	exited  chan int // the keeper's status
	workers chan *remote
}

// remote is a worker, as the test sees it.
type remote struct {
	hello
	t    *testing.T
	conn net.Conn
	in   *json.Decoder
}

// startKeeper starts the program as a keeper, with the variables in its environment
// and the files as descriptors from 3 on.
func startKeeper(t *testing.T, program string, env []string, files ...*os.File) *host {
	t.Helper()
	dir, err := os.MkdirTemp("", "keeper") // short, for the socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	listener, err := net.Listen("unix", filepath.Join(dir, "control"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	h := &host{t: t, dir: dir, exited: make(chan int, 1), workers: make(chan *remote, 100)}
	go h.accept(listener)

	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	h.cmd = exec.Command("/bin/sh", "-c", `LISTEN_PID=${OTHER_PID:-$$} exec "$0" keeper`, program)
	h.cmd.Env = append(append(os.Environ(), dirEnv+"="+dir), env...)
	h.cmd.Stdout, h.cmd.Stderr = log, log
	h.cmd.ExtraFiles = files
	if err := h.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	waited := make(chan struct{})
	go func() {
		defer close(waited)
		_ = h.cmd.Wait()
		h.exited <- h.cmd.ProcessState.ExitCode()
	}()
	t.Cleanup(func() {
		_ = h.cmd.Process.Kill()
		<-waited
		if t.Failed() {
			if text, err := os.ReadFile(log.Name()); err == nil {
				t.Logf("the keeper's log:\n%s", text)
			}
		}
		_ = log.Close()
	})
	return h
}

func start(t *testing.T) *host { return startKeeper(t, self(t), nil) }

func self(t *testing.T) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// copyOf returns a copy of the test program with another name, by which it behaves.
func copyOf(t *testing.T, name string) string {
	t.Helper()
	in, err := os.Open(self(t))
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	path := filepath.Join(t.TempDir(), name)
	out, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.Copy(out, in)
	if err := errors.Join(err, out.Close()); err != nil {
		t.Fatal(err)
	}
	return path
}

func (h *host) accept(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return // the test has ended
		}
		r := &remote{t: h.t, conn: conn, in: json.NewDecoder(conn)}
		if r.in.Decode(&r.hello) == nil {
			h.workers <- r
		}
	}
}

// next waits for the next worker.
func (h *host) next() *remote {
	h.t.Helper()
	select {
	case r := <-h.workers:
		// What the test leaves running, also as a keeper, ends with it.
		if process, err := os.FindProcess(r.PID); err == nil {
			h.t.Cleanup(func() { _ = process.Kill(); _ = r.conn.Close() })
		}
		return r
	case <-time.After(patience):
		h.t.Fatal("no worker came")
		return nil
	}
}

// nextReady waits for the next worker and lets it be ready.
func (h *host) nextReady() *remote {
	h.t.Helper()
	r := h.next()
	r.do("ready", "", "")
	return r
}

// exit waits for the end of the keeper.
func (h *host) exit() int {
	h.t.Helper()
	select {
	case status := <-h.exited:
		return status
	case <-time.After(patience):
		h.t.Fatal("the keeper did not end")
		return 0
	}
}

func (h *host) signal(s syscall.Signal) {
	h.t.Helper()
	if err := h.cmd.Process.Signal(s); err != nil {
		h.t.Fatal(err)
	}
}

func (h *host) status() *Status {
	h.t.Helper()
	s, err := ReadStatus(statusPath(h.dir))
	if err != nil {
		h.t.Fatal(err)
	}
	return s
}

// eventually waits until the status is as wanted.
func (h *host) eventually(what string, ok func(*Status) bool) {
	h.t.Helper()
	eventually(h.t, what, func() bool {
		s, err := ReadStatus(statusPath(h.dir))
		return err == nil && ok(s)
	})
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("%s did not come true", what)
		}
	}
}

// do gives the worker an order and returns its answer.
func (r *remote) do(do, name, text string) string {
	r.t.Helper()
	if err := r.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		r.t.Fatal(err)
	}
	if err := json.NewEncoder(r.conn).Encode(order{do, name, text}); err != nil {
		r.t.Fatal(err)
	}
	var a answer
	if err := r.in.Decode(&a); err != nil && do != "exit" || a.Error != "" {
		r.t.Fatalf("%s %s: %v%s", do, name, err, a.Error)
	}
	return a.Text
}

func (r *remote) kill(s syscall.Signal) {
	r.t.Helper()
	if err := syscall.Kill(r.PID, s); err != nil {
		r.t.Fatal(err)
	}
}

// wantContent expects what is stored under a name.
func (r *remote) wantContent(name, want string) {
	r.t.Helper()
	if got := r.do("read", name, ""); got != want {
		r.t.Errorf("got %q under %s, want %q", got, name, want)
	}
}

// programOf returns the base name of what a process executes.
func programOf(t *testing.T, pid int) string {
	t.Helper()
	path, err := os.Readlink(filepath.Join("/proc", strconv.Itoa(pid), "exe"))
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Base(path)
}

// descriptors returns how many a process has, and which of those above stderr its
// children would have too.
func descriptors(t *testing.T, pid int) (count int, inherited []string) {
	t.Helper()
	dir := filepath.Join("/proc", strconv.Itoa(pid), "fdinfo")
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		info, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			continue // closed meanwhile
		}
		count++
		_, flags, _ := strings.Cut(string(info), "flags:\t")
		flags, _, _ = strings.Cut(flags, "\n")
		n, err := strconv.ParseUint(flags, 8, 64)
		if err != nil {
			t.Fatal(err)
		}
		if fd, _ := strconv.Atoi(e.Name()); fd > 2 && n&syscall.O_CLOEXEC == 0 {
			inherited = append(inherited, e.Name())
		}
	}
	return count, inherited
}
