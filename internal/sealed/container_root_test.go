//go:build root

package sealed_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"cloister/internal/sealed"
	"cloister/internal/sys"
	"cloister/internal/sys/systest"
)

// roleEnv makes this program something else than the tests.
const roleEnv = "CLOISTER_TEST_ROLE"

func TestMain(m *testing.M) {
	switch role := os.Getenv(roleEnv); role {
	case "":
		os.Exit(m.Run())
	case "container":
		exit(inContainer(os.Args[1]))
	case "nested":
		exit(json.NewEncoder(os.Stdout).Encode(attempts(fresh, theViews)))
	case "keeper":
		exit(keepWorkshop(os.Args[1:]))
	case "killed":
		exit(leavePlace(os.Args[1], os.Args[2]))
	}
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// as returns this program in a role, in new namespaces.
func as(role string, flags uintptr, args ...string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Env = append(os.Environ(), roleEnv+"="+role)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: flags, Pdeathsig: syscall.SIGKILL}
	return cmd
}

// ids maps ids from first on, and makes the process their root.
func ids(cmd *exec.Cmd, first int) {
	cmd.SysProcAttr.Credential = &syscall.Credential{NoSetGroups: true}
	cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: first, Size: 1000}}
	cmd.SysProcAttr.GidMappings = cmd.SysProcAttr.UidMappings
}

// outcomes are what was tried and how the kernel answered, "" for success.
type outcomes map[string]string

type attempt struct {
	what string
	do   func() error
}

func attempts(lists ...[]attempt) outcomes {
	out := outcomes{}
	for _, list := range lists {
		for _, a := range list {
			out[a.what] = ""
			var errno syscall.Errno
			if err := a.do(); errors.As(err, &errno) {
				out[a.what] = unix.ErrnoName(errno)
			} else if err != nil {
				out[a.what] = err.Error()
			}
		}
	}
	return out
}

const (
	a = "/tmp/a"
	b = "/tmp/b"
)

func mount(source, target, fstype string, flags uintptr) func() error {
	return func() error { return unix.Mount(source, target, fstype, flags, "") }
}

func umount(path string, flags int) func() error {
	return func() error { return unix.Unmount(path, flags) }
}

func newAPI(fstype string) func() error {
	return func() error {
		tree, err := sys.NewMount(fstype, 0)
		return errors.Join(err, tree.Close())
	}
}

func clone(path string, recursive bool) func() error {
	return func() error {
		tree, err := sys.ClonePath(path, recursive)
		return errors.Join(err, tree.Close())
	}
}

func write(path string) func() error {
	return func() error { return os.WriteFile(path, []byte("1"), 0) }
}

func reads(path, want string) func() error {
	return func() error {
		text, err := os.ReadFile(path)
		if err == nil && string(text) != want {
			err = fmt.Errorf("read %q", text)
		}
		return err
	}
}

func entries(path string, want int) func() error {
	return func() error {
		names, err := os.ReadDir(path)
		if err == nil && len(names) != want {
			err = fmt.Errorf("%d entries", len(names))
		}
		return err
	}
}

var (
	fresh = []attempt{
		{"fresh proc", mount("proc", a, "proc", 0)},
		{"fresh sysfs", mount("sysfs", a, "sysfs", 0)},
		{"fresh proc by the new calls", newAPI("proc")},
		{"fresh sysfs by the new calls", newAPI("sysfs")},
	}
	theViews = []attempt{
		{"read view", reads("/proc/meminfo", "VIEW")},
		{"read view of sysfs", reads("/sys/kernel/fscaps", "VIEW")},
		{"umount view", umount("/proc/meminfo", 0)},
		{"umount -l view", umount("/proc/meminfo", unix.MNT_DETACH)},
		{"umount view of sysfs", umount("/sys/kernel/fscaps", unix.MNT_DETACH)},
		{"move view", mount("/proc/meminfo", "/tmp/file", "", unix.MS_MOVE)},
		{"remount view rw", mount("", "/proc/meminfo", "", unix.MS_BIND|unix.MS_REMOUNT)},
		{"umount mask of a file", umount("/proc/version", unix.MNT_DETACH)},
		{"umount mask of a directory", umount("/sys/fs", unix.MNT_DETACH)},
		{"read mask of a file", reads("/proc/version", "")},
		{"list mask of a directory", entries("/sys/fs", 0)},
		{"write to mask of a directory", write("/sys/fs/file")},
		{"remount mask rw", mount("", "/sys/fs", "", unix.MS_BIND|unix.MS_REMOUNT)},
		{"umount read-only path", umount("/proc/sys/kernel", unix.MNT_DETACH)},
		{"remount read-only path rw", mount("", "/proc/sys/kernel", "", unix.MS_BIND|unix.MS_REMOUNT)},
		{"write to read-only path", write("/proc/sys/kernel/hostname")},
		{"write to view", write("/proc/meminfo")},
		{"write to writable view of read-only path", write("/proc/sys/kernel/core_pattern")},
		{"bind a part of proc with views", mount("/proc/sys", a, "", unix.MS_BIND)},
		{"bind proc", mount("/proc", a, "", unix.MS_BIND)},
		{"bind sysfs", mount("/sys", a, "", unix.MS_BIND)},
		{"clone proc", clone("/proc", false)},
		{"clone view", clone("/proc/meminfo", false)},
	}
	theRest = []attempt{
		{"write to writable view", write("/proc/sys/vm/swappiness")},
		{"clone proc recursively", clone("/proc", true)},
		{"rbind proc", mount("/proc", a, "", unix.MS_BIND|unix.MS_REC)},
		{"read view in rbind", reads(a+"/meminfo", "VIEW")},
		{"umount view in rbind", umount(a+"/meminfo", unix.MNT_DETACH)},
		{"move rbind", mount(a, b, "", unix.MS_MOVE)},
		{"read view in moved", reads(b+"/meminfo", "VIEW")},
		{"umount -l moved", umount(b, unix.MNT_DETACH)},
		{"nothing below moved", entries(b, 0)},
		{"bind over view", mount("/tmp/file", "/proc/meminfo", "", unix.MS_BIND)},
		{"umount own", umount("/proc/meminfo", 0)},
		{"read view again", reads("/proc/meminfo", "VIEW")},
		{"umount -l proc", umount("/proc", unix.MNT_DETACH)},
		{"umount -l sysfs", umount("/sys", unix.MNT_DETACH)},
		{"nothing below proc", entries("/proc", 0)},
		{"nothing below sysfs", entries("/sys", 0)},
	}
)

// inContainer is a container: a runtime's part first, then the container's own.
func inContainer(root string) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	if err := sys.Mount("root", root, "tmpfs", 0, ""); err != nil {
		return err
	}
	for _, dir := range []string{"/proc", "/sys", "/tmp", a, b} {
		if err := os.Mkdir(root+dir, 0o755); err != nil {
			return err
		}
	}
	if err := errors.Join(
		os.WriteFile(root+"/tmp/file", nil, 0o644),
		sys.Mount("proc", root+"/proc", "proc", 0, ""),
		sys.Mount("sysfs", root+"/sys", "sysfs", 0, ""),
	); err != nil {
		return err
	}
	for _, dir := range []string{"/lib", "/lib64"} { // what this program may be linked to
		if err := os.Mkdir(root+dir, 0o755); err != nil {
			return err
		}
		if err := unix.Mount(dir, root+dir, "", unix.MS_BIND|unix.MS_REC, ""); err != nil && !errors.Is(err, unix.ENOENT) {
			return err
		}
	}
	fmt.Println("ready")
	if _, err := os.Stdin.Read(make([]byte, 1)); err != nil {
		return err
	}
	if err := sys.ChangeRoot(root); err != nil {
		return err
	}
	out := attempts(fresh, theViews)
	nested := as("nested", unix.CLONE_NEWUSER|unix.CLONE_NEWNS|unix.CLONE_NEWPID|unix.CLONE_NEWNET)
	nested.Stdin = os.Stdin
	ids(nested, 0)
	text, err := nested.Output()
	if err != nil {
		return err
	}
	inner := outcomes{}
	if err := json.Unmarshal(text, &inner); err != nil {
		return err
	}
	for what, got := range inner {
		out["nested: "+what] = got
	}
	for what, got := range attempts(theRest) {
		out[what] = got
	}
	for what, got := range attempts(fresh) {
		out["without proc and sysfs: "+what] = got
	}
	return json.NewEncoder(os.Stdout).Encode(out)
}

// asExpected are the answers other than EPERM to the attempts in fresh and theViews, and
// to those in theRest.
var asExpected = outcomes{
	"read view": "", "read view of sysfs": "", "read mask of a file": "", "list mask of a directory": "",
	"umount view": "EINVAL", "umount -l view": "EINVAL", "umount view of sysfs": "EINVAL", "move view": "EINVAL",
	"umount mask of a file": "EINVAL", "umount mask of a directory": "EINVAL", "umount read-only path": "EINVAL",
	"write to mask of a directory": "EROFS", "write to read-only path": "EROFS", "write to view": "EROFS",
	"write to writable view of read-only path": "EROFS",
	"bind a part of proc with views":           "EINVAL", "bind proc": "EINVAL", "bind sysfs": "EINVAL", "clone proc": "EINVAL", "clone view": "",
	"umount view in rbind": "EINVAL",
}

// The container can take away no view, mask or protection, and see nothing else of proc
// and sysfs, with all capabilities and in namespaces of its own as well.
func TestWhatAContainerCantDo(t *testing.T) {
	w, views := workshop(t)
	root := systest.Dir(t)
	c := as("container", sys.NewUser|sys.NewNS|sys.NewPID|sys.NewNet|sys.NewIPC, root)
	ids(c, firstID)
	out := start(t, c)
	line := make([]byte, len("ready\n"))
	if _, err := out.stdout.Read(line); err != nil {
		t.Fatal(err)
	}
	plan := thePlan(views)
	onThread(t, func() error {
		for _, fs := range []string{"proc", "sys"} {
			if err := replace(w, c.Process.Pid, root, fs, plan); err != nil {
				return err
			}
		}
		return nil
	})
	if _, err := out.stdin.Write([]byte("\n")); err != nil {
		t.Fatal(err)
	}
	var got outcomes
	if err := json.NewDecoder(out.stdout).Decode(&got); err != nil {
		t.Fatal(err)
	}
	for _, a := range append(fresh, theViews...) {
		want, ok := asExpected[a.what]
		if !ok {
			want = "EPERM"
		}
		for _, where := range []string{"", "nested: "} {
			if got := got[where+a.what]; got != want {
				t.Errorf("%s%s: got %q, want %q", where, a.what, got, want)
			}
		}
	}
	for _, a := range theRest {
		if got, want := got[a.what], asExpected[a.what]; got != want {
			t.Errorf("%s: got %q, want %q", a.what, got, want)
		}
	}
	for _, a := range fresh {
		if got := got["without proc and sysfs: "+a.what]; got != "EPERM" {
			t.Errorf("%s without proc and sysfs: got %q, want EPERM", a.what, got)
		}
	}
	if text, err := os.ReadFile(views + "/swappiness"); err != nil || strings.TrimSpace(string(text)) != "1" {
		t.Errorf("the writable view holds %q, %v, want what the container has written", text, err)
	}
}

func thePlan(views string) *sealed.Plan {
	return &sealed.Plan{
		Views: []sealed.View{
			{Source: views + "/view", Path: "proc/meminfo"},
			{Source: views + "/view", Path: "proc/nothing-of-this-name"},
			{Source: views + "/core_pattern", Path: "proc/sys/kernel/core_pattern", Writable: true},
			{Source: views + "/swappiness", Path: "proc/sys/vm/swappiness", Writable: true},
			{Source: views + "/view", Path: "sys/kernel/fscaps"},
		},
		Masked:   []string{"proc/version", "proc/nothing-of-this-name", "sys/fs", "sys/nothing"},
		ReadOnly: []string{"proc/sys/kernel", "proc/no-such-directory"},
	}
}

// replace does what the hook does: a sealed tree takes the place of the runtime's mount.
func replace(w *sealed.Workshop, pid int, root, fs string, plan *sealed.Plan) error {
	mounts, err := sys.OpenPIDNamespace(pid, "mnt")
	if err != nil {
		return err
	}
	defer mounts.Close()
	target := root + "/" + fs
	var base *sys.Tree
	if err := sys.InMounts(mounts, func() (err error) { base, err = sys.ClonePath(target, false); return err }); err != nil {
		return err
	}
	tree, _, err := w.Seal(base, fs, plan)
	if err != nil {
		return err
	}
	defer tree.Close()
	return sys.InMounts(mounts, func() error { return errors.Join(sys.Detach(target), tree.MoveTo(target)) })
}
