//go:build root

package daemon

import (
	"slices"
	"testing"
)

// A view that is switched off is neither listed nor attached, whether it is a file or
// a directory.
func TestViewsThatAreSwitchedOff(t *testing.T) {
	h := newHost(t)
	if err := h.stop(); err != nil {
		t.Fatal(err)
	}
	h.configure(`{"cloister": {
		"idRegion": {"start": 2000000000, "size": 65536000},
		"views": {"/proc/diskstats": false, "/sys/devices/system/node": false, "/proc/pressure/io": false, "/proc/stat": true}
	}}`)
	h.start()
	s, err := h.client.Status()
	if err != nil {
		t.Fatal(err)
	}
	_, init := h.run("web")
	c, err := h.client.Container("web")
	if err != nil {
		t.Fatal(err)
	}
	for _, listed := range [][]string{s.Views, c.Views} {
		for path, want := range map[string]bool{
			"/proc/diskstats": false, "/sys/devices/system/node": false, "/proc/pressure/io": false,
			"/proc/stat": true, "/proc/meminfo": true, "/sys/devices/system/cpu": true,
		} {
			if slices.Contains(listed, path) != want {
				t.Errorf("%s in %v: got %v, want %v", path, listed, !want, want)
			}
		}
	}
	kill(init)
	h.settled()
}
