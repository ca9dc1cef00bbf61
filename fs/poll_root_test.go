//go:build root

package fs

import (
	"bufio"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// waitScript writes to a file, prints that it has, waits for its event and prints what
// came. It runs in another process: one that polls a file which it serves itself may
// wait for itself.
const waitScript = `
import os, select, sys
f = os.open(sys.argv[1], os.O_RDWR)
os.write(f, b"ring")
p = select.poll()
p.register(f, select.POLLPRI)
print(p.poll(0), flush=True)
print([hex(e) for _, e in p.poll()], flush=True)
print(p.poll(0), flush=True)
`

func TestPollWaitsForTheEvent(t *testing.T) {
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("needs python3")
	}
	a := &alarms{renderFunc: hello}
	s, err := Mount(mountDir(t), testFiles, a, Options{Writer: a})
	if err != nil {
		t.Fatal(err)
	}
	closeInCleanup(t, s)
	if err := s.Add(testSlot, Owner{}); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(s.Path(testSlot), "proc/sys/kernel/domainname")

	cmd := exec.Command("python3", "-c", waitScript, file)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out) // a line can come in two pieces, or two at once
	read := func(want string) {
		t.Helper()
		if got, err := lines.ReadString('\n'); err != nil || got != want+"\n" {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
	}
	read("[]")
	// It may not have begun to wait.
	stop := make(chan struct{})
	go func() {
		for tick := time.NewTicker(10 * time.Millisecond); ; {
			select {
			case <-tick.C:
				a.mu.Lock()
				l := a.last
				a.mu.Unlock()
				l.fired() // says only that there may be something
			case <-stop:
				tick.Stop()
				return
			}
		}
	}()
	a.ring()
	read("['0x2']")
	close(stop)
	read("[]")
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	for _, script := range []string{
		`echo bad > "$0" && exit 1; exit 0`,
		`echo ring > "$0"`,
		`echo ring >> "$0"`,
		`chmod 600 "$0" 2>/dev/null && exit 1; exit 0`,
		`rm -f "$0" 2>/dev/null && exit 1; exit 0`,
		`cat "$0" | grep -q domainname`,
	} {
		if out, err := exec.Command("sh", "-c", script, file).CombinedOutput(); err != nil {
			t.Errorf("%s: %v %s", script, err, out)
		}
	}
	if err := unix.Access(filepath.Join(s.Path(testSlot), "proc/uptime"), unix.R_OK); err != nil {
		t.Error(err)
	}
}
