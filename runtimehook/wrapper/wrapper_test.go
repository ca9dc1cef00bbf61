package wrapper

import (
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestMain lets the test program be the wrapper: it replaces itself, so it has to
// run as a process of its own.
func TestMain(m *testing.M) {
	if os.Getenv("CLOISTER_TEST_WRAPPER") != "" {
		os.Exit(Main(os.Args[1:]))
	}
	os.Exit(m.Run())
}

// world is a run directory and a low-level runtime that prints its arguments.
type world struct {
	t       *testing.T
	runDir  string
	runtime string
	bundle  string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, runDir: t.TempDir(), bundle: t.TempDir()}
	w.runtime = filepath.Join(w.runDir, "fake-runc")
	w.write(w.runtime, "#!/bin/sh\nprintf '%s\\n' \"$@\"\necho pid $$\nexit 7\n", 0o755)
	w.write(filepath.Join(w.bundle, "config.json"),
		`{"ociVersion":"1.0.2","root":{"path":"rootfs"},"process":{"cwd":"/","user":{"uid":0,"gid":0}},"linux":{}}`, 0o600)
	return w
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("creating a container begins with a mount namespace: run as root")
	}
}

func (w *world) write(path, text string, mode os.FileMode) {
	w.t.Helper()
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		w.t.Fatal(err)
	}
}

// run calls the wrapper and returns its output, standard error and exit status.
func (w *world) run(args ...string) (stdout, stderr string, status int) {
	w.t.Helper()
	cmd := exec.Command(os.Args[0], append([]string{"--run-dir", w.runDir, "--runtime-path", w.runtime}, args...)...)
	cmd.Env = append(os.Environ(), "CLOISTER_TEST_WRAPPER=1")
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if cmd.ProcessState == nil {
		w.t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

func TestEverythingElsePassesThroughUntouched(t *testing.T) {
	w := newWorld(t)
	for _, args := range [][]string{
		{"--version"},
		{"features"},
		{"--root", "/r", "--log", "/l", "--log-format", "json", "delete", "--force", "c"},
		{"exec", "--process", "p.json", "c", "", "a b"},
		{"frobnicate", "--x"},
	} {
		out, _, status := w.run(args...)
		got := strings.Split(out, "\n")
		if want := strings.Join(args, "\n"); strings.Join(got[:len(args)], "\n") != want {
			t.Errorf("%q: the runtime got %q", args, got)
		}
		if status != 7 {
			t.Errorf("%q: got status %d, want the runtime's 7", args, status)
		}
	}
}

func TestCreateWithoutDaemonFailsInTheRuntimesLog(t *testing.T) {
	needRoot(t)
	w := newWorld(t)
	log := filepath.Join(w.runDir, "log.json")
	out, stderr, status := w.run("--log", log, "--log-format", "json", "create", "--bundle", w.bundle, "c")
	if status != 1 || out != "" {
		t.Errorf("got status %d and %q, want 1 and the runtime not called", status, out)
	}
	line := lastLogLine(t, log)
	const want = "nothing is listening on"
	if line.Level != "error" || !strings.Contains(line.Msg, want) || !strings.Contains(stderr, want) {
		t.Errorf("log has %+v and standard error %q, want %q in both", line, stderr, want)
	}
	if _, err := time.Parse(time.RFC3339, line.Time); err != nil {
		t.Error(err)
	}
}

type logged struct{ Level, Msg, Time string }

func lastLogLine(t *testing.T, path string) (l logged) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &l); err != nil {
		t.Fatal(err)
	}
	return l
}

func TestRefusedCommandLines(t *testing.T) {
	w := newWorld(t)
	tests := []struct {
		args []string
		want string
	}{
		{[]string{"restore", "--image-path", "/i", "c"}, "can't restore"},
		{[]string{"--unknown", "value", "create", "c"}, "can't tell whether"},
		{[]string{"create", "--bundle", "/nonexistent", "c"}, "/nonexistent/config.json"},
		{[]string{"create", "--bundle", w.bundle}, "container id is missing"},
		{[]string{"--cgroup-manager=disabled", "create", "--bundle", w.bundle, "c"}, "needs a cgroup of its own"},
	}
	for _, tt := range tests {
		out, stderr, status := w.run(tt.args...)
		if status != 1 || out != "" || !strings.Contains(stderr, tt.want) {
			t.Errorf("%q: got status %d, output %q, error %q, want 1 and %q", tt.args, status, out, stderr, tt.want)
		}
	}
}

// TestHungDaemon has something listen on the control socket that never answers.
func TestHungDaemon(t *testing.T) {
	needRoot(t)
	w := newWorld(t)
	t.Chdir(w.runDir)
	l, err := net.Listen("unix", "control.sock")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, stderr, status := w.run("create", "--bundle", w.bundle, "c")
	if status != 1 || !strings.Contains(stderr, "no answer from the cloister daemon") {
		t.Errorf("got status %d, %q", status, stderr)
	}
}

func TestLogLine(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	tests := []struct{ format, want string }{
		{"json", `{"level":"error","msg":"a \"b\"","time":"2026-01-02T03:04:05Z"}` + "\n"},
		{"text", `time="2026-01-02T03:04:05Z" level=error msg="a \"b\""` + "\n"},
		{"", `time="2026-01-02T03:04:05Z" level=error msg="a \"b\""` + "\n"},
	}
	for _, tt := range tests {
		if got := logLine(tt.format, `a "b"`, at); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.format, got, tt.want)
		}
	}
}
