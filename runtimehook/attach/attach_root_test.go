//go:build root

package attach_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"cloister/internal/sealed"
	"cloister/internal/sys"
	"cloister/internal/sys/systest"
	"cloister/runtimehook/attach"
)

// The views cover the container's files and no others, read-only and for good, and what
// the runtime has mounted on its proc and sysfs stays.
func TestAttach(t *testing.T) {
	c := newContainer(t, `mount -t tmpfs lower "$0/sys/fs/cgroup" && echo lower >"$0/sys/fs/cgroup/file" &&
		mount -t tmpfs upper "$0/sys/fs/cgroup" && echo upper >"$0/sys/fs/cgroup/file" &&
		mount --bind "$0/etc/hostname" "$0/proc/sys/kernel/ostype" && mount -t tmpfs covers "$0/proc/sys/kernel" &&
		mount --bind "$0/etc/hostname" "$0/proc/version" && mount -t proc proc "$0/other"`)
	w, views := workshop(t, "view of ", "proc/uptime", "proc/nothing-of-this-name", "sys/devices/system/cpu/online", "etc/hostname")
	plan := sealed.Plan{Views: views, Masked: []string{"proc/cmdline", "proc/nothing"}, ReadOnly: []string{"proc/sys"}}
	attached, err := c.attach(w, plan)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"proc/uptime", "sys/devices/system/cpu/online"}; !slices.Equal(attached, want) {
		t.Errorf("attached: got %q, want %q", attached, want)
	}
	for file, want := range map[string]string{
		"proc/uptime": "view of proc/uptime", "sys/devices/system/cpu/online": "view of sys/devices/system/cpu/online",
		"other/uptime": "view of proc/uptime", "proc/cmdline": "",
		"etc/hostname": "its own", "sys/fs/cgroup/file": "upper\n", "proc/version": "its own",
	} {
		c.reads(file, want)
	}
	if err := os.WriteFile(c.path("proc/uptime"), nil, 0); !errors.Is(err, syscall.EROFS) {
		t.Errorf("write to a view: got %v, want EROFS", err)
	}
	for _, file := range []string{"proc/uptime", "proc/cmdline", "proc/sys", "sys/devices/system/cpu/online", "other/uptime"} {
		if err := c.umount(file); !errors.Is(err, syscall.EINVAL) {
			t.Errorf("unmounted %s: %v, want EINVAL", file, err)
		}
	}
	for _, own := range []string{"sys/fs/cgroup", "proc/sys/kernel"} {
		if err := c.umount(own); err != nil {
			t.Errorf("a mount of the container's own: %v", err)
		}
	}
	c.reads("sys/fs/cgroup/file", "lower\n")
	c.reads("proc/sys/kernel/ostype", "its own")
	for _, naked := range []string{"proc", "sys", "other"} {
		if err := c.umount(naked); err != nil {
			t.Error(err)
		}
		if names, err := os.ReadDir(c.path(naked)); err != nil || len(names) != 0 {
			t.Errorf("below /%s are %d files, %v", naked, len(names), err)
		}
	}
	if text, err := os.ReadFile("/proc/uptime"); err != nil || strings.HasPrefix(string(text), "view") {
		t.Errorf("the host's own file: %q, %v", text, err)
	}
}

// A proc under another could be uncovered.
func TestAttachRefusesAProcThatIsCovered(t *testing.T) {
	for name, more := range map[string]string{
		"by another": `mount -t proc proc "$0/proc"`, "by something else": `mount -t tmpfs none "$0/proc"`,
	} {
		c := newContainer(t, more)
		w, _ := workshop(t, "")
		if attached, err := c.attach(w, sealed.Plan{}); err == nil {
			t.Errorf("%s: attached %q", name, attached)
		}
	}
}

// A container that points its /proc elsewhere gets no view there, and nothing of
// the host's is covered.
func TestAttachFollowsNoLink(t *testing.T) {
	root := systest.Dir(t)
	if err := os.Symlink("/proc", filepath.Join(root, "proc")); err != nil {
		t.Fatal(err)
	}
	w, views := workshop(t, "view", "proc/uptime")
	c := &container{t: t, root: root, pid: systest.Process(t, sys.NewNS|sys.NewPID, 0).Process.Pid}
	if attached, err := c.attach(w, sealed.Plan{Views: views}); err != nil || len(attached) != 0 {
		t.Errorf("attached %q, %v", attached, err)
	}
	if text, err := os.ReadFile(fmt.Sprintf("/proc/%d/root/proc/uptime", c.pid)); err != nil || strings.HasPrefix(string(text), "view") {
		t.Errorf("the host's own file: %q, %v", text, err)
	}
}

// What is read-only in the beginning stays so, with all that is mounted on it.
func TestReadOnlyMountsAreLocked(t *testing.T) {
	c := newContainer(t, `cd "$0" && mount -t tmpfs none ro && mkdir ro/sub && mount -t tmpfs -o ro none ro/sub && mount -t tmpfs none other`)
	w, views := workshop(t, "view", "proc/uptime")
	attached, err := c.attach(w, sealed.Plan{Views: views}, func(order *attach.Container) {
		order.Locked = []string{"/ro", "/none"}
	})
	if err != nil || !slices.Equal(attached, []string{"proc/uptime"}) {
		t.Fatalf("attached %q, %v", attached, err)
	}
	c.reads("proc/uptime", "viewproc/uptime")
	if err := os.WriteFile(c.path("other/file"), nil, 0o644); err != nil {
		t.Errorf("a mount that is not read-only: %v", err)
	}
	for _, dir := range []string{"ro", "ro/sub"} {
		err := c.inside(func() error {
			return sys.Mount("", filepath.Join(c.root, dir), "", syscall.MS_REMOUNT|syscall.MS_BIND, "")
		})
		if !errors.Is(err, syscall.EPERM) {
			t.Errorf("/%s made writable: %v, want EPERM", dir, err)
		}
		if err := os.WriteFile(filepath.Join(c.path(dir), "file"), nil, 0o644); !errors.Is(err, syscall.EROFS) {
			t.Errorf("write in /%s: %v, want EROFS", dir, err)
		}
	}
}

func TestAttachTellsWhatIsReadOnly(t *testing.T) {
	c := newContainer(t, `mount -t tmpfs none "$0/sys/fs/cgroup"`)
	w, list := workshop(t, "view", "sys/devices/system/cpu/online")
	order := &attach.Container{Root: c.root, Workshop: w, Plan: sealed.Plan{Views: list}, Locked: []string{"/sys"}}
	var done *attach.Attached
	_, err := onThread(func() (_ []string, err error) { done, err = attach.Attach(c.pid, order); return nil, err })
	if err != nil || done.ProcReadOnly || !done.SysReadOnly {
		t.Errorf("got %+v, %v, want that /sys alone is read-only", done, err)
	}
	err = c.inside(func() error {
		return sys.Mount("", filepath.Join(c.root, "sys"), "", syscall.MS_REMOUNT|syscall.MS_BIND, "")
	})
	if !errors.Is(err, syscall.EPERM) {
		t.Errorf("made writable: %v, want EPERM", err)
	}
}

func TestAttachWithoutAWorkshop(t *testing.T) {
	c := newContainer(t, "true")
	if _, err := c.attach(sealed.Address{PID: 1 << 23}, sealed.Plan{}); !errors.Is(err, sealed.ErrGone) {
		t.Errorf("got %v, want ErrGone", err)
	}
}
