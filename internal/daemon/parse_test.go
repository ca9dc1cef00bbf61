package daemon

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/runtime-spec/specs-go"
)

func TestParseStartTime(t *testing.T) {
	rest := strings.Repeat(" 1", 18) + " 4242 0 0"
	tests := []struct {
		name, stat string
		want       uint64
		ok         bool
	}{
		{"plain", "7 (sleep) S" + rest, 4242, true},
		{"blanks and parentheses in the name", "7 (a) b) (c) R" + rest, 4242, true},
		{"line feed in the name", "7 (a\nb) R" + rest, 4242, true},
		{"no name", "7 sleep S" + rest, 0, false},
		{"cut", "7 (sleep) S 1 1", 0, false},
		{"empty", "", 0, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseStartTime([]byte(tt.stat))
			if got != tt.want || (err == nil) != tt.ok {
				t.Errorf("got %d, %v, want %d", got, err, tt.want)
			}
		})
	}
}

func FuzzParseStartTime(f *testing.F) {
	f.Add([]byte("7 (a) b) R" + strings.Repeat(" 1", 20)))
	f.Fuzz(func(_ *testing.T, stat []byte) { _, _ = parseStartTime(stat) })
}

func TestProcess(t *testing.T) {
	self, err := identify(os.Getpid())
	if err != nil || !self.running() {
		t.Fatalf("this process: got %+v, %v, running %v", self, err, self.running())
	}
	another := self
	another.Start++ // the same number, but of a process that began later
	if another.running() {
		t.Error("a process that has another's number was taken for it")
	}
	if _, err := another.open(); !errors.Is(err, errEnded) {
		t.Errorf("got %v, want errEnded", err)
	}
	cmd := exec.Command("true")
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	if _, err := identify(cmd.Process.Pid); !errors.Is(err, errEnded) {
		t.Errorf("a process that has ended: got %v, want errEnded", err)
	}
}

func TestParseInnermostPID(t *testing.T) {
	for status, want := range map[string]string{
		"Name:\tNSpid:\t9\nNSpid:\t120\t7\t1\nThreads:\t1\n": "1",
		"NSpid:\t120\n": "120",
		"NSpid:\n":      "",
		"":              "",
	} {
		if got, err := parseInnermostPID(status); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: got %q, %v, want %q", status, got, err, want)
		}
	}
}

func TestParseBootOffset(t *testing.T) {
	const zeroes = "monotonic           0         0\nboottime            0         0\n"
	for text, want := range map[string]time.Duration{
		zeroes: 0,
		"monotonic  5 0\nboottime -100 500000000\n": -100*time.Second + 500*time.Millisecond,
		"boottime 1000 0": 1000 * time.Second,
	} {
		if got, err := parseBootOffset(text); err != nil || got != want {
			t.Errorf("%q: got %v, %v, want %v", text, got, err, want)
		}
	}
	for _, bad := range []string{"", "boottime 1", "boottime x 0", "boottime 0 -1", "boottime 99999999999 0"} {
		if _, err := parseBootOffset(bad); err == nil {
			t.Errorf("%q: got no error", bad)
		}
	}
	if offset, own, err := timeOffset(os.Getpid()); offset != 0 || own || err != nil {
		t.Errorf("this process: got %v, %v, %v", offset, own, err)
	}
}

func FuzzParseBootOffset(f *testing.F) {
	f.Add("monotonic 0 0\nboottime -100 500000000\n")
	f.Fuzz(func(_ *testing.T, text string) { _, _ = parseBootOffset(text) })
}

func TestParseMap(t *testing.T) {
	got, err := parseMap("         0     100000      65536\n     65536 4294967294          1\n")
	if err != nil {
		t.Fatal(err)
	}
	want := []mapping{{0, 100000, 65536}, {65536, 4294967294, 1}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(mapping{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, bad := range []string{"", "\n", "0 1", "0 1 x", "0 1 4294967296", "-1 0 1"} {
		if _, err := parseMap(bad); err == nil {
			t.Errorf("%q: got no error", bad)
		}
	}
}

func FuzzParseMap(f *testing.F) {
	f.Add("0 100000 65536\n")
	f.Fuzz(func(t *testing.T, text string) {
		if m, err := parseMap(text); err == nil && len(m) == 0 {
			t.Errorf("%q: no mapping and no error", text)
		}
	})
}

func TestEngineRangeRefusesTheHostsRoot(t *testing.T) {
	pid := os.Getpid()
	maps, err := readMap(pid, "uid_map")
	if err != nil {
		t.Fatal(err)
	}
	if maps[0].outside != 0 {
		t.Skipf("this process is in a user namespace of its own: %+v", maps)
	}
	if _, err := engineRange(pid); err == nil || !strings.Contains(err.Error(), "the host's, root's") {
		t.Errorf("got %v, want a refusal", err)
	}
}

func TestSlotSet(t *testing.T) {
	var s slotSet
	for want := range uint32(3) {
		if got, err := s.take(); err != nil || got != want {
			t.Fatalf("got %d, %v, want %d", got, err, want)
		}
	}
	s.free(1)
	if s.claim(0) || !s.claim(1) || !s.claim(5) {
		t.Error("claim took a slot in use or refused a free one")
	}
	if got, err := s.take(); err != nil || got != 3 {
		t.Errorf("got %d, %v, want 3", got, err)
	}
	if s.claim(1 << 31) {
		t.Error("claim took a slot that can't be")
	}
	s.free(1 << 31)
}

func TestParseFeatures(t *testing.T) {
	const flag = `["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"]`
	tests := []struct {
		text       string
		namespaces string
		killable   bool
	}{
		{`{"linux":{"namespaces":["cgroup","time"]}}`, "[cgroup time]", false},
		{"runc: unknown command", "[]", false},
		{`{"linux":{"seccomp":{"enabled":true}}}`, "[]", false},
		{`{"linux":{"seccomp":{"knownFlags":` + flag + `,"supportedFlags":` + flag + `}}}`, "[]", true},
		{`{"linux":{"seccomp":{"knownFlags":` + flag + `,"supportedFlags":[]}}}`, "[]", false},
		{`{"linux":{"seccomp":{"knownFlags":` + flag + `}}}`, "[]", true},
	}
	for _, tt := range tests {
		f := parseFeatures([]byte(tt.text))
		if got := fmt.Sprint(f.Namespaces); got != tt.namespaces {
			t.Errorf("%s: namespaces %s, want %s", tt.text, got, tt.namespaces)
		}
		if got := f.knowsFlag(specs.LinuxSeccompFlagWaitKillableRecv); got != tt.killable {
			t.Errorf("%s: knows the flag %v, want %v", tt.text, got, tt.killable)
		}
	}
}
