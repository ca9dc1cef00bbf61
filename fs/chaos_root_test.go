//go:build root

package fs

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"cloister/fs/memory"

	"cloister/internal/sys"
)

// The server is killed again and again while others read. The test keeps its connection
// and starts it again; server and readers are processes of their own.

// chaosEnv makes the test binary a server ("serve DIR"), or a reader
// ("read NAME CHUNK FILE").
const chaosEnv = "CLOISTER_TEST_CHAOS"

// chaosSeconds is how long the server is killed; CLOISTER_CHAOS_SECONDS says otherwise.
const chaosSeconds = 10

var chaosSlots = []Slot{{0, 1}, {7, 3}, {500, 1 << 20}}

// chaosChild is what the test binary does for the test.
func chaosChild(what string) int {
	args := strings.Fields(what)
	var err error
	switch args[0] {
	case "serve":
		err = chaosServe(args[1])
	case "read":
		chunk, _ := strconv.Atoi(args[2])
		err = (&chaosReader{read: chaosReads[args[1]], chunk: chunk, path: args[3]}).run()
	}
	if err != nil {
		fmt.Println("error:", err)
		return 1
	}
	return 0
}

// chaosServe serves what it has inherited as descriptors 3 and 4.
func chaosServe(dir string) error {
	conn := Connection{Device: os.NewFile(3, "/dev/fuse"), Memory: os.NewFile(4, "memory")}
	s, err := Resume(dir, conn, testFiles, clockwork{}, Options{})
	if err != nil {
		return err
	}
	for _, slot := range chaosSlots {
		if err := s.Add(slot, testOwner); err != nil {
			return err
		}
	}
	s.Start()
	fmt.Println("serving")
	<-s.Done()
	return nil
}

// chaos is the keeper of a server.
type chaos struct {
	t     *testing.T
	dir   string
	conn  Connection
	dying sync.WaitGroup
	stuck int // servers that had not ended killLimit after they were killed
}

// killLimit is how long a killed server is waited for. One of its threads may be telling
// the kernel to drop a page that is being read: the READ is its successor's to answer.
const killLimit = 100 * time.Millisecond

func newChaos(t *testing.T) *chaos {
	t.Helper()
	c := &chaos{t: t, dir: mountDir(t)}
	var err error
	if c.conn.Memory, err = memory.Create(); err != nil {
		t.Fatal(err)
	}
	if c.conn.Device, err = mountFUSE(c.dir, false); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := unmountStack(c.dir, anyServer); err != nil {
			t.Error(err)
		}
		c.conn.close()
		c.dying.Wait()
	})
	c.greet()
	return c
}

// greet answers INIT.
func (c *chaos) greet() {
	sb, err := newSuperblock(testFiles, clockwork{}, Options{})
	if err != nil {
		c.t.Fatal(err)
	}
	s, err := newServer(c.dir, c.conn, sb)
	if err != nil {
		c.t.Fatal(err)
	}
	if err := errors.Join(s.dev.greet(), s.dev.memory.Close()); err != nil {
		c.t.Fatal(err)
	}
}

// serve starts a server and returns what kills it and waits for its end.
func (c *chaos) serve() (kill func()) {
	c.t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), chaosEnv+"=serve "+c.dir)
	cmd.ExtraFiles = []*os.File{c.conn.Device, c.conn.Memory}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		c.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	ended := make(chan struct{})
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "serving\n" {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		c.t.Fatalf("server says %q, %v\n%s", line, err, stderr.String())
	}
	return func() {
		if rand.IntN(8) == 0 {
			_ = cmd.Process.Signal(unix.SIGSTOP)
			time.Sleep(time.Duration(rand.IntN(2000)) * time.Microsecond) // so long it is stopped: nothing is waited for
		}
		_ = cmd.Process.Kill()
		c.dying.Go(func() {
			_ = cmd.Wait()
			if stderr.Len() > 0 {
				c.t.Errorf("server: %s", stderr.String())
			}
			close(ended)
		})
		c.awaitEnd(cmd.Process.Pid, ended)
	}
}

// awaitEnd waits for a killed server, but not for threads whose READs its successor is to
// answer.
func (c *chaos) awaitEnd(pid int, ended <-chan struct{}) {
	for {
		select {
		case <-ended:
			return
		case <-time.After(killLimit):
			if sys.Stuck(pid) {
				c.stuck++
				return
			}
		}
	}
}

// chaosProcess is a reader of the test's.
type chaosProcess struct {
	name   string
	cmd    *exec.Cmd
	stdin  io.Closer
	mu     sync.Mutex
	last   time.Time // guarded by mu; of its last sign of life
	result string    // guarded by mu; the last that it said
	ended  chan struct{}
}

func (c *chaos) startReader(name string, chunk int, file string) *chaosProcess {
	c.t.Helper()
	p := &chaosProcess{
		name: fmt.Sprintf("%s by %d of %s", name, chunk, file), cmd: exec.Command(os.Args[0]),
		last: time.Now(), ended: make(chan struct{}),
	}
	p.cmd.Env = append(os.Environ(), chaosEnv+"="+fmt.Sprintf("read %s %d %s", name, chunk, filepath.Join(c.dir, file)), "GOMAXPROCS=1")
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		c.t.Fatal(err)
	}
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		c.t.Fatal(err)
	}
	p.cmd.Stderr = os.Stderr
	if err := p.cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	go func() {
		defer close(p.ended)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			p.mu.Lock()
			p.last, p.result = time.Now(), lines.Text()
			p.mu.Unlock()
		}
	}()
	return p
}

// hangs reports whether it has said nothing for long.
func (p *chaosProcess) hangs() bool {
	select {
	case <-p.ended:
		return false
	default:
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Since(p.last) > 20*time.Second
}

// end returns what the reader has found.
func (p *chaosProcess) end(t *testing.T) (reads int, longest, oldest time.Duration) {
	p.stdin.Close()
	<-p.ended
	err := p.cmd.Wait()
	if _, scanErr := fmt.Sscanf(p.result, "ok %d %d %d", &reads, &longest, &oldest); err != nil || scanErr != nil {
		t.Errorf("%s: %q, %v", p.name, p.result, err)
	}
	return reads, longest, oldest
}

func TestServerIsKilledAgainAndAgain(t *testing.T) {
	seconds := chaosSeconds
	if text := os.Getenv("CLOISTER_CHAOS_SECONDS"); text != "" {
		var err error
		if seconds, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	c := newChaos(t)
	var readers []*chaosProcess
	for _, r := range []struct {
		name  string
		chunk int
		file  string
	}{
		{"open", 64 << 10, "0.1/proc/meminfo"},
		{"open", 1, "0.1/proc/sys/kernel/domainname"},
		{"open", 512, "7.3/proc/meminfo"},
		{"open", 4096, "7.3/proc/meminfo"},
		{"open", 512, "7.3/proc/uptime"},
		{"open", 4096, "7.3/sys/devices/system/cpu/online"},
		{"kept", 512, "500.1048576/proc/meminfo"},
		{"pread", 64 << 10, "500.1048576/proc/uptime"},
		{"kept", 1, "7.3/proc/sys/kernel/domainname"},
		{"slow", 100, "500.1048576/proc/uptime"},
		{"slow", 100, "500.1048576/proc/sys/kernel/domainname"},
		{"drop", 300, "0.1/proc/uptime"},
		{"drop", 1, "0.1/proc/uptime"},
		{"drop", 64 << 10, "0.1/proc/meminfo"},
		{"sendfile", 0, "500.1048576/sys/devices/system/cpu/online"},
	} {
		readers = append(readers, c.startReader(r.name, r.chunk, r.file))
	}
	kills := 0
	hung := false
	for end := time.Now().Add(time.Duration(seconds) * time.Second); time.Now().Before(end) && !hung; kills++ {
		kill := c.serve()
		life := 40 * time.Millisecond
		if rand.IntN(8) == 0 { // long enough for leases, and for sweeps
			life = 2 * settleTime
		}
		time.Sleep(time.Duration(rand.Int64N(int64(life)))) // to any moment: nothing is waited for
		kill()
		for _, p := range readers {
			hung = hung || c.watch(p)
		}
	}
	if !hung {
		c.settle(readers, kills)
	}
}

// watch aborts the connection of a reader that hangs.
func (c *chaos) watch(p *chaosProcess) (hung bool) {
	if !p.hangs() {
		return false
	}
	c.t.Errorf("%s hangs", p.name)
	if _, err := unmountStack(c.dir, anyServer); err != nil { // aborts
		c.t.Error(err)
	}
	_ = p.cmd.Process.Kill()
	return true
}

// settle ends the readers, and looks at what is left.
func (c *chaos) settle(readers []*chaosProcess, kills int) {
	kill := c.serve()
	defer func() { kill() }()
	sum, longest, oldest := 0, time.Duration(0), time.Duration(0)
	for _, p := range readers {
		reads, l, o := p.end(c.t)
		c.t.Logf("%-60s %8d reads, longest %v, oldest %v", p.name, reads, l, o)
		sum += reads
		if !strings.HasPrefix(p.name, "slow") && !strings.HasPrefix(p.name, "drop by 1 ") && !strings.HasPrefix(p.name, "open by 1 ") {
			longest = max(longest, l)
		}
		if strings.HasPrefix(p.name, "kept") || strings.HasPrefix(p.name, "pread") {
			oldest = max(oldest, o)
		}
	}
	c.t.Logf("%d kills (%d late), %d reads, longest stall %v, oldest content of a kept file %v", kills, c.stuck, sum, longest, oldest)
	if oldest > 5*time.Second {
		c.t.Errorf("a kept file was %v old", oldest)
	}
	for deadline := time.Now().Add(10 * time.Second); ; {
		kill()
		m, err := memory.Open(c.conn.Memory)
		if err != nil {
			c.t.Fatal(err)
		}
		handles, bytes := m.Used()
		m.Close()
		kill = c.serve()
		if handles == 0 {
			return
		}
		if time.Now().After(deadline) {
			c.t.Errorf("%d files are left open, with %d bytes", handles, bytes)
			return
		}
	}
}
