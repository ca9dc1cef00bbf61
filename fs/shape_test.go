package fs

import (
	"errors"
	"slices"
	"testing"

	"cloister/fs/memory"
)

// A successor goes on only with what the kernel was told.
func TestSuccessorOfAnotherShape(t *testing.T) {
	files := []File{{Path: "proc/meminfo", Mode: 0o444}, {Path: "proc/stat", Mode: 0o444}}
	more := append(slices.Clone(files), File{Path: "proc/uptime", Mode: 0o444})
	swapped := []File{files[1], files[0]}
	exactly := []Options{{}, {Protocol: Direct}}
	pushed, written := Options{Protocol: Pushed}, Options{Writer: &alarms{}}
	for name, tt := range map[string]struct {
		before, now []File
		first, next Options
		want        bool
	}{
		"the same":        {files, files, exactly[0], exactly[0], true},
		"lease to direct": {files, files, exactly[0], exactly[1], true},
		"direct to lease": {files, files, exactly[1], exactly[0], true},
		"pushed":          {files, files, pushed, pushed, true},
		"to pushed":       {files, files, exactly[0], pushed, false},
		"from pushed":     {files, files, pushed, exactly[0], false},
		"to writable":     {files, files, exactly[0], written, false},
		"hidden":          {files, []File{files[0], {Path: "proc/stat", Mode: 0o444, Hidden: true}}, exactly[0], exactly[0], true},
		"more files":      {files, more, exactly[0], exactly[0], true},
		"fewer files":     {more, files, exactly[0], exactly[0], true},
		"other order":     {files, swapped, exactly[0], exactly[0], false},
		"a directory":     {files, []File{files[0], {Path: "proc/stat", Mode: 0o555, Dir: true}}, exactly[0], exactly[0], false},
	} {
		t.Run(name, func(t *testing.T) {
			mem := newMemoryFile(t)
			shaped := func(files []File, opts Options) *device {
				b, err := newSuperblock(files, renderFunc(hello), opts)
				if err != nil {
					t.Fatal(err)
				}
				k, file := dialFake(t, b, mem)
				t.Cleanup(func() { k.file.Close(); file.Close() })
				return k.d
			}
			if err := shaped(tt.before, tt.first).memory.SetShape(shaped(tt.before, tt.first).sb.shape()); err != nil {
				t.Fatal(err)
			}
			for range 2 { // the check leaves nothing that makes it fail
				err := shaped(tt.now, tt.next).checkShape()
				if got := err == nil; got != tt.want || !got && !errors.Is(err, memory.ErrLayout) {
					t.Errorf("got %v, want to go on: %v", err, tt.want)
				}
			}
		})
	}
}

// Of a file that came with a successor the next one knows.
func TestShapeGrows(t *testing.T) {
	mem := newMemoryFile(t)
	names := []string{"a", "b", "c"}
	step := func(order ...int) error {
		var files []File
		for _, i := range order {
			files = append(files, File{Path: names[i], Mode: 0o444})
		}
		b, err := newSuperblock(files, renderFunc(hello), Options{})
		if err != nil {
			t.Fatal(err)
		}
		k, file := dialFake(t, b, mem)
		defer k.file.Close()
		defer file.Close()
		if k.d.memory.Shape() == nil {
			return k.d.memory.SetShape(b.shape())
		}
		return k.d.checkShape()
	}
	for _, tt := range []struct {
		order []int
		want  bool
	}{{[]int{0}, true}, {[]int{0, 1}, true}, {[]int{0, 2}, false}, {[]int{0}, true}, {[]int{0, 1, 2}, true}} {
		if err := step(tt.order...); (err == nil) != tt.want {
			t.Errorf("%v: got %v, want to go on: %v", tt.order, err, tt.want)
		}
	}
}
