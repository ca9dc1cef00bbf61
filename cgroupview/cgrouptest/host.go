package cgrouptest

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cloister/cgroupview"
)

// defaultHost is a machine with one socket of 2 cores with 2 threads each, 8 GiB of
// memory on 2 nodes and 2 GiB of swap, as Linux 6.18 describes it. Every figure and
// every device of it that a container must not see contains the digits 777. What
// every such machine has does not: cache sizes, flags, the range of a frequency. The
// averages of loadavg and pressure are too short for a mark.
//
//go:embed host
var defaultHost embed.FS

// The host's CPUs and memory nodes.
const (
	allCPUs = "0-3"
	allMems = "0-1"
)

// Modes are the set-ups that a test should pass on.
var Modes = []cgroupview.Mode{cgroupview.Legacy, cgroupview.Hybrid, cgroupview.Unified}

// Host is a fake host.
type Host struct {
	Root cgroupview.Root
	Mode cgroupview.Mode

	tb      testing.TB
	written map[string]string // content by path, so that rewriting a cgroup costs only what changes
}

// New returns a host in a directory of its own, which goes with the test. It
// has the files of a 4-CPU machine and no cgroups but the roots.
func New(tb testing.TB, mode cgroupview.Mode) *Host {
	tb.Helper()
	h := &Host{Root: cgroupview.Root(tempDir(tb)), Mode: mode, tb: tb, written: map[string]string{}}
	err := fs.WalkDir(defaultHost, "host", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := defaultHost.ReadFile(path)
		h.Write(strings.TrimPrefix(path, "host/"), string(content))
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
	h.mount()
	return h
}

// memoryDir is a directory in memory, where most systems have one. A host is
// hundreds of files, for which a disk takes much longer than the tests themselves.
const memoryDir = "/dev/shm"

// tempDir returns an empty directory that goes with the test, in memory if it can
// be.
func tempDir(tb testing.TB) string {
	tb.Helper()
	dir, err := os.MkdirTemp(memoryDir, "cgrouptest")
	if err != nil {
		return tb.TempDir()
	}
	tb.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			tb.Error(err)
		}
	})
	return dir
}

// Write writes a file below the host's root, and the directories above it. A
// file that exists keeps its inode, as a kernel file does.
func (h *Host) Write(path, content string) {
	name := h.Root.Path(path)
	if last, ok := h.written[name]; ok && last == content {
		if _, err := os.Lstat(name); err == nil { // nobody has removed it
			return
		}
	}
	h.written[name] = content
	err := os.WriteFile(name, []byte(content), 0o644)
	if errors.Is(err, fs.ErrNotExist) {
		err = errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(content), 0o644))
	}
	if err != nil {
		h.tb.Helper() // not before: it is dear, and tests write a hundred thousand files
		h.tb.Fatal(err)
	}
}

// Layout returns the detected layout of the host.
func (h *Host) Layout() *cgroupview.Layout {
	h.tb.Helper()
	l, err := cgroupview.Detect(h.Root)
	if err != nil {
		h.tb.Fatal(err)
	}
	return l
}

// v1Mounts are the v1 hierarchies; cpu and cpuacct share one, as on most hosts.
var v1Mounts = []string{"memory", "cpu,cpuacct", "cpuset", "blkio", "pids", "name=systemd"}

// mount makes the roots of the hierarchies and lists them in mountinfo.
func (h *Host) mount() {
	h.tb.Helper()
	info := "22 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n"
	if h.Mode != cgroupview.Unified {
		for i, controllers := range v1Mounts {
			dir := v1Dir(controllers)
			info += fmt.Sprintf("%d 22 0:%d / /%s rw,nosuid,relatime - cgroup cgroup rw,%s\n", 30+i, 30+i, dir, controllers)
			h.Write(dir+"/cgroup.sane_behavior", "0\n")
			h.Write(dir+"/cgroup.procs", "")
			h.Write(dir+"/tasks", "")
		}
		h.Write(v1Dir("cpuset")+"/cpuset.effective_cpus", allCPUs+"\n")
		h.Write(v1Dir("cpuset")+"/cpuset.effective_mems", allMems+"\n")
	}
	if dir := h.unifiedDir(); dir != "" {
		info += fmt.Sprintf("50 22 0:50 / /%s rw,nosuid,relatime - cgroup2 cgroup2 rw,nsdelegate\n", dir)
		h.Write(dir+"/cgroup.procs", "")
		h.Write(dir+"/cgroup.threads", "")
		if h.Mode == cgroupview.Unified {
			h.Write(dir+"/cpuset.cpus.effective", allCPUs+"\n")
			h.Write(dir+"/cpuset.mems.effective", allMems+"\n")
		}
	}
	h.Write("proc/self/mountinfo", info)
}

func v1Dir(controllers string) string {
	return "sys/fs/cgroup/" + strings.TrimPrefix(controllers, "name=")
}

func (h *Host) unifiedDir() string {
	switch h.Mode {
	case cgroupview.Hybrid:
		return "sys/fs/cgroup/unified"
	case cgroupview.Unified:
		return "sys/fs/cgroup"
	}
	return ""
}
