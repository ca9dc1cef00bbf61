package mounter

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"cloister/internal/sys"
)

func TestOperationOf(t *testing.T) {
	for _, test := range []struct {
		flags uint64
		want  operation
	}{
		{0, newMount},
		{unix.MS_RDONLY | unix.MS_NOSUID | unix.MS_NOATIME | unix.MS_LAZYTIME, newMount},
		{0xc0ed0000, newMount},
		{0xc0ed0000 | unix.MS_BIND, bind},
		{0xc0ee0000, other}, // not the magic value: MS_PRIVATE is in it
		{1 << 31, other},
		{1<<40 | unix.MS_RDONLY, newMount},
		{unix.MS_BIND, bind},
		{unix.MS_BIND | unix.MS_RDONLY | unix.MS_MOVE | unix.MS_SHARED, bind},
		{unix.MS_BIND | unix.MS_REC, other},
		{unix.MS_REC, newMount},
		{unix.MS_REMOUNT, other},
		{unix.MS_REMOUNT | unix.MS_BIND, remount},
		{unix.MS_REMOUNT | unix.MS_BIND | unix.MS_REC | unix.MS_MOVE, remount},
		{unix.MS_REMOUNT | unix.MS_BIND | 1<<31, other},
		{unix.MS_PRIVATE, other},
		{unix.MS_UNBINDABLE | unix.MS_REC, other},
		{unix.MS_MOVE, other},
	} {
		if got := operationOf(test.flags); got != test.want {
			t.Errorf("%#x: got %d, want %d", test.flags, got, test.want)
		}
	}
}

func TestAttributes(t *testing.T) {
	for _, test := range []struct {
		flags uint64
		want  sys.Attr
	}{
		{0, 0},
		{0xc0ed0000 | unix.MS_RDONLY, sys.ReadOnly},
		{unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC, sys.NoSUID | sys.NoDev | sys.NoExec},
		{unix.MS_NOATIME | unix.MS_NODIRATIME, sys.NoAtime | sys.NoDirAtime},
		{unix.MS_NOATIME | unix.MS_STRICTATIME, sys.StrictAtime},
		{unix.MS_RELATIME | unix.MS_NOSYMFOLLOW, sys.NoSymFollow},
	} {
		if got := attributes(test.flags); got != test.want {
			t.Errorf("%#x: got %#x, want %#x", test.flags, got, test.want)
		}
	}
}

func TestChangesOf(t *testing.T) {
	const none, relatime = 0, unix.MS_RELATIME
	kept := sys.NoSUID | sys.NoDev | sys.NoExec
	atime := sys.AtimeModes | sys.NoDirAtime
	for _, test := range []struct {
		flags uint64
		want  []attrChange
	}{
		{none, nil}, // nothing that could be kept in spite of it
		{relatime, nil},
		{unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC, nil}, // the kernel's answer is the best
		{unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC | unix.MS_RDONLY, nil},
		{unix.MS_RDONLY, []attrChange{
			{sys.ReadOnly, kept | sys.NoSymFollow},
			{sys.ReadOnly, sys.NoSymFollow},
		}},
		{unix.MS_NODEV, []attrChange{
			{sys.NoDev, sys.ReadOnly | sys.NoSUID | sys.NoExec | sys.NoSymFollow},
			{sys.NoDev, sys.ReadOnly | sys.NoSymFollow},
		}},
		{unix.MS_RDONLY | unix.MS_NOATIME | unix.MS_NOSYMFOLLOW, []attrChange{
			{sys.ReadOnly | sys.NoAtime | sys.NoSymFollow, kept | atime},
			{sys.ReadOnly | sys.NoAtime | sys.NoSymFollow, atime},
			{sys.ReadOnly | sys.NoSymFollow, 0},
		}},
		{unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC | relatime, []attrChange{
			{kept, atime | sys.ReadOnly | sys.NoSymFollow},
			{kept, atime | sys.ReadOnly | sys.NoSymFollow},
			{kept, sys.ReadOnly | sys.NoSymFollow},
		}},
	} {
		if got := changesOf(test.flags); !slices.Equal(got, test.want) {
			t.Errorf("%#x: got %#x, want %#x", test.flags, got, test.want)
		}
	}
}

func groupOf(id uint32) (uint32, bool) { return id + 1000, id < 100 }

func TestParseOptions(t *testing.T) {
	for _, test := range []struct {
		fstype, data string
		want         options
		err          error
	}{
		{typeProc, "", options{}, nil},
		{typeProc, ",,=x,", options{}, nil},
		{typeProc, "hidepid=2\x00,nonsense", options{list: [][2]string{{"hidepid", "2"}}}, nil},
		{typeProc, "ro,hidepid=1,rw", options{list: [][2]string{{"hidepid", "1"}}}, nil},
		{typeProc, "subset=pid", options{}, unix.EINVAL},
		{typeProc, "rw,ro", options{readOnly: true}, nil},
		{typeProc, "gid=5,gid=0x10,gid=010,gid=+7", options{list: [][2]string{
			{"gid", "1005"}, {"gid", "1016"}, {"gid", "1008"}, {"gid", "1007"},
		}}, nil},
		{typeProc, "gid=100", options{}, unix.EINVAL},
		{typeProc, "gid=", options{}, unix.EINVAL},
		{typeProc, "gid=-1", options{}, unix.EINVAL},
		{typeProc, "gid=1_0", options{}, unix.EINVAL},
		{typeProc, "gid=09", options{}, unix.EINVAL},
		{typeProc, "gid", options{}, unix.EINVAL},
		{typeProc, "pidns=/proc/1/ns/pid", options{}, unix.EINVAL},
		{typeProc, "source=x", options{}, unix.EINVAL},
		{typeSysfs, "hidepid=2", options{}, unix.EINVAL},
		{typeSysfs, "sync,ro", options{readOnly: true}, nil},
	} {
		got, err := parseOptions(test.fstype, []byte(test.data), groupOf)
		if !errors.Is(err, test.err) || !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s %q: got %+v, %v, want %+v, %v", test.fstype, test.data, got, err, test.want, test.err)
		}
	}
}

// FuzzParseOptions: only what is listed goes to the kernel, and nothing that would split.
func FuzzParseOptions(f *testing.F) {
	f.Add("hidepid=2,gid=5", true)
	f.Add("ro,hidepid=1\x00", true)
	f.Add("pidns=/proc/1/ns/pid", false)
	f.Fuzz(func(t *testing.T, data string, proc bool) {
		fstype := typeSysfs
		if proc {
			fstype = typeProc
		}
		o, err := parseOptions(fstype, []byte(data), groupOf)
		if err != nil && (!errors.Is(err, unix.EINVAL) || len(o.list) > 0) {
			t.Fatalf("%+v, %v", o, err)
		}
		for _, item := range o.list {
			if !proc || !slices.Contains(procOptions, item[0]) || strings.ContainsAny(item[1], ",\x00") {
				t.Fatalf("option %q", item)
			}
		}
	})
}

func TestNext(t *testing.T) {
	for path, want := range map[string][2]string{
		"":         {"", ""},
		"a":        {"a", ""},
		"a/":       {"a", "."},
		"a//":      {"a", "."},
		"a/b":      {"a", "b"},
		"a///b//c": {"a", "b//c"},
		".":        {".", ""},
		"./":       {".", ""},
		"./.":      {".", ""},
		"../a":     {"..", "a"},
	} {
		if name, rest := next(path); name != want[0] || rest != want[1] {
			t.Errorf("%q: got %q, %q, want %q", path, name, rest, want)
		}
	}
}

// FuzzNext: a path comes to its end.
func FuzzNext(f *testing.F) {
	f.Add("/a/../b/./c/")
	f.Fuzz(func(t *testing.T, path string) {
		rest := strings.TrimLeft(path, "/")
		for range len(path) + 1 {
			if rest == "" {
				return
			}
			name := ""
			if name, rest = next(rest); name == "" || strings.Contains(name, "/") || strings.HasPrefix(rest, "/") {
				t.Fatalf("%q: component %q, then %q", path, name, rest)
			}
		}
		t.Fatalf("%q has no end", path)
	})
}

const statusText = `Name:	sh
Umask:	0022
Tgid:	70
Ngid:	0
Pid:	71
Uid:	100000	100001	100002	100003
Gid:	200000	200001	200002	200003
Groups:	1 2 100000 
NSpid:	71	3
CapInh:	0000000000000000
CapPrm:	000001ffffffffff
CapEff:	0000000000200000
`

func TestParseStatus(t *testing.T) {
	got, err := parseStatus([]byte(statusText))
	want := status{
		Identity: sys.Identity{
			UID: [4]uint32{100000, 100001, 100002, 100003}, GID: [4]uint32{200000, 200001, 200002, 200003},
			Groups: []uint32{1, 2, 100000}, Permitted: 0x1ffffffffff, Effective: 1 << unix.CAP_SYS_ADMIN,
		},
		tgid: 70, tid: 71,
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	for _, wrong := range []string{
		"", strings.Replace(statusText, "CapEff", "Cap", 1), strings.Replace(statusText, "100003", "", 1),
		strings.Replace(statusText, "Tgid:\t70", "Tgid:\tx", 1), statusText + "Pid:\t1\n",
	} {
		if got, err := parseStatus([]byte(wrong)); !errors.Is(err, errStatus) {
			t.Errorf("%q: got %+v, %v", wrong, got, err)
		}
	}
}

func FuzzParseStatus(f *testing.F) {
	f.Add([]byte(statusText))
	f.Fuzz(func(t *testing.T, text []byte) {
		if s, err := parseStatus(text); err != nil && !reflect.DeepEqual(s, status{}) {
			t.Fatalf("%+v with %v", s, err)
		}
	})
}

func TestMapping(t *testing.T) {
	m, err := parseMapping([]byte("         0     100000      65536\n 70000 4294967290 5\n"))
	if err != nil {
		t.Fatal(err)
	}
	for id, want := range map[uint32]uint32{0: 100000, 65535: 165535, 70004: 4294967294} {
		if got, ok := m.outside(id); !ok || got != want {
			t.Errorf("%d: got %d, %v, want %d", id, got, ok, want)
		}
	}
	for _, id := range []uint32{65536, 69999, 70005, 1<<32 - 1} {
		if got, ok := m.outside(id); ok {
			t.Errorf("%d: got %d, want none", id, got)
		}
	}
	for _, wrong := range []string{"0 1\n", "x 0 1\n", "0 0 4294967296\n"} {
		if _, err := parseMapping([]byte(wrong)); err == nil {
			t.Errorf("%q was taken", wrong)
		}
	}
}

func TestHasAdmin(t *testing.T) {
	const admin, others = 1 << unix.CAP_SYS_ADMIN, 1 << unix.CAP_NET_ADMIN
	// inner was made by user 7 of outer, and outer by user 0 of the first.
	first, outer, inner := userns{id: sys.FileID{Ino: 1}}, userns{id: sys.FileID{Ino: 2}}, userns{id: sys.FileID{Ino: 3}, owner: 7}
	other := sys.FileID{Ino: 4}
	for _, test := range []struct {
		what      string
		member    sys.FileID
		uid       uint32
		effective uint64
		chain     []userns
		want      bool
	}{
		{"a member", inner.id, 9, admin, []userns{inner, outer, first}, true},
		{"a member without", inner.id, 0, others, []userns{inner, outer, first}, false},
		{"of the parent", outer.id, 9, admin, []userns{inner, outer, first}, true},
		{"of the parent without", outer.id, 9, others, []userns{inner, outer, first}, false},
		{"the maker", outer.id, 7, 0, []userns{inner, outer, first}, true},
		{"the maker's number elsewhere", first.id, 7, 0, []userns{inner, outer, first}, false},
		{"the maker of the parent", first.id, 0, 0, []userns{inner, outer, first}, true},
		{"of a child", inner.id, 0, admin, []userns{outer, first}, false},
		{"of another", other, 7, admin, []userns{inner, outer, first}, false},
	} {
		if got := hasAdmin(test.member, test.uid, test.effective, test.chain); got != test.want {
			t.Errorf("%s: got %v", test.what, got)
		}
	}
}

func TestNamesKernelFiles(t *testing.T) {
	for path, want := range map[string]bool{
		"/proc": true, "/proc/": true, "/target/proc/sys": true, "/sys/fs": true, "/proc/self/fd/3": true,
		"proc": true, ".": true, "/": false, "/usr": false, "/process": false, "/var/lib/docker": false,
	} {
		if got := namesKernelFiles(path); got != want {
			t.Errorf("%q: %v, want %v", path, got, want)
		}
	}
}
