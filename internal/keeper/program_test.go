package keeper

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"

	"cloister/internal/sys"
)

// dirEnv is set in the processes that the tests start: the test binary is then
// keeper or worker, and its worker is told by the test what to do, through a socket
// in this directory.
const dirEnv = "KEEPER_TEST_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(dirEnv); dir != "" {
		os.Exit(program(dir))
	}
	os.Exit(m.Run())
}

// testWatchdog is short, but not for a busy machine.
const testWatchdog = 2 * time.Second

func program(dir string) int {
	self, err := os.Executable()
	if err != nil {
		return complain(err)
	}
	if os.Args[1] == "version" {
		if filepath.Base(self) == "mute" {
			return complain(errors.New("no version"))
		}
		return 0
	}
	client, err := Connect()
	if err != nil {
		return complain(err)
	}
	if client != nil {
		if filepath.Base(self) == "broken" {
			return complain(errors.New("broken"))
		}
		return work(dir, client)
	}
	if stumbles(dir, self) {
		return complain(errors.New("no keeper"))
	}
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer cancel()
	err = Run(ctx, Config{
		Args: []string{"worker"}, Executable: self, Watchdog: testWatchdog,
		StatusPath: statusPath(dir), Log: zerolog.New(os.Stderr),
	})
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	if err != nil {
		return complain(err)
	}
	return 0
}

// stumbles tells whether this is the program whose first keeper dies at once.
func stumbles(dir, self string) bool {
	return filepath.Base(self) == "stumbling" && os.Mkdir(filepath.Join(dir, "stumbled"), 0o700) == nil
}

func statusPath(dir string) string { return filepath.Join(dir, "status.json") }

func complain(err error) int {
	fmt.Fprintln(os.Stderr, "keeper test:", err)
	return 1
}

// hello is what a worker says of itself.
type hello struct {
	PID, Parent int
	Fresh       bool
	Stored      int
	Program     string // base name of what runs
	Args        []string
}

// order is what a test tells a worker.
type order struct{ Do, Name, Text string }

// answer is what a worker says to an order.
type answer struct{ Text, Error string }

// testWorker is the state of a worker process.
type testWorker struct {
	client *Client
	fds    map[string]int
	silent bool
	deaf   bool // to Stop and Handover
}

func work(dir string, client *Client) int {
	conn, err := net.Dial("unix", filepath.Join(dir, "control"))
	if err != nil {
		return complain(err)
	}
	w := &testWorker{client: client, fds: map[string]int{}}
	for _, name := range client.Names() {
		w.fds[name] = client.Stored(name).Int()
	}
	self, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return complain(err)
	}
	out := json.NewEncoder(conn)
	if err := out.Encode(hello{
		os.Getpid(), os.Getppid(), client.Fresh(), len(w.fds), filepath.Base(self), os.Args,
	}); err != nil {
		return complain(err)
	}
	return w.serve(receiveOrders(conn), out)
}

func receiveOrders(conn net.Conn) <-chan order {
	orders := make(chan order)
	go func() {
		in := json.NewDecoder(conn)
		for {
			var o order
			if in.Decode(&o) != nil {
				return // the test has ended, or only this part of it
			}
			orders <- o
		}
	}()
	return orders
}

func (w *testWorker) serve(orders <-chan order, out *json.Encoder) int {
	tick := time.NewTicker(testWatchdog / 10)
	defer tick.Stop()
	for {
		select {
		case o := <-orders:
			var a answer
			text, err := w.obey(o)
			if a.Text = text; err != nil {
				a.Error = err.Error()
			}
			if err := out.Encode(a); err != nil {
				return complain(err)
			}
		case <-tick.C:
			if !w.silent {
				_ = w.client.Alive() // Lost says so
			}
		case e := <-w.client.Events():
			if e == Lost {
				return complain(w.client.TakeOver([]string{"keeper"}, w.fds))
			}
			if !w.deaf {
				return 10 + int(e)
			}
		}
	}
}

func (w *testWorker) obey(o order) (string, error) {
	switch o.Do {
	case "ready":
		return "", w.client.Ready()
	case "exit":
		status, err := strconv.Atoi(o.Text)
		if err != nil {
			return "", err
		}
		os.Exit(status)
	case "fail":
		return "", w.client.Failed(errors.New(o.Text))
	case "silent":
		w.silent = true
		return "", nil
	case "deaf":
		w.deaf = true
		return "", nil
	case "store":
		return "", w.store(o.Name, o.Text)
	case "remove":
		return "", w.client.Remove(o.Name)
	case "read":
		content := make([]byte, 100)
		n, err := unix.Pread(w.fds[o.Name], content, 0)
		return string(content[:max(n, 0)]), err
	case "upgrade":
		return "", w.client.Upgrade(o.Text)
	case "say":
		return "", w.client.send(parse(o.Text))
	}
	return "", fmt.Errorf("unknown order %q", o.Do)
}

// store keeps a memfd with the text under each of the names.
func (w *testWorker) store(names, text string) error {
	for name := range strings.FieldsSeq(names) {
		f, err := sys.NewMemfd("test")
		if err != nil {
			return err
		}
		if _, err := f.Write([]byte(text)); err != nil {
			return err
		}
		if err := w.client.Store(name, f.Int()); err != nil {
			return err
		}
		w.fds[name] = f.Int()
	}
	return nil
}
