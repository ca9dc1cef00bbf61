//go:build root && amd64

package mounter_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"cloister/internal/sys/systest/int80"
)

// nrSocketcall is i386's.
const nrSocketcall = 102

// socketcall makes the socketcall(2) that its arguments say: the number of the call and what
// is in memory, after which there is none. It writes the error's name or what the socket is.
// With LISTEN it is what ss(8) says of it instead. With RACE the first number in memory changes to that and back all the time, while the
// call is made again and again.
func socketcall(args []string) error {
	if n, err := strconv.ParseUint(os.Getenv("FILES"), 0, 32); err == nil {
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: n, Max: n}); err != nil {
			return err
		}
	}
	page := os.Getpagesize()
	memory, err := unix.Mmap(-1, 0, 2*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_32BIT)
	if err == nil {
		err = unix.Mprotect(memory[page:], unix.PROT_NONE)
	}
	if err != nil {
		return err
	}
	numbers := make([]uint32, len(args))
	for i, a := range args {
		n, err := strconv.ParseUint(a, 0, 32)
		if err != nil {
			return err
		}
		numbers[i] = uint32(n)
	}
	inMemory := memory[page-4*len(numbers[1:]) : page]
	if _, err := binary.Encode(inMemory, binary.NativeEndian, numbers[1:]); err != nil {
		return err
	}
	call := func() int {
		return int(int80.Call(nrSocketcall, uintptr(numbers[0]), address(memory)+uintptr(page-len(inMemory)), 0, 0, 0))
	}
	if other, err := strconv.ParseUint(os.Getenv("RACE"), 0, 32); err == nil {
		return race(call, (*uint32)(unsafe.Pointer(&inMemory[0])), numbers[1], uint32(other))
	}
	fd := call()
	if fd < 0 {
		fmt.Println(unix.ErrnoName(syscall.Errno(-fd)))
		return nil
	}
	if os.Getenv("LISTEN") != "" {
		if err := unix.Listen(fd, 1); err != nil {
			return err
		}
		ss := exec.Command("ss", "-Hltn", "--cgroup")
		ss.Stdout, ss.Stderr = os.Stdout, os.Stderr
		return ss.Run()
	}
	return describe(fd)
}

// race writes which kinds of sockets came of it, and how often there was none.
func race(call func() int, at *uint32, one, other uint32) error {
	stop := make(chan struct{})
	var changer sync.WaitGroup
	changer.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				atomic.StoreUint32(at, other)
				atomic.StoreUint32(at, one)
			}
		}
	})
	got := map[string]bool{}
	for range 500 {
		fd := call()
		if fd < 0 {
			got[unix.ErrnoName(syscall.Errno(-fd))] = true
			continue
		}
		family, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
		if err := errors.Join(err, unix.Close(fd)); err != nil {
			return err
		}
		got[strconv.Itoa(family)] = true
	}
	close(stop)
	changer.Wait()
	fmt.Println(got)
	return nil
}

// describe writes the family, type and protocol of a socket, its owner, its flags and
// whether it is in another network namespace than the process.
func describe(fd int) error {
	var out []any
	for _, option := range []int{unix.SO_DOMAIN, unix.SO_TYPE, unix.SO_PROTOCOL} {
		v, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, option)
		if err != nil {
			return err
		}
		out = append(out, v)
	}
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	if err != nil {
		return err
	}
	status, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	if err != nil {
		return err
	}
	var socket unix.Stat_t
	if err := unix.Fstat(fd, &socket); err != nil {
		return err
	}
	out = append(out, "uid", socket.Uid)
	if flags&unix.FD_CLOEXEC != 0 {
		out = append(out, "cloexec")
	}
	if status&unix.O_NONBLOCK != 0 {
		out = append(out, "nonblock")
	}
	ns, err := unix.IoctlRetInt(fd, unix.SIOCGSKNS)
	if err != nil {
		fmt.Println(append(out, unix.ErrnoName(err.(syscall.Errno)))...)
		return nil
	}
	var own, its unix.Stat_t
	if err := errors.Join(unix.Stat("/proc/self/ns/net", &own), unix.Fstat(ns, &its)); err != nil {
		return err
	}
	if own.Ino != its.Ino {
		out = append(out, "elsewhere")
	}
	fmt.Println(out...)
	return nil
}

func TestSocketsOfI386(t *testing.T) {
	const s = "S() { " + roleEnv + "=socketcall /self \"$@\"; }\n"
	runMountTests(t, newContainer(t, nil), []mountTest{
		{"TCP", s + "S 1 2 1 0", "2 1 6 uid 0"},
		{"UDP that does not block and is closed by execve", s + "S 1 2 $((2 | 0x800 | 0x80000)) 17", "2 2 17 uid 0 cloexec nonblock"},
		{"local", s + "S 1 1 5 0", "1 5 0 uid 0"},
		{"netlink", s + "S 1 16 3 0", "16 3 0 uid 0"},
		{"raw", s + "S 1 2 3 1; S 1 17 3 0", "2 3 1 uid 0\n17 3 0 uid 0"},
		{"raw without CAP_NET_RAW", s + `export ` + roleEnv + `=socketcall; setpriv --bounding-set -net_raw /self 1 2 3 1; setpriv --bounding-set -net_raw /self 1 17 3 0`, "EPERM\nEPERM"},
		{"without CAP_SYS_ADMIN", `export ` + roleEnv + `=socketcall; setpriv --bounding-set -sys_admin /self 1 2 1 0`, "2 1 6 uid 0"},
		{"a user's", `export ` + roleEnv + `=socketcall; setpriv --reuid 7 --clear-groups /self 1 2 1 0; setpriv --reuid 7 --clear-groups /self 1 2 3 1`, "2 1 6 uid 7 EPERM\nEPERM"},
		{"in a network namespace of its own", `export ` + roleEnv + `=socketcall; unshare -n /self 1 2 1 0; unshare -Urn /self 1 2 3 1`, "2 1 6 uid 0\n2 3 1 uid 0"},
		{"in a user namespace without", `export ` + roleEnv + `=socketcall; unshare -Ur /self 1 2 3 1; unshare -Ur /self 1 2 1 0`, "EPERM\n2 1 6 uid 0 EPERM"},
		{"in another root", s + `mkdir -p b/x; mount --rbind / b; ` + `export ` + roleEnv + `=socketcall; chroot b /self 1 2 1 0`, "2 1 6 uid 0"},
		{"the hypervisor's and the kernel's ciphers", s + "S 1 40 1 0; S 1 38 5 0; S 1 40 99 99", "EPERM\nEPERM\nEPERM"},
		{"wrong ones", s + "S 1 999 1 0; S 1 2 99 0; S 1 2 1 17; S 1 2 $((1 | 0x100)) 0; S 1 0xffffffff 1 0", "EAFNOSUPPORT\nEINVAL\nEPROTONOSUPPORT\nEINVAL\nEAFNOSUPPORT"},
		{"memory that is not there", s + "S 1 2 1; S 1", "EFAULT\nEFAULT"},
		{"no room for a descriptor", s + "FILES=3 S 1 2 1 0", "EMFILE"},
		{"other calls", s + "S 99 0 0 0; S 2 9999 0 0; S 8 1 1 0 0", "EINVAL\nEBADF\nEFAULT"},
		{"memory that changes", s + "RACE=40 S 1 2 1 0", "map[2:true EPERM:true]"},
	})
}

// TestASocketBelongsToTheCallersCgroup has ss say which cgroup a socket is of: its number,
// since there is no cgroup tree in the container.
func TestASocketBelongsToTheCallersCgroup(t *testing.T) {
	if out, err := exec.Command("ss", "-Hltn", "--cgroup").CombinedOutput(); err != nil {
		t.Skipf("no ss that knows cgroups: %v: %s", err, out)
	}
	tree := "/sys/fs/cgroup"
	if _, err := os.Stat(tree + "/unified"); err == nil {
		tree += "/unified"
	}
	if _, err := os.Stat(tree + "/cgroup.procs"); err != nil {
		t.Skipf("no cgroup2 tree: %v", err)
	}
	c := newContainer(t, nil)
	dir := fmt.Sprintf("%s/cloister-test-%d", tree, os.Getpid())
	threads := dir + "/threads"
	for _, d := range []string{dir, threads} {
		c.check(os.Mkdir(d, 0o755))
		t.Cleanup(func() { c.check(os.Remove(d)) })
	}
	t.Cleanup(func() {
		_ = c.process.Kill()
		_, _ = c.process.Wait() // killed
	})
	belongs := func(file, dir string) {
		t.Helper()
		c.check(os.WriteFile(dir+"/"+file, []byte(strconv.Itoa(c.process.Pid)), 0o644))
		var st unix.Stat_t
		c.check(unix.Stat(dir, &st))
		want := fmt.Sprintf("cgroup:unreachable:%x", st.Ino)
		if got := c.sh("LISTEN=1 " + roleEnv + "=socketcall /self 1 2 1 0 2>/dev/null | grep -o cgroup:.*"); got != want {
			t.Errorf("%s: socket of %s, want %s", dir, got, want)
		}
	}
	belongs("cgroup.procs", dir)
	c.check(os.WriteFile(threads+"/cgroup.type", []byte("threaded"), 0o644))
	belongs("cgroup.threads", threads)
}

func TestASocketIsMadeByTheNextMounter(t *testing.T) {
	c := newContainer(t, nil)
	for range 3 {
		if err := syscall.Kill(c.mounter.Process().PID, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		if got := c.sh(roleEnv + "=socketcall /self 1 2 1 0"); got != "2 1 6 uid 0" {
			t.Errorf("got %s", got)
		}
	}
}

func TestSocketsAreTheCallersAlone(t *testing.T) {
	c := newContainer(t, nil)
	const count = 50
	script := fmt.Sprintf("i=0; while [ $i -lt %d ]; do %s=socketcall /self 1 2 1 0; i=$((i+1)); done | sort -u", count, roleEnv)
	open := func() (sum int) {
		for _, pid := range []int{os.Getpid(), c.mounter.Process().PID} {
			files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
			c.check(err)
			sum += len(files)
		}
		return sum
	}
	before := open()
	if got := c.sh(script); got != "2 1 6 uid 0" {
		t.Fatal(got)
	}
	if after := open(); after >= before+count {
		t.Errorf("%d descriptors are open after %d sockets, %d before", after, count, before)
	}
}
