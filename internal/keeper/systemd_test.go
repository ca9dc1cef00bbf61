package keeper

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"cloister/internal/sys"
)

// fakeSystemd receives what is said to a service manager.
type fakeSystemd struct {
	t    *testing.T
	path string
	conn *net.UnixConn
}

// notification is a message, with the content of the descriptors that came with it.
type notification struct {
	text  string
	files []string
}

func newFakeSystemd(t *testing.T) *fakeSystemd {
	t.Helper()
	dir, err := os.MkdirTemp("", "systemd")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram", Name: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &fakeSystemd{t, path, conn}
}

func (s *fakeSystemd) receive() notification {
	s.t.Helper()
	buf, oob := make([]byte, maxMessage), make([]byte, 1000)
	n, oobn, _, _, err := s.conn.ReadMsgUnix(buf, oob)
	if err != nil {
		s.t.Fatal(err)
	}
	got := notification{text: string(buf[:n])}
	messages, err := unix.ParseSocketControlMessage(oob[:oobn])
	if err != nil {
		s.t.Fatal(err)
	}
	for i := range messages {
		fds, err := unix.ParseUnixRights(&messages[i])
		if err != nil {
			s.t.Fatal(err)
		}
		for _, fd := range fds {
			content := make([]byte, 100)
			n, err := unix.Pread(fd, content, 0)
			if err != nil {
				s.t.Fatal(err)
			}
			got.files = append(got.files, string(content[:n]))
			if err := unix.Close(fd); err != nil {
				s.t.Fatal(err)
			}
		}
	}
	return got
}

// want receives the messages that are expected, and no others but pings.
func (s *fakeSystemd) want(texts ...string) (files []string) {
	s.t.Helper()
	if err := s.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		s.t.Fatal(err)
	}
	for _, want := range texts {
		got := s.receive()
		for got.text == watchdog && want != watchdog {
			got = s.receive()
		}
		if got.text != want && !(strings.HasSuffix(want, "=") && strings.HasPrefix(got.text, want)) {
			s.t.Errorf("systemd is told %q, want %q", got.text, want)
		}
		files = append(files, got.files...)
	}
	return files
}

// kept returns a file as systemd would pass it.
func kept(t *testing.T, content string) *os.File {
	t.Helper()
	fd, err := sys.NewMemfd("test")
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd.Int()), content)
	t.Cleanup(func() { _ = f.Close() })
	if _, err := f.WriteString(content); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestSystemd(t *testing.T) {
	systemd := newFakeSystemd(t)
	h := startKeeper(t, self(t), []string{
		"NOTIFY_SOCKET=" + systemd.path, "WATCHDOG_USEC=100000", "LISTEN_FDS=2", "LISTEN_FDNAMES=lock:journal",
	}, kept(t, "content of lock"), kept(t, "content of journal"))
	w := h.nextReady()
	systemd.want(ready, watchdog)
	if w.Stored != 2 {
		t.Errorf("got %d descriptors, want 2", w.Stored)
	}
	w.wantContent("lock", "content of lock")
	w.wantContent("journal", "content of journal")

	w.do("store", "a", "content of a")
	files := systemd.want("FDSTOREREMOVE=1\nFDNAME=a", "FDSTORE=1\nFDNAME=a\nFDPOLL=0")
	if want := []string{"content of a"}; !slices.Equal(files, want) {
		t.Errorf("systemd keeps %q, want %q", files, want)
	}
	w.do("remove", "lock", "")
	w.do("say", "", "STATUS=fine\nSTOPPING=1\nREADY=1")
	systemd.want("FDSTOREREMOVE=1\nFDNAME=lock", "STATUS=fine\nREADY=1")

	h.signal(syscall.SIGHUP)
	systemd.want("RELOADING=1\nMONOTONIC_USEC=")
	w = h.nextReady()
	systemd.want(ready, watchdog)
	w.do("upgrade", "", copyOf(t, "mute"))
	systemd.want("RELOADING=1\nMONOTONIC_USEC=", "STATUS=", ready)

	h.signal(syscall.SIGTERM)
	systemd.want(stopping)
	if got, want := h.exit(), 10+int(Handover); got != want {
		t.Errorf("got status %d, want %d, as the worker hands over", got, want)
	}
}

// What is meant for another process is not taken.
func TestListenPIDOfAnother(t *testing.T) {
	h := startKeeper(t, self(t), []string{"LISTEN_FDS=1", "LISTEN_FDNAMES=a", "OTHER_PID=1"}, kept(t, "content"))
	if w := h.next(); w.Stored != 0 {
		t.Errorf("got %d descriptors, want none", w.Stored)
	}
}

// Under systemd there is another keeper soon, so the worker does not become one.
func TestKeeperLostUnderSystemd(t *testing.T) {
	systemd := newFakeSystemd(t)
	h := startKeeper(t, self(t), []string{"NOTIFY_SOCKET=" + systemd.path})
	w := h.nextReady()
	process, err := sys.OpenProcess(w.PID)
	if err != nil {
		t.Fatal(err)
	}
	defer process.Close()
	h.signal(syscall.SIGKILL)
	fds := []unix.PollFd{{Fd: int32(process.Int()), Events: unix.POLLIN}}
	n, err := unix.Poll(fds, int(patience.Milliseconds()))
	for errors.Is(err, unix.EINTR) { // the runtime sends itself signals
		n, err = unix.Poll(fds, int(patience.Milliseconds()))
	}
	if err != nil || n != 1 {
		t.Errorf("got %d, %v, want the worker's end", n, err)
	}
	select {
	case w := <-h.workers:
		t.Errorf("got %+v, want no other worker", w.hello)
	default:
	}
}
