package fs

import (
	"fmt"
	"slices"
	"testing"

	"github.com/hanwen/go-fuse/v2/fuse"
)

// list reads a directory in pieces of size bytes.
func (b *superblock) list(t *testing.T, id uint64, size int, between func()) []fuse.DirEntry {
	t.Helper()
	var all []fuse.DirEntry
	for offset := uint64(0); ; {
		out := fuse.NewDirEntryList(make([]byte, size), offset)
		if st := b.ReadDir(nil, &fuse.ReadIn{InHeader: fuse.InHeader{NodeId: id}, Offset: offset}, out); !st.Ok() {
			t.Fatal(st)
		}
		entries, err := fuse.ParseDirEntries(out.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		if len(entries) == 0 {
			return all
		}
		all = append(all, entries...)
		offset = entries[len(entries)-1].Off
		between()
	}
}

func names(entries []fuse.DirEntry) []string {
	var all []string
	for _, e := range entries {
		all = append(all, e.Name)
	}
	return all
}

func TestReadDir(t *testing.T) {
	b := newTestSuperblock(t, renderFunc(hello), Options{})
	for path, want := range map[string][]string{
		"7.3":                        {".", "..", "proc", "sys"},
		"7.3/proc":                   {".", "..", "meminfo", "uptime", "sys"},
		"7.3/proc/sys":               {".", "..", "kernel"},
		"7.3/sys/devices/system/cpu": {".", "..", "online"},
	} {
		for _, size := range []int{32, 64, 4096} {
			t.Run(fmt.Sprint(path, " by ", size), func(t *testing.T) {
				dir := b.lookup(t, path)
				entries := b.list(t, dir.NodeId, size, func() {})
				if got := names(entries); !slices.Equal(got, want) {
					t.Errorf("got %q, want %q", got, want)
				}
				if entries[0].Ino != dir.Ino {
					t.Errorf(". is inode %#x, want %#x", entries[0].Ino, dir.Ino)
				}
				for _, e := range entries[2:] {
					if child := b.lookup(t, path+"/"+e.Name); child.Ino != e.Ino || child.Mode&^0o777 != e.Mode {
						t.Errorf("%s is listed as inode %#x type %#o, and is %#x %#o", e.Name, e.Ino, e.Mode, child.Ino, child.Mode)
					}
				}
			})
		}
	}
	if dotdot := b.list(t, b.lookup(t, "7.3/proc").NodeId, 4096, func() {})[1]; dotdot.Ino != b.lookup(t, "7.3").Ino {
		t.Errorf(".. of proc is inode %#x", dotdot.Ino)
	}
	if dotdot := b.list(t, b.lookup(t, "7.3").NodeId, 4096, func() {})[1]; dotdot.Ino != uint64(rootID) {
		t.Errorf(".. of the slot is inode %#x", dotdot.Ino)
	}
}

// Slots come and go while the root is listed: the others are listed once each.
func TestReadDirOfChangingRoot(t *testing.T) {
	b := newTestSuperblock(t, renderFunc(hello), Options{})
	want := []string{".", "..", "7.3"}
	for i := range uint32(20) {
		id := Slot{Index: 100 + 2*i, Generation: 1}
		want = append(want, id.String())
		if err := b.slots.add(b.newSlot(id, testOwner)); err != nil {
			t.Fatal(err)
		}
	}
	visitor := Slot{Index: 51, Generation: 1}
	entries := b.list(t, uint64(rootID), 64, func() {
		b.slots.remove(visitor)
		visitor.Index += 2
		if err := b.slots.add(b.newSlot(visitor, testOwner)); err != nil {
			t.Fatal(err)
		}
	})
	got := slices.DeleteFunc(names(entries), func(name string) bool {
		id, err := ParseSlot(name)
		return err == nil && id.Index > 50 && id.Index%2 == 1
	})
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
