//go:build root

package daemon

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"testing"

	"cloister/fs"
	"cloister/fs/fstest"
	"cloister/internal/mounter"
	"cloister/internal/sealed"
	"cloister/internal/sys"
	"cloister/runtimehook/attach"
)

// unanswered has a directory in which names are looked up for as long as the test likes.
type unanswered struct{ asked, answer chan struct{} }

func (unanswered) Render(dst []byte, _ fs.Slot, _ fs.Ref) ([]byte, error) { return dst, nil }

func (unanswered) TryRender(dst []byte, _ fs.Slot, _ fs.Ref) ([]byte, bool) { return dst, false }

func (u unanswered) Members(fs.Slot, int) ([]int, error) {
	u.asked <- struct{}{}
	<-u.answer
	return nil, nil
}

// A container whose files don't answer holds no thread of the daemon, which could not
// end, and so nothing that its successor needs.
func TestReattachHoldsNoThread(t *testing.T) {
	dir := t.TempDir()
	root, served, empty := filepath.Join(dir, "root"), filepath.Join(dir, "served"), filepath.Join(dir, "empty")
	for _, d := range []string{filepath.Join(root, "sys"), served, empty} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	u := unanswered{make(chan struct{}, 10), make(chan struct{})}
	server, err := fs.Mount(served, []fs.File{{Path: "cpu*/file", Mode: 0o444}}, u, fs.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	slot := fs.Slot{Index: 1, Generation: 1}
	if err := server.Add(slot, fs.Owner{}); err != nil {
		t.Fatal(err)
	}
	h := &host{t: t}
	workshop, err := mounter.Start(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := workshop.Close(); err != nil {
			t.Error(err)
		}
	})
	job := reattachment{Container: attach.Container{
		Root: root, Workshop: sealed.Address{PID: workshop.PID, LockedFD: workshop.LockedFD},
	}}
	outer, err := identify(h.process(&syscall.SysProcAttr{Cloneflags: sys.NewNS}).Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	// Something of the container's is mounted on a directory that only the server can tell
	// about.
	cpus := filepath.Join(root, "sys/devices/system/cpu")
	inMountsOf(t, outer, func() error {
		return errors.Join(
			sys.Mount("sysfs", filepath.Join(root, "sys"), "sysfs", 0, ""),
			sys.Mount("tmpfs", filepath.Join(cpus, "cpu0"), "tmpfs", 0, ""),
			sys.Mount("overlay", cpus, "overlay", 0, fmt.Sprintf("lowerdir=%s:%s", server.Path(slot), empty)))
	})
	job.Init = h.lockedCopy(outer)
	result := make(chan error, 1)
	go func() { result <- job.run() }()
	select {
	case <-u.asked:
	case err := <-result:
		t.Fatalf("the container's files were not asked: %v", err)
	}
	for _, thread := range threadsIn(t, job.Init) {
		t.Errorf("thread %s is in the container's mount namespace", thread)
	}
	close(u.answer)
	if err := <-result; err != nil {
		t.Error(err)
	}
}

// lockedCopy starts a process in a copy of another's mounts that can't be taken apart.
func (h *host) lockedCopy(of process) process {
	h.t.Helper()
	self, err := os.Executable()
	if err != nil {
		h.t.Fatal(err)
	}
	cmd := exec.Command("nsenter", "-t", strconv.Itoa(of.PID), "-m", "unshare", "-U", "-m", self, "init")
	in, err := cmd.StdinPipe()
	if err != nil {
		h.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() {
		_ = in.Close()
		kill(cmd)
	})
	h.eventually("it is in its namespaces", func() bool {
		image, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", cmd.Process.Pid))
		return err == nil && image == self
	})
	p, err := identify(cmd.Process.Pid)
	if err != nil {
		h.t.Fatal(err)
	}
	return p
}

// inMountsOf calls f in the mount namespace of a process.
func inMountsOf(t *testing.T, p process, f func() error) {
	t.Helper()
	fd, err := p.open()
	if err != nil {
		t.Fatal(err)
	}
	defer fd.Close()
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and ends with the goroutine
		err := sys.UnshareFS()
		if err == nil {
			err = sys.EnterMounts(fd)
		}
		if err == nil {
			err = f()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// threadsIn returns those threads of this process that wait for a FUSE server in the
// mount namespace of another.
func threadsIn(t *testing.T, p process) (threads []string) {
	t.Helper()
	want, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/mnt", p.PID))
	if err != nil {
		t.Fatal(err)
	}
	all, err := filepath.Glob("/proc/self/task/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range all {
		ns, _ := os.Readlink(dir + "/ns/mnt") // none if it has ended
		at, _ := os.ReadFile(dir + "/wchan")
		if ns == want && string(at) == "request_wait_answer" {
			threads = append(threads, filepath.Base(dir))
		}
	}
	return threads
}

// A view that is switched off makes room for the host's file in containers that run.
func TestSwitchedOffInARunningContainer(t *testing.T) {
	h := newHost(t)
	_, p := h.run("web")
	// No os.File: the runtime would poll it, and the server in this process might be left
	// without a P to answer with.
	read := func(file string) error {
		f, err := fstest.OpenDescriptor(fmt.Sprintf("/proc/%d/root/%s", p.Process.Pid, file))
		if err != nil {
			return err
		}
		_, err = io.ReadAll(f)
		return errors.Join(err, f.Close())
	}
	workshop, err := mounter.Start(filepath.Join(h.runDir, "views"))
	if err != nil {
		t.Fatal(err)
	}
	defer workshop.Close()
	container := attach.Container{Root: "/", Workshop: sealed.Address{PID: workshop.PID, LockedFD: workshop.LockedFD}}
	containers, err := h.client.Containers()
	if err != nil || len(containers) != 1 {
		t.Fatalf("%v, %v", containers, err)
	}
	for _, file := range []string{"proc/loadavg", "proc/uptime"} {
		container.Plan.Views = append(container.Plan.Views, sealed.View{Path: file, Source: filepath.Join(h.runDir, "views/exact", "0.1", file)})
	}
	attached := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		_, err := attach.Attach(p.Process.Pid, &container)
		attached <- err
	}()
	if err := <-attached; err != nil {
		t.Fatal(err)
	}
	if err := h.stop(); err != nil {
		t.Fatal(err)
	}
	if err := read("proc/loadavg"); err == nil {
		t.Error("a view is there without a daemon")
	}
	h.configure(`{"cloister": {"idRegion": {"start": 2000000000, "size": 65536000}, "views": {"/proc/loadavg": false}}}`)
	h.start()
	for _, file := range []string{"proc/loadavg", "proc/uptime"} {
		h.eventually(file+" is there", func() bool { return read(file) == nil })
	}
	kill(p)
	h.settled()
}
