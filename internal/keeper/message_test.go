package keeper

import (
	"slices"
	"strings"
	"testing"
)

func TestMessage(t *testing.T) {
	m := parse("FDSTORE=1\nFDNAME=a=b\n\nFDNAME=c\nREADY=1\nodd")
	if !m.has(fdStore) || !m.has(ready) || m.has(stop) || m.has("READY") {
		t.Errorf("got %q, want FDSTORE and READY in it", m)
	}
	if got, want := m.all(fdName), []string{"a=b", "c"}; !slices.Equal(got, want) {
		t.Errorf("got names %q, want %q", got, want)
	}
	if m.get(fdName) != "a=b" || m.get("STATUS") != "" {
		t.Errorf("got %q and %q, want a=b and nothing", m.get(fdName), m.get("STATUS"))
	}
	if got, want := m.only("READY", "FDSTORE").String(), "FDSTORE=1\nREADY=1"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestValidName(t *testing.T) {
	for name, want := range map[string]bool{
		"": false, "a": true, "fuse-exact.2 (old)": true, "a:b": false, "a\nb": false, "ä": false, "\x7f": false,
		strings.Repeat("n", maxName): true, strings.Repeat("n", maxName+1): false,
	} {
		if got := validName(name); got != want {
			t.Errorf("%q: got %v, want %v", name, got, want)
		}
	}
}

// The longest greeting fits into a message.
func TestBatchFits(t *testing.T) {
	if length := batch * (len(fdName) + 1 + maxName + 1); length > maxMessage {
		t.Errorf("a batch may have %d bytes, a message %d", length, maxMessage)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("FDSTORE=1\nFDNAME=a")
	f.Add("FDSTOREREMOVE=1\nFDNAME=\n\n=\nFDNAME")
	f.Add("READY=1\nSTATUS=fine\nCLOISTER_UPGRADE=/usr/bin/cloister")
	f.Fuzz(func(t *testing.T, text string) {
		m := parse(text)
		if again := parse(m.String()); !slices.Equal(again, m) {
			t.Errorf("got %q, then %q", m, again)
		}
		s := store{}
		if err := s.change(m, nil); err == nil && m.has(fdStore) {
			t.Errorf("%q keeps no descriptor", text)
		}
		for _, line := range m.only("STATUS", "READY") {
			if strings.Contains(line, "\n") || !slices.Contains(m, line) {
				t.Errorf("%q is passed on as %q", text, line)
			}
		}
		if len(s) != 0 {
			t.Errorf("got %v, want an empty store", s)
		}
	})
}
