package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"syscall"

	"cloister/cgroupview"
	"cloister/emul"
)

// groups are cgroups below one of this program's, in every hierarchy.
type groups struct {
	layout *cgroupview.Layout
	top    string
	made   []string // directories, those above before those below
}

func newGroups() (*groups, error) {
	layout, err := cgroupview.Detect("/")
	if err != nil {
		return nil, err
	}
	g := &groups{layout: layout, top: fmt.Sprintf("/cloister-bench-%d", os.Getpid())}
	if err := g.make(g.top); err != nil {
		return nil, errors.Join(err, g.remove())
	}
	return g, nil
}

// make makes a cgroup and those above it.
func (g *groups) make(path string) error {
	if above := filepath.Dir(path); above != "/" {
		if err := g.make(above); err != nil {
			return err
		}
	}
	for _, dir := range g.layout.Dirs(g.layout.At(path)) {
		err := os.Mkdir(dir, 0o755)
		if errors.Is(err, os.ErrExist) {
			continue
		}
		if err != nil {
			return err
		}
		g.made = append(g.made, dir)
		if err := inherit(dir); err != nil {
			return err
		}
	}
	return nil
}

// inherit gives a new cgroup of v1's cpuset the set of the one above: it has an empty
// one, and takes no task then. On v2 it hands down the controllers that are on above.
func inherit(dir string) error {
	for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
		above, err := os.ReadFile(filepath.Join(filepath.Dir(dir), file))
		if err != nil {
			continue // no cpuset here
		}
		if err := os.WriteFile(filepath.Join(dir, file), above, 0); err != nil && len(above) > 1 {
			return err
		}
	}
	return nil
}

// remove removes what was made.
func (g *groups) remove() error {
	var errs []error
	for _, dir := range slices.Backward(g.made) {
		errs = append(errs, os.Remove(dir))
	}
	return errors.Join(errs...)
}

// container makes a container in the cgroup at path, which is made if need be.
func (g *groups) container(host *emul.Host, path string) (*emul.Container, error) {
	path = filepath.Join(g.top, path)
	if err := g.make(path); err != nil {
		return nil, err
	}
	group, err := g.layout.Open(g.layout.At(path))
	if err != nil {
		return nil, err
	}
	return host.NewContainer(emul.ContainerConfig{Group: group, PID: os.Getpid()})
}

// perProcess is how many tasks a process gets.
const perProcess = 2000

// fill puts sleeping tasks into the cgroup at path; stop ends them.
func (g *groups) fill(path string, tasks int) (stop func() error, err error) {
	path = filepath.Join(g.top, path)
	if err := g.make(path); err != nil {
		return nil, err
	}
	var ends []func() error
	stop = func() (err error) {
		for _, end := range ends {
			err = errors.Join(err, end())
		}
		return err
	}
	for ; tasks > 0; tasks -= perProcess {
		end, err := g.idle(path, min(tasks, perProcess))
		if err != nil {
			return nil, errors.Join(err, stop())
		}
		ends = append(ends, end)
	}
	return stop, nil
}

// idle starts a process with so many tasks in a cgroup.
func (g *groups) idle(path string, tasks int) (end func() error, err error) {
	cmd := exec.Command("/proc/self/exe", "-idle", strconv.Itoa(tasks))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	end = func() error { return errors.Join(in.Close(), cmd.Wait()) }
	for _, dir := range g.layout.Dirs(g.layout.At(path)) {
		if err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), strconv.AppendInt(nil, int64(cmd.Process.Pid), 10), 0); err != nil {
			return nil, errors.Join(err, end())
		}
	}
	if _, err := fmt.Fprintln(in); err != nil { // begin
		return nil, errors.Join(err, end())
	}
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		return nil, errors.Join(err, end())
	}
	return end, nil
}

// sleepingTasks has as many tasks until standard input ends.
func sleepingTasks(n int) {
	begin := bufio.NewReader(os.Stdin)
	if _, err := begin.ReadString('\n'); err != nil {
		return
	}
	debug.SetMaxThreads(n + 1000)
	var never [2]int
	if err := syscall.Pipe(never[:]); err != nil {
		return
	}
	started := make(chan struct{})
	for range n - 1 {
		go func() {
			runtime.LockOSThread()
			started <- struct{}{}
			_, _ = syscall.Read(never[0], make([]byte, 1)) // keeps the thread
		}()
		<-started
	}
	fmt.Println("ready")
	_, _ = io.Copy(io.Discard, begin)
}
