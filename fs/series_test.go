package fs

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// seriesFiles are those of a directory with series, a hidden file and an empty
// directory.
var seriesFiles = []File{
	{Path: "cpu/online", Mode: 0o444},
	{Path: "cpu/cpu*/topology/core_id", Mode: 0o444},
	{Path: "cpu/cpu*/hidden/file", Mode: 0o444, Hidden: true},
	{Path: "cpu/cpu*/online", Mode: 0o444},
	{Path: "cpu/policy/policy*/freq", Mode: 0o400},
	{Path: "cpu/late", Mode: 0o444},
	{Path: "debug", Mode: 0o700, Dir: true},
	{Path: "nothing/but/hidden", Mode: 0o444, Hidden: true},
}

// machine is a Content whose series have the same members.
type machine struct {
	members []int
	err     error
}

func (m *machine) Members(Slot, int) ([]int, error) {
	inOrder.pass()
	defer inOrder.pass()
	return m.members, m.err
}

func (m *machine) TryRender([]byte, Slot, Ref) ([]byte, bool) { return nil, false }

func (m *machine) Render(dst []byte, _ Slot, ref Ref) ([]byte, error) {
	inOrder.pass()
	defer inOrder.pass()
	if strings.Contains(seriesFiles[ref.File].Path, "*") && !slices.Contains(m.members, ref.Member) {
		return dst, syscall.ENODEV
	}
	return fmt.Appendf(dst, "%s of %d\n", seriesFiles[ref.File].Path, ref.Member), nil
}

func newMachine(t *testing.T, members ...int) (*superblock, *machine) {
	t.Helper()
	m := &machine{members: members}
	b, err := newSuperblock(seriesFiles, m, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.slots.add(b.newSlot(testSlot, testOwner)); err != nil {
		t.Fatal(err)
	}
	return b, m
}

func TestSeriesAreListed(t *testing.T) {
	b, m := newMachine(t, 0, 1, 2, 10, lastMember)
	all := fmt.Sprintf("cpu0 cpu1 cpu2 cpu10 cpu%d", lastMember)
	for _, tt := range []struct{ path, want string }{
		{"7.3", ". .. cpu debug"},
		{"7.3/cpu", ". .. online policy late " + all},
		{"7.3/cpu/cpu10", ". .. topology online"},
		{"7.3/cpu/cpu10/topology", ". .. core_id"},
		{"7.3/cpu/policy", ". .. " + strings.ReplaceAll(all, "cpu", "policy")},
		{"7.3/debug", ". .."},
	} {
		for _, size := range []int{40, 64, 4096} {
			entries := b.list(t, b.lookup(t, tt.path).NodeId, size, func() {})
			if got := strings.Join(names(entries), " "); got != tt.want {
				t.Errorf("%s by %d: got %q, want %q", tt.path, size, got, tt.want)
			}
			for _, e := range entries[2:] {
				if child := b.lookup(t, tt.path+"/"+e.Name); child.Ino != e.Ino || child.Mode&syscall.S_IFMT != e.Mode&syscall.S_IFMT {
					t.Errorf("%s is listed as inode %#x type %#o, and is %#x %#o", e.Name, e.Ino, e.Mode, child.Ino, child.Mode)
				}
			}
		}
	}
	for path, parent := range map[string]string{"7.3/cpu/cpu10": "7.3/cpu", "7.3/cpu/cpu10/topology": "7.3/cpu/cpu10"} {
		if dotdot := b.list(t, b.lookup(t, path).NodeId, 4096, func() {})[1]; dotdot.Ino != b.lookup(t, parent).Ino {
			t.Errorf(".. of %s is inode %#x", path, dotdot.Ino)
		}
	}
	m.err = syscall.EIO
	out := fuse.NewDirEntryList(make([]byte, 4096), 0)
	in := &fuse.ReadIn{InHeader: fuse.InHeader{NodeId: b.lookup(t, "7.3/cpu").NodeId}}
	if st := b.ReadDir(nil, in, out); st != fuse.EIO {
		t.Errorf("with unknown members: got %v, want EIO", st)
	}
}

func TestSeriesHaveFilesOfTheirOwn(t *testing.T) {
	b, m := newMachine(t, 0, 1, 10)
	k := connectFake(t, b)
	member := b.lookup(t, "7.3/cpu/cpu10")
	if member.EntryTimeout() != 0 {
		t.Errorf("the kernel keeps a member's name for %v", member.EntryTimeout())
	}
	file := b.lookup(t, "7.3/cpu/cpu10/topology/core_id")
	if file.EntryTimeout() == 0 {
		t.Error("the kernel does not keep the name of a member's file")
	}
	for path, want := range map[string]string{
		"7.3/cpu/cpu10/topology/core_id": "cpu/cpu*/topology/core_id of 10\n",
		"7.3/cpu/cpu0/online":            "cpu/cpu*/online of 0\n",
		"7.3/cpu/online":                 "cpu/online of 0\n",
		"7.3/cpu/policy/policy1/freq":    "cpu/policy/policy*/freq of 1\n",
	} {
		f := k.mustOpen(strings.TrimPrefix(path, "7.3/"))
		if got := f.mustRead(); got != want || strings.Contains(want, "*") && f.flags != fuse.FOPEN_DIRECT_IO {
			t.Errorf("%s: got %q, flags %#x, want %q", path, got, f.flags, want)
		}
	}
	dir := b.lookup(t, "7.3/cpu").NodeId
	for _, name := range []string{"cpu2", "cpu01", "cpu", "cpu-1", "cpu*", "cpu+1", "cpux", "cpu99999999999999999999", "CPU1"} {
		if st := b.Lookup(nil, &fuse.InHeader{NodeId: dir}, name, &fuse.EntryOut{}); st != fuse.ENOENT {
			t.Errorf("%q: got %v, want ENOENT", name, st)
		}
	}
	for _, path := range []string{"hidden", "nothing"} {
		if st := b.Lookup(nil, &fuse.InHeader{NodeId: member.NodeId}, path, &fuse.EntryOut{}); st != fuse.ENOENT {
			t.Errorf("%q: got %v, want ENOENT", path, st)
		}
	}

	open := k.mustOpen("cpu/cpu10/topology/core_id")
	m.members = []int{0}
	if st := b.Lookup(nil, &fuse.InHeader{NodeId: dir}, "cpu10", &fuse.EntryOut{}); st != fuse.ENOENT {
		t.Errorf("a member that went: got %v, want ENOENT", st)
	}
	if _, errno := k.open(file.NodeId, 0); errno != unix.ENODEV {
		t.Errorf("open of its file: got %v, want ENODEV", errno)
	}
	if _, errno := open.read(3, 10); errno != 0 {
		t.Errorf("the rest of an open file: %v", errno)
	}
	m.err = errors.New("no sample")
	if st := b.Lookup(nil, &fuse.InHeader{NodeId: dir}, "cpu0", &fuse.EntryOut{}); st != fuse.EIO {
		t.Errorf("unknown members: got %v, want EIO", st)
	}
}

// Hidden files have the number that they would have, and so do all others.
func TestHiddenFilesKeepTheNumbers(t *testing.T) {
	shown := slices.Clone(seriesFiles)
	for i := range shown {
		shown[i].Hidden = false
	}
	with, err := newTree(shown)
	if err != nil {
		t.Fatal(err)
	}
	without, err := newTree(seriesFiles)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(with.files, without.files) {
		t.Errorf("numbers are %v with and %v without the files", with.files, without.files)
	}
}

func TestSeriesErrors(t *testing.T) {
	for _, path := range []string{"cpu*", "a*/b*/c", "a*b/c", "*a/c", "a/b*"} {
		if _, err := newTree([]File{{Path: path, Mode: 0o444}}); err == nil {
			t.Errorf("%q: no error", path)
		}
	}
}
