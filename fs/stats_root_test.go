//go:build root

package fs

import (
	"os/exec"
	"testing"
)

// A cat is an open that renders, and its content went out with the open or by reads.
func TestServerCountsWhatItServes(t *testing.T) {
	s := mountTest(t, renderFunc(hello))
	content, err := exec.Command("cat", meminfo(s)).Output()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil { // what comes after a reply has been counted then
		t.Fatal(err)
	}
	got := s.Stats()
	f := got.Files[0]
	if f.Path != "proc/meminfo" || f.Opens() != 1 || f.Errors != 0 || f.Latency.Count() == 0 {
		t.Errorf("got %+v", f)
	}
	if f.Direct == 1 && f.Bytes != uint64(len(content)) {
		t.Errorf("got %d bytes, cat read %d", f.Bytes, len(content))
	}
	if got.Requests["OPEN"] == 0 {
		t.Errorf("got requests %v", got.Requests)
	}
}
