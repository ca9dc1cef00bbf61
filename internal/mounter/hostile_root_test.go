//go:build root

package mounter_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"cloister/internal/mounter"
	"cloister/internal/sys"
)

// hang is a FUSE server that answers only that it is there.
func hang(target string) error {
	fd, err := unix.Open("/dev/fuse", unix.O_RDWR, 0)
	if err != nil {
		return err
	}
	options := fmt.Sprintf("fd=%d,rootmode=40000,user_id=0,group_id=0", fd)
	if err := unix.Mount("hang", target, "fuse", 0, options); err != nil {
		return err
	}
	buf := make([]byte, 1<<17)
	if _, err := unix.Read(fd, buf); err != nil { // FUSE_INIT
		return err
	}
	const outHeader, initOut = 16, 64
	out := make([]byte, outHeader+initOut)
	binary.NativeEndian.PutUint32(out, uint32(len(out)))
	copy(out[8:16], buf[8:16]) // unique
	binary.NativeEndian.PutUint32(out[outHeader:], 7)
	binary.NativeEndian.PutUint32(out[outHeader+4:], 31)
	if _, err := unix.Write(fd, out); err != nil {
		return err
	}
	fmt.Println("mounted")
	if err := unix.Close(1); err != nil { // the script goes on
		return err
	}
	for {
		if _, err := unix.Read(fd, buf); err != nil {
			return err
		}
	}
}

func TestAFileSystemThatNeverAnswersHoldsUpNobodyElse(t *testing.T) {
	c := newContainer(t, nil)
	n := c.neighbour()
	if got := c.sh(roleEnv + `=hang /self /mnt/b >/tmp/out 2>&1 & echo $! >/tmp/pid; until grep . /tmp/out 2>/dev/null; do sleep 0.01; done`); got != "mounted" {
		t.Fatal(got)
	}
	script := "M proc /mnt/b/x proc &\n"
	begin := time.Now()
	var stuck sync.WaitGroup
	stuck.Go(func() {
		got := c.sh(strings.Repeat(script, mounter.PerContainer+1) + "wait")
		want := strings.Repeat("EIO\n", mounter.PerContainer) + "EBUSY"
		if !sameLines(got, want) {
			t.Errorf("calls that are stuck return\n%s\nwant\n%s", got, want)
		}
		if took := time.Since(begin); took > mounter.ServiceLimit+2*time.Second {
			t.Errorf("they took %v", took)
		}
	})
	for range 20 {
		before := time.Now()
		if got := n.sh("M proc /mnt/a proc; cat /mnt/a/meminfo; umount -l /mnt/a"); got != "ok\nVIEW" {
			t.Errorf("the neighbour gets %s", got)
		}
		if took := time.Since(before); took > mounter.ServiceLimit/2 {
			t.Errorf("the neighbour waits for %v", took)
		}
	}
	stuck.Wait()
	got := c.sh("kill -9 $(cat /tmp/pid); M proc /mnt/a proc; cat /mnt/a/meminfo; M proc /mnt/b/x proc; M /mnt/b/x /mnt/a '' 4096")
	if got != "ok\nVIEWENOTCONN\nENOTCONN" {
		t.Errorf("after the end of the file system: %s", got)
	}
}

// sameLines reports whether two texts have the same lines, in whatever order.
func sameLines(a, b string) bool {
	count := map[string]int{}
	for _, l := range strings.Split(a, "\n") {
		count[l]++
	}
	for _, l := range strings.Split(b, "\n") {
		count[l]--
	}
	for _, n := range count {
		if n != 0 {
			return false
		}
	}
	return true
}

func TestAMounterThatIsKilledIsReplaced(t *testing.T) {
	c := newContainer(t, nil)
	for range 3 {
		if err := syscall.Kill(c.mounter.Process().PID, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		if got := c.sh(begin + "M proc /mnt/a proc; carries /mnt/a; umount -l /mnt/a"); got != "ok\n"+sealedProc {
			t.Errorf("got %s", got)
		}
	}
}

// Calls that are in service when the mounter is killed are served by the next one, once.
func TestCallsInServiceOutliveTheMounter(t *testing.T) {
	c := newContainer(t, nil)
	const calls = 60
	var done sync.WaitGroup
	done.Go(func() {
		got := c.sh(fmt.Sprintf(`i=0; while [ $i -lt %d ]; do M proc /mnt/a proc; i=$((i+1)); done; grep -c ' /mnt/a ' /proc/self/mountinfo`, calls))
		if want := strings.Repeat("ok\n", calls) + strconv.Itoa(calls); got != want {
			t.Errorf("got %s, want %d times ok and as many mounts", got, calls)
		}
	})
	for range 5 {
		p := c.mounter.Process()
		time.AfterFunc(30*time.Millisecond, func() { _ = syscall.Kill(p.PID, syscall.SIGKILL) })
		<-p.Done()
	}
	done.Wait()
	endsAll(t, c.mounter.Process().PID)
}

// endsAll waits for the ends of what mounters have started but for one's.
func endsAll(t *testing.T, but int) {
	t.Helper()
	processes, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	own, err := sys.StatPath("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range processes {
		exe, err := sys.StatPath(dir + "/exe")
		line, _ := os.ReadFile(dir + "/cmdline")
		status, _ := os.ReadFile(dir + "/status")
		if err != nil || exe.ID() != own.ID() || !strings.HasSuffix(string(line), "hook\x00mounter\x00") ||
			strings.Contains(string(status), fmt.Sprintf("Pid:\t%d\n", but)) {
			continue // Pid and PPid alike
		}
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil {
			t.Fatal(err)
		}
		process, err := sys.OpenProcess(pid)
		if err != nil {
			continue // it has ended
		}
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(process.Int()), Events: unix.POLLIN}}, 2000)
		if n != 1 || err != nil {
			t.Errorf("process %d has not ended", pid)
		}
		if err := process.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestAMountThatIsThereIsNotMadeAgain(t *testing.T) {
	c := newContainer(t, nil)
	proc, err := sys.Open("/proc/"+strconv.Itoa(c.process.Pid), unix.O_PATH)
	if err != nil {
		t.Fatal(err)
	}
	defer proc.Close()
	var made uint64
	mount := func(noted uint64) error {
		return c.mounter.MountProc("c", c.facts, proc, "/mnt/a", noted, func(id uint64) error { made = id; return nil })
	}
	first := mount(0)
	same := mount(made)
	if got := c.sh("grep -c ' /mnt/a ' /proc/self/mountinfo"); got != "1" || errors.Join(first, same) != nil {
		t.Errorf("%s mounts, %v, %v", got, first, same)
	}
	// What was noted did not come to be.
	other := mount(made + 1)
	if got := c.sh("grep -c ' /mnt/a ' /proc/self/mountinfo"); got != "2" || other != nil {
		t.Errorf("%s mounts, %v", got, other)
	}
}

func TestBadPointers(t *testing.T) {
	c := newContainer(t, nil)
	if got, want := c.sh(roleEnv+"=pointers /self"), "type EFAULT\ntarget EFAULT\ndata EFAULT\nsource EFAULT\nend of data ok\nno type EINVAL"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// pointers makes calls with pointers to nothing.
func pointers() error {
	page := os.Getpagesize()
	memory, err := unix.Mmap(-1, 0, 2*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return err
	}
	if err := unix.Mprotect(memory[page:], unix.PROT_NONE); err != nil {
		return err
	}
	cut := page - len("hidepid=1")
	copy(memory[cut:], "hidepid=1") // to the end of what there is
	text := func(s string) uintptr { return address([]byte(s + "\x00")) }
	nothing := address(memory[page:])
	for _, test := range []struct {
		what                                string
		source, target, fstype, flags, data uintptr
	}{
		{"type", text("proc"), text("/mnt/a"), nothing, 0, 0},
		{"target", text("proc"), nothing, text("proc"), 0, 0},
		{"data", text("proc"), text("/mnt/a"), text("proc"), 0, nothing},
		{"source", nothing, text("/mnt/a"), 0, unix.MS_BIND, 0},
		{"end of data", text("proc"), text("/mnt/a"), text("proc"), 0, address(memory[cut:])},
		{"no type", text("proc"), text("/mnt/a"), 0, 0, 0},
	} {
		_, _, errno := unix.Syscall6(unix.SYS_MOUNT, test.source, test.target, test.fstype, test.flags, test.data, 0)
		name := unix.ErrnoName(errno)
		if errno == 0 {
			name = "ok"
		}
		fmt.Println(test.what, name)
	}
	return nil
}

// By then another program may run where the caller was.
func TestNothingIsMountedForACallerThatIsGone(t *testing.T) {
	c := newContainer(t, nil)
	proc, err := sys.Open("/proc/"+strconv.Itoa(c.process.Pid), unix.O_PATH)
	if err != nil {
		t.Fatal(err)
	}
	defer proc.Close()
	gone := errors.New("gone")
	begin := time.Now()
	for range 2 * mounter.PerContainer {
		err := c.mounter.MountProc("c", c.facts, proc, "/mnt/a", 0, func(uint64) error { return gone })
		if !errors.Is(err, gone) {
			t.Errorf("got %v", err)
		}
	}
	if took := time.Since(begin); took > mounter.ServiceLimit/2 {
		t.Errorf("took %v", took)
	}
	if got := c.sh("grep -c ' /mnt/a ' /proc/self/mountinfo"); got != "0" {
		t.Errorf("%s mounts", got)
	}
}
