package fs

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// listing is one line per node: number, type, mode, file and path.
func listing(t *tree) []string {
	var lines []string
	var walk func(number int, path string)
	walk = func(number int, path string) {
		n := t.node(number)
		if !n.isDir() {
			lines = append(lines, fmt.Sprintf("%d file %04o %d %s", number, n.mode&0o7777, n.file, path))
			return
		}
		lines = append(lines, fmt.Sprintf("%d dir %04o %s", number, n.mode&0o7777, path))
		for _, child := range n.order {
			walk(child, path+"/"+t.node(child).name)
		}
	}
	walk(firstNumber, "")
	return lines
}

func TestTree(t *testing.T) {
	files := []File{
		{Path: "proc/meminfo", Mode: 0o444},
		{Path: "sys/devices/system/cpu/online", Mode: 0o444},
		{Path: "proc/sys/kernel/domainname", Mode: 0o644},
		{Path: "proc/stat", Mode: 0o400},
		{Path: "top", Mode: 0},
	}
	tr, err := newTree(files)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"2 dir 0555 ",
		"3 dir 0555 /proc",
		"4 file 0444 0 /proc/meminfo",
		"10 dir 0555 /proc/sys",
		"11 dir 0555 /proc/sys/kernel",
		"12 file 0644 2 /proc/sys/kernel/domainname",
		"13 file 0400 3 /proc/stat",
		"5 dir 0555 /sys",
		"6 dir 0555 /sys/devices",
		"7 dir 0555 /sys/devices/system",
		"8 dir 0555 /sys/devices/system/cpu",
		"9 file 0444 1 /sys/devices/system/cpu/online",
		"14 file 0000 4 /top",
	}
	if got := listing(tr); !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestTreeKeepsNumbersWhenFilesAreAppended(t *testing.T) {
	files := []File{{Path: "a/b/c", Mode: 0o444}, {Path: "a/d", Mode: 0o444}}
	before, err := newTree(files)
	if err != nil {
		t.Fatal(err)
	}
	after, err := newTree(append(files, File{Path: "a/b/e", Mode: 0o444}, File{Path: "f/g", Mode: 0o444}))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range listing(before) {
		if !slices.Contains(listing(after), line) {
			t.Errorf("%q is gone", line)
		}
	}
}

func TestTreeErrors(t *testing.T) {
	tooMany := make([]File, lastNumber)
	for i := range tooMany {
		tooMany[i] = File{Path: fmt.Sprint(i), Mode: 0o444}
	}
	for name, files := range map[string][]File{
		"empty":          {{Path: "", Mode: 0o444}},
		"dot":            {{Path: ".", Mode: 0o444}},
		"absolute":       {{Path: "/proc/stat", Mode: 0o444}},
		"upwards":        {{Path: "proc/../stat", Mode: 0o444}},
		"trailing slash": {{Path: "proc/", Mode: 0o444}},
		"empty name":     {{Path: "proc//stat", Mode: 0o444}},
		"file type":      {{Path: "proc/stat", Mode: syscall.S_IFREG | 0o444}},
		"setuid":         {{Path: "proc/stat", Mode: 0o4555}},
		"twice":          {{Path: "proc/stat", Mode: 0o444}, {Path: "proc/stat", Mode: 0o444}},
		"file below":     {{Path: "proc/stat", Mode: 0o444}, {Path: "proc/stat/x", Mode: 0o444}},
		"file above":     {{Path: "proc/stat/x", Mode: 0o444}, {Path: "proc/stat", Mode: 0o444}},
		"too many":       tooMany,
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := newTree(files); err == nil {
				t.Error("no error")
			}
		})
	}
}

// Every file of a tree is found under its path and nowhere else.
func FuzzTree(f *testing.F) {
	f.Add("proc/meminfo\nproc/stat\nsys/devices/system/cpu/online")
	f.Add("a\na/b")
	f.Add("a/b\na")
	f.Add("../a\n\n/")
	f.Fuzz(func(t *testing.T, paths string) {
		var files []File
		for p := range strings.SplitSeq(paths, "\n") {
			files = append(files, File{Path: p, Mode: 0o444})
		}
		tr, err := newTree(files)
		if err != nil {
			return
		}
		lines := listing(tr)
		if len(lines) != len(tr.nodes) {
			t.Errorf("%d nodes are reached of %d", len(lines), len(tr.nodes))
		}
		for i, file := range files {
			if !slices.ContainsFunc(lines, func(l string) bool { return strings.HasSuffix(l, fmt.Sprintf(" %d /%s", i, file.Path)) }) {
				t.Errorf("%q is missing", file.Path)
			}
		}
	})
}
