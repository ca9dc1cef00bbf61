//go:build chaos

package chaos

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"cloister/internal/bundle"
)

// container is one that runs, and what its files must say.
type container struct {
	ID     string
	PID    int // of its init
	MemKiB uint64
	CPUs   int
	dir    string // its bundle
}

// kinds are the limits that containers have.
var kinds = []struct {
	memory string
	kib    uint64
	cpus   string
	count  int
}{
	{"64m", 64 << 10, "1", 1},
	{"128m", 128 << 10, "0.5", 1},
	{"200m", 200 << 10, "2", 2},
}

// commandLimit bounds every command. It is for a hang.
const commandLimit = time.Minute

// sleeping makes a container that does nothing. It is there until remove.
func (w *world) sleeping(id string, n int) (*container, error) {
	kind := kinds[n%len(kinds)]
	c := &container{ID: id, MemKiB: kind.kib, CPUs: kind.count, dir: filepath.Join(w.Dir, "bundles", id)}
	if err := w.writeBundle(c, kind.memory, kind.cpus); err != nil {
		return nil, err
	}
	for _, step := range [][]string{
		{"create", "--bundle", c.dir, "--pid-file", filepath.Join(c.dir, "pid"), id},
		{"start", id},
	} {
		if _, err := w.runtime(c, step...); err != nil {
			return nil, err
		}
	}
	text, err := os.ReadFile(filepath.Join(c.dir, "pid"))
	if err != nil {
		return nil, err
	}
	c.PID, err = strconv.Atoi(string(text))
	return c, err
}

func (w *world) writeBundle(c *container, memory, cpus string) error {
	opts := &bundle.Options{Name: bundle.Name(c.ID), Command: []string{"/bin/sleep", "100000"}, Rootfs: w.rootfs}
	if err := errors.Join(opts.Limits.Memory.UnmarshalText([]byte(memory)), opts.Limits.CPUs.UnmarshalText([]byte(cpus))); err != nil {
		return err
	}
	spec := bundle.Spec(opts)
	spec.Root.Readonly = true // all have the same
	spec.Linux.CgroupsPath = "/" + w.cgroup() + "/" + c.ID
	data, err := json.Marshal(spec)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(c.dir, "config.json"), data, 0o600)
}

// runtime calls cloister-runtime for a container. What it prints goes to a file: a pipe
// would be the container's as well.
func (w *world) runtime(c *container, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), commandLimit)
	defer cancel()
	flags := []string{"--run-dir", w.Client.RunDir(), "--runtime-path", "runc", "--root", filepath.Join(w.Dir, "runc")}
	cmd := exec.CommandContext(ctx, wrapperOf(w.programs[0]), append(flags, args...)...)
	out, err := os.Create(filepath.Join(c.dir, "log"))
	if err != nil {
		return "", err
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	err = cmd.Run()
	text, _ := os.ReadFile(out.Name()) // for the error
	if err != nil {
		return "", fmt.Errorf("%s: %w\n%s", strings.Join(args, " "), err, text)
	}
	return string(text), nil
}

// remove ends a container.
func (w *world) remove(c *container) error {
	_, err := w.runtime(c, "delete", "--force", c.ID)
	if err != nil {
		err = fmt.Errorf("%w\n%s", err, w.doing(c))
	}
	return errors.Join(err, os.RemoveAll(c.dir))
}

// doing says what the processes of a container are doing in the kernel, and all others
// that no signal ends now: one of them may have what they wait for.
func (w *world) doing(c *container) string {
	inside := map[string]bool{}
	for _, dir := range w.cgroupDirs() {
		pids, _ := os.ReadFile(filepath.Join(dir, c.ID, "cgroup.procs"))
		for pid := range strings.FieldsSeq(string(pids)) {
			inside[pid] = true
		}
	}
	var out strings.Builder
	tasks, _ := filepath.Glob("/proc/[0-9]*/task/*") // the pattern is right
	for _, task := range tasks {
		stat, _ := os.ReadFile(filepath.Join(task, "stat")) // who is gone says nothing
		if pid := strings.Split(task, "/")[2]; !inside[pid] && !bytes.Contains(stat, []byte(") D ")) {
			continue
		}
		call, _ := os.ReadFile(filepath.Join(task, "syscall"))
		stack, _ := os.ReadFile(filepath.Join(task, "stack"))
		fmt.Fprintf(&out, "%s%s%s", stat, call, stack)
	}
	return out.String()
}

// churn makes, uses and removes containers until stop is closed, and returns how many. All
// of it must succeed, whatever the daemon goes through.
func (w *world) churn(name string, stop <-chan struct{}) (done int, err error) {
	for ; ; done++ {
		select {
		case <-stop:
			return done, nil
		default:
		}
		c, err := w.sleeping(fmt.Sprintf("%s-%d", name, done), done)
		if err != nil {
			return done, err
		}
		text, err := w.runtime(c, "exec", c.ID, "/bin/cat", "/proc/meminfo", "/proc/uptime")
		if want := fmt.Appendf(nil, "MemTotal: %14d kB\n", c.MemKiB); err == nil && !bytes.HasPrefix([]byte(text), want) {
			err = fmt.Errorf("%s reads %q, want %q at first", c.ID, text, want)
		}
		if err = errors.Join(err, w.remove(c)); err != nil {
			return done, err
		}
	}
}
