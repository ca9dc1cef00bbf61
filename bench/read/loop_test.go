package read

import (
	"os"
	"testing"
	"time"
)

func TestLoop(t *testing.T) {
	dir := t.TempDir()
	full, empty := dir+"/full", dir+"/empty"
	if err := os.WriteFile(full, make([]byte, bufferSize+10), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, path string
		op         Op
		size       int
		fails      bool
	}{
		{"open", full, Open, bufferSize + 10, false},
		{"pread", full, Pread, bufferSize, false},
		{"open, empty", empty, Open, 0, true},
		{"pread, empty", empty, Pread, 0, true},
		{"open, missing", dir + "/missing", Open, 0, true},
		{"pread, missing", dir + "/missing", Pread, 0, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLoop()
			err := l.prepare([]string{tt.path}, tt.op)
			if err == nil {
				err = l.run(time.Now(), 0, 0)
			}
			if (err != nil) != tt.fails || l.size != tt.size {
				t.Errorf("got %d bytes, %v", l.size, err)
			}
			if !tt.fails && (l.ops != 1 || l.counted != 1 || len(l.samples) != 1) {
				t.Errorf("got %d reads, %d counted, %d samples; want one of each", l.ops, l.counted, len(l.samples))
			}
			if err := l.finish(); err != nil {
				t.Error(err)
			}
		})
	}
}
