//go:build root

package daemon

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cloister/internal/api"
	"cloister/internal/sys"
	"cloister/internal/sys/systest"
)

// trapped are the ways in which a process hands over its listener, as a runtime does for
// one of a container, before it makes the call.
var trapped = map[string]func(conn *net.UnixConn, state *specs.ContainerProcessState, listener int) error{
	"at once": func(conn *net.UnixConn, state *specs.ContainerProcessState, listener int) error {
		return sendState(conn, marshal(state), listener)
	},
	"stays connected": func(conn *net.UnixConn, state *specs.ContainerProcessState, listener int) error {
		if err := sendState(conn, marshal(state), listener); err != nil {
			return err
		}
		_, err := sys.Duplicate(fdOf(conn)) // until the process ends
		return err
	},
	"in pieces": func(conn *net.UnixConn, state *specs.ContainerProcessState, listener int) error {
		state.State.Annotations = map[string]string{"long": strings.Repeat("x", 1<<20)}
		text := marshal(state)
		if err := sendState(conn, text[:10], listener); err != nil {
			return err
		}
		<-time.After(50 * time.Millisecond) // so that it has been looked at
		_, err := conn.Write(text[10:])
		return err
	},
	"another file": func(conn *net.UnixConn, state *specs.ContainerProcessState, _ int) error {
		return sendState(conn, marshal(state), int(os.Stdin.Fd()))
	},
	"no file": func(conn *net.UnixConn, state *specs.ContainerProcessState, _ int) error {
		return sendState(conn, marshal(state))
	},
	"another name": func(conn *net.UnixConn, state *specs.ContainerProcessState, listener int) error {
		state.Fds = []string{"pidFd"}
		return sendState(conn, marshal(state), listener)
	},
	"no JSON": func(conn *net.UnixConn, _ *specs.ContainerProcessState, listener int) error {
		return sendState(conn, []byte("}"), listener)
	},
	"half": func(conn *net.UnixConn, state *specs.ContainerProcessState, listener int) error {
		return sendState(conn, marshal(state)[:20], listener)
	},
}

// beTrapped is what the process does: it prints the memory that sysinfo(2) shows, or the
// error.
func beTrapped(socket, key, way string) error {
	traps := map[string]systest.Trap{
		"amd64": {Arch: unix.AUDIT_ARCH_X86_64, Nr: unix.SYS_SYSINFO}, "arm64": {Arch: unix.AUDIT_ARCH_AARCH64, Nr: unix.SYS_SYSINFO},
	}
	listener, err := systest.InstallFilter(traps[runtime.GOARCH])
	if err != nil {
		return err
	}
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Net: "unix", Name: socket})
	if err != nil {
		return err
	}
	state := &specs.ContainerProcessState{Version: "1.0.2", Fds: []string{specs.SeccompFdName}, Metadata: key}
	err = trapped[way](conn, state, listener.Int())
	if err != nil && !errors.Is(err, unix.EPIPE) { // it may be refused before it has said anything
		return err
	}
	if err := listener.Close(); err != nil {
		return err
	}
	if way == "half" {
		if err := conn.CloseWrite(); err != nil {
			return err
		}
	}
	var s unix.Sysinfo_t
	if err := unix.Sysinfo(&s); err != nil {
		fmt.Println(err)
	} else {
		fmt.Println(s.Totalram)
	}
	_, err = os.Stdin.Read(make([]byte, 1)) // until the test says so
	return err
}

func marshal(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return text
}

func fdOf(conn *net.UnixConn) (n int) {
	raw, err := conn.SyscallConn()
	if err == nil {
		err = raw.Control(func(fd uintptr) { n = int(fd) })
	}
	if err != nil {
		panic(err)
	}
	return n
}

func sendState(conn *net.UnixConn, text []byte, fds ...int) error {
	_, _, err := conn.WriteMsgUnix(text, unix.UnixRights(fds...), nil)
	return err
}

// trappedProcess is one whose sysinfo(2) is answered by the daemon.
type trappedProcess struct {
	says string // what it has printed
	end  func()
}

func (h *host) trapped(key, way string, attr *syscall.SysProcAttr) trappedProcess {
	h.t.Helper()
	cmd := exec.Command(cmp.Or(h.exe, "/proc/self/exe"), "trapped", api.ListenerPath(h.runDir), key, way)
	cmd.SysProcAttr = attr
	in, err := cmd.StdinPipe()
	if err != nil {
		h.t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		h.t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		h.t.Fatal(err)
	}
	p := trappedProcess{end: func() { _ = in.Close(); _ = cmd.Wait() }}
	h.t.Cleanup(func() { kill(cmd) })
	text := make([]byte, 100)
	n, err := out.Read(text)
	if err != nil {
		h.t.Fatal(way, err)
	}
	p.says = strings.TrimSpace(string(text[:n]))
	return p
}

// memory returns the number that the process has printed, 0 if it was none.
func (p trappedProcess) memory() uint64 {
	n, _ := strconv.ParseUint(p.says, 10, 64)
	return n
}
