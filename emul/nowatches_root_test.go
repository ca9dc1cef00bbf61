//go:build root

package emul

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"cloister/cgroupview"
	"cloister/cgroupview/cgrouptest"
)

// inNamespace is set for the test program when it runs in a user namespace, which has
// limits of its own.
const inNamespace = "CLOISTER_TEST_IN_NAMESPACE"

// Where there are no watches left, changes are noticed by the next tick.
func TestNoWatchesLeft(t *testing.T) {
	if os.Getenv(inNamespace) == "" {
		runInNamespace(t)
		return
	}
	r := newRig(t, cgroupview.Unified, nil)
	for _, tt := range []struct {
		limit, value string
		want         error
	}{
		{"max_inotify_watches", "1", unix.ENOSPC}, // the cgroup and the one above need one each
		{"max_inotify_instances", "0", unix.EMFILE},
	} {
		host, err := NewHost(HostOptions{Root: r.fake.Root, Clock: r.clock.now})
		if err != nil {
			t.Fatal(err)
		}
		defer host.Close()
		if err := os.WriteFile("/proc/sys/user/"+tt.limit, []byte(tt.value), 0); err != nil {
			t.Fatal(err)
		}
		n := cgrouptest.NewNotices()
		c, err := host.NewContainer(ContainerConfig{Group: r.cgroup.Open(), PID: initTask.TID, Changed: n.Call})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := c.Unwatched(); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.limit, err, tt.want)
		}
		r.cgroup.Update(func(v *cgrouptest.Values) { v.Bandwidth = cgroupview.Bandwidth{Quota: 100000, Period: 100000} })
		if host.resampler.poll(); online(c) != "1 of 0-3 on 0-1" || len(n) == 0 {
			t.Errorf("%s: view %s, told %d times", tt.limit, online(c), len(n))
		}
		r.cgroup.Update(func(v *cgrouptest.Values) { v.Bandwidth = cgroupview.Bandwidth{} })
	}
}

func runInNamespace(t *testing.T) {
	t.Helper()
	cmd := exec.Command("/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), inNamespace+"=1")
	self := []syscall.SysProcIDMap{{Size: 1}}
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWUSER, UidMappings: self, GidMappings: self}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
