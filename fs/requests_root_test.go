//go:build root

package fs

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// seen are the requests that a server has got. RELEASE and FORGET are not counted,
// they come when they like.
func seen(s *Server) map[string]uint64 {
	requests := s.Stats().Requests
	delete(requests, "RELEASE")
	delete(requests, "FORGET")
	return requests
}

// since returns what was seen besides.
func since(s *Server, before map[string]uint64) map[string]uint64 {
	requests := seen(s)
	for name, n := range before {
		if requests[name] -= n; requests[name] == 0 {
			delete(requests, name)
		}
	}
	return requests
}

// settleOpens waits until the kernel has released all files.
func settleOpens(s *Server) {
	for handles := 1; handles != 0; handles, _ = s.dev.memory.Used() {
		runtime.Gosched()
	}
}

// What a reader costs once the kernel has seen the file.
func TestRequestsPerReader(t *testing.T) {
	for name, tt := range map[string]struct {
		protocol       Protocol
		readAll, twice map[string]uint64 // a reader, and one beside another
		open           map[string]uint64
	}{
		"direct": {Direct, map[string]uint64{"OPEN": 1, "READ": 2}, map[string]uint64{"OPEN": 2, "READ": 2}, map[string]uint64{"OPEN": 1}},
		"leased": {Exact, map[string]uint64{"OPEN": 1}, map[string]uint64{"OPEN": 2, "READ": 2}, map[string]uint64{"OPEN": 1}},
		"pushed": {Pushed, map[string]uint64{}, map[string]uint64{}, map[string]uint64{}},
	} {
		t.Run(name, func(t *testing.T) {
			s := mountWith(t, renderFunc(hello), Options{Protocol: tt.protocol, MaxStale: time.Hour})
			file := meminfo(s)
			readAll := func() error { _, err := os.ReadFile(file); return err }
			list := func() error { return exec.Command("ls", "-l", file).Run() }
			for _, warm := range []func() error{readAll, readAll, list, readAll} {
				if err := warm(); err != nil {
					t.Fatal(err)
				}
				settleOpens(s)
			}
			for _, use := range []struct {
				name string
				read func() error
				want map[string]uint64
			}{
				{"os.ReadFile", readAll, tt.readAll},
				{"open and close", func() error { return openClose(file, unix.O_RDONLY) }, tt.open},
				{"ls -l", list, map[string]uint64{}},
				{"stat", func() error { _, err := os.Stat(file); return err }, map[string]uint64{}},
				{"beside another", func() error {
					f := open(t, file)
					defer f.Close()
					return readAll()
				}, tt.twice},
			} {
				settleOpens(s)
				before := seen(s)
				if err := use.read(); err != nil {
					t.Errorf("%s: %v", use.name, err)
				}
				if got := since(s, before); !maps.Equal(got, use.want) {
					t.Errorf("%s: got %v, want %v", use.name, got, use.want)
				}
			}
		})
	}
}

// Files of a pushed superblock that the kernel has not seen yet.
func TestRequestsPerPushedFile(t *testing.T) {
	s := mountWith(t, renderFunc(hello), Options{Protocol: Pushed, MaxStale: time.Hour})
	file := filepath.Join(s.Path(testSlot), "proc/uptime")
	if _, err := os.Stat(file); err != nil {
		t.Fatal(err)
	}
	before := seen(s)
	if got, err := os.ReadFile(file); err != nil || string(got) != "7.3/proc/uptime" {
		t.Errorf("got %q, %v", got, err)
	}
	if got := since(s, before); got["READ"] != 1 || got["OPEN"] > 1 {
		t.Errorf("got %v, want one READ", got)
	}
}
