package fs

import (
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"

	"cloister/fs/fstest"
)

// versions is a Content that says "v1 ......\n", "v2 ......\n" and so on, or fails.
type versions struct {
	n    int
	fail error
}

func (v *versions) render(dst []byte, _ Slot, _ int) ([]byte, error) {
	if v.fail != nil {
		return nil, v.fail
	}
	v.n++
	return fmt.Appendf(dst, "v%d %s\n", v.n, strings.Repeat(".", 5+v.n%3)), nil
}

// paces are a Content at both paces.
func paces(render renderFunc) map[string]Content {
	return map[string]Content{"quick": quickFunc{render}, "slow": render}
}

func TestSnapshots(t *testing.T) {
	const v1, v2, v3 = "v1 ......\n", "v2 .......\n", "v3 .....\n"
	type read struct {
		offset uint64
		want   string
	}
	for name, reads := range map[string][]read{
		"first read is the open's":     {{0, v1}},
		"the rest is of the same":      {{0, v1}, {3, v1[3:]}, {1, v1[1:]}},
		"offset 0 again is fresh":      {{0, v1}, {0, v2}, {4, v2[4:]}, {0, v3}, {5, v3[5:]}},
		"offset 0 after another one":   {{4, v1[4:]}, {0, v2}},
		"at the end":                   {{uint64(len(v1)), ""}},
		"beyond the end":               {{1 << 40, ""}},
		"at the end, then fresh":       {{0, v1}, {uint64(len(v1)), ""}, {0, v2}},
		"the end of a longer snapshot": {{0, v1}, {0, v2}, {uint64(len(v1)), v2[len(v1):]}, {uint64(len(v2)), ""}},
	} {
		for _, pace := range []string{"quick", "slow"} {
			t.Run(name+", "+pace, func(t *testing.T) {
				f := serveFake(t, paces((&versions{}).render)[pace], Options{Protocol: Direct}).mustOpen("proc/uptime")
				if f.flags != fuse.FOPEN_DIRECT_IO {
					t.Errorf("got flags %#x, want direct i/o", f.flags)
				}
				for i, r := range reads {
					if got, errno := f.read(r.offset, 1<<20); errno != 0 || got != r.want {
						t.Errorf("read %d at %d: got %q, %v, want %q", i, r.offset, got, errno, r.want)
					}
				}
			})
		}
	}
}

func TestSnapshotByteByByte(t *testing.T) {
	content := &editions{}
	f := serveFake(t, content, Options{Protocol: Direct}).mustOpen("proc/uptime")
	for round := range 3 {
		var all []byte
		for {
			piece, errno := f.read(uint64(len(all)), 1)
			if errno != 0 {
				t.Fatal(errno)
			}
			if piece == "" {
				break
			}
			all = append(all, piece...)
			if _, err := content.Render(nil, Slot{}, Ref{}); err != nil { // somebody else's
				t.Fatal(err)
			}
		}
		if _, err := fstest.Parse(all); err != nil {
			t.Errorf("round %d: %v", round, err)
		}
	}
}

func TestSnapshotStaysWhenARenderFails(t *testing.T) {
	v := &versions{}
	k := serveFake(t, renderFunc(v.render), Options{Protocol: Direct})
	f := k.mustOpen("proc/uptime")
	v.fail = syscall.ENODEV
	for _, offset := range []uint64{0, 1} {
		if _, errno := f.read(offset, 100); errno != 0 {
			t.Fatal(errno)
		}
	}
	if _, errno := f.read(0, 100); errno != unix.ENODEV {
		t.Errorf("got %v, want the render's error", errno)
	}
	if got, errno := f.read(3, 100); errno != 0 || got != "......\n" {
		t.Errorf("got %q, %v, want the rest of the first snapshot", got, errno)
	}
	f.release()
	if held := k.held(); held != 0 {
		t.Errorf("%d bytes are held after release", held)
	}
}

func TestBudget(t *testing.T) {
	const mib = 1 << 20
	size := mib
	k := serveFake(t, renderFunc(func(dst []byte, _ Slot, _ int) ([]byte, error) { return append(dst, make([]byte, size)...), nil }), Options{})
	if err := k.b.slots.add(k.b.newSlot(Slot{8, 1}, testOwner)); err != nil {
		t.Fatal(err)
	}
	id := k.lookup("7.3/proc/uptime").NodeId
	var open []openFile
	for {
		f, errno := k.open(id, 0)
		if errno != 0 {
			if errno != unix.ENFILE {
				t.Errorf("got %v, want ENFILE", errno)
			}
			break
		}
		open = append(open, f)
	}
	if want := slotBudget/mib - 1; len(open) != want { // each takes a bit more than its content
		t.Errorf("%d files fit, want %d", len(open), want)
	}
	if _, errno := k.open(k.lookup("8.1/proc/meminfo").NodeId, 0); errno != 0 {
		t.Errorf("another slot: %v", errno)
	}
	for i, tt := range []struct {
		offset uint64
		size   int
		want   unix.Errno
	}{{1, slotBudget, 0}, {0, slotBudget, unix.ENFILE}, {0, slotBudget + 1, unix.ENFILE}, {0, mib, 0}, {0, 5, 0}, {0, 0, 0}, {0, mib, 0}} {
		size = tt.size
		if _, errno := open[0].read(tt.offset, 100); errno != tt.want {
			t.Errorf("read %d: got %v, want %v", i, errno, tt.want)
		}
	}
	for _, f := range open {
		f.release()
		f.release()
	}
	if held := k.held(); held != 0 {
		t.Errorf("%d bytes are still held", held)
	}
}

func TestOpenReadRelease(t *testing.T) {
	k := serveFake(t, renderFunc(hello), Options{Protocol: Direct})
	id := k.lookup("7.3/proc/uptime").NodeId
	f, errno := k.open(id, syscall.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOATIME)
	if errno != 0 {
		t.Fatal(errno)
	}
	const want = "7.3/proc/uptime"
	for _, r := range []struct {
		offset uint64
		size   uint32
		want   string
	}{{0, 3, want[:3]}, {3, 1 << 20, want[3:]}, {uint64(len(want)), 100, ""}, {0, 100, want}} {
		if got, errno := f.read(r.offset, r.size); errno != 0 || got != r.want {
			t.Errorf("read %d at %d: got %q, %v, want %q", r.size, r.offset, got, errno, r.want)
		}
	}
	f.release()
	f.release()
	if held := k.held(); held != 0 {
		t.Errorf("%d bytes are held after release", held)
	}
	if handles, _ := k.d.memory.Used(); handles != 0 {
		t.Errorf("%d files are open after release", handles)
	}
	for _, flags := range []uint32{syscall.O_WRONLY, syscall.O_RDWR} {
		if _, errno := k.open(id, flags); errno != unix.EACCES {
			t.Errorf("flags %#x: got %v, want EACCES", flags, errno)
		}
	}
}

// A file that nothing is known of says what it would if it were opened now.
func TestReadOfAnUnknownFile(t *testing.T) {
	k := serveFake(t, renderFunc(hello), Options{})
	f := openFile{k: k, node: k.lookup("7.3/proc/uptime").NodeId, fh: 1<<32 | 99}
	if got, errno := f.read(4, 4); errno != 0 || got != "proc" {
		t.Errorf("got %q, %v", got, errno)
	}
	if got, errno := f.read(400, 4); errno != 0 || got != "" {
		t.Errorf("beyond the end: got %q, %v", got, errno)
	}
	f.release()
}

func TestSizeFollowsTheContent(t *testing.T) {
	var content []byte
	k := serveFake(t, renderFunc(func(dst []byte, _ Slot, _ int) ([]byte, error) { return append(dst, content...), nil }), Options{Protocol: Direct})
	kept := k.mustOpen("proc/uptime")
	kept.mustRead()
	for i, length := range []int{10, 4096, 4097, 8192, 20_000, 20_000, 100} {
		content = make([]byte, length)
		if i%2 == 0 { // a file that is opened, and one that is read again
			k.mustOpen("proc/uptime").release()
		} else {
			kept.mustRead()
		}
		if got := k.lookup("7.3/proc/uptime"); got.Size < uint64(length) || got.Blksize < uint32(got.Size) || got.Blocks*512 < got.Size {
			t.Errorf("%d bytes: attributes %+v", length, got.Attr)
		}
	}
	if got := k.lookup("7.3/proc/meminfo").Size; got != minSize {
		t.Errorf("another file's size is %d", got)
	}
}

func TestRemovedSlot(t *testing.T) {
	k := serveFake(t, renderFunc(hello), Options{})
	f := k.mustOpen("proc/uptime")
	k.b.slots.remove(testSlot)
	if err := k.b.slots.add(k.b.newSlot(Slot{7, 4}, testOwner)); err != nil {
		t.Fatal(err)
	}
	for _, offset := range []uint64{0, 3} {
		if _, errno := f.read(offset, 10); errno != unix.EIO {
			t.Errorf("read at %d: got %v, want EIO", offset, errno)
		}
	}
	if _, errno := f.readPage(0); errno != unix.EIO {
		t.Errorf("for the page cache: got %v, want EIO", errno)
	}
	if _, errno := k.open(f.node, 0); errno != unix.ESTALE {
		t.Errorf("open: got %v, want ESTALE", errno)
	}
	f.release()
	if handles, _ := k.d.memory.Used(); handles != 0 {
		t.Errorf("%d files are open after release", handles)
	}
	if held := k.b.slots.find(Slot{7, 4}).held.Load(); held != 0 {
		t.Errorf("%d bytes are charged to another slot", held)
	}
}

func TestRenderErrors(t *testing.T) {
	content := renderFunc(func(_ []byte, _ Slot, file int) ([]byte, error) {
		if file == 0 {
			return nil, syscall.ENODEV
		}
		panic("no meminfo")
	})
	reported := make(chan string, 4*slotRenders)
	k := serveFake(t, content, Options{Panicked: func(where string, v any, stack []byte) {
		reported <- where + ": " + v.(string)
		if !strings.Contains(string(stack), "TestRenderErrors") {
			t.Errorf("stack does not show the render: %s", stack)
		}
	}})
	if _, errno := k.open(k.lookup("7.3/proc/meminfo").NodeId, 0); errno != unix.ENODEV {
		t.Errorf("got %v, want ENODEV", errno)
	}
	id := k.lookup("7.3/proc/uptime").NodeId
	for range 2 * slotRenders {
		if _, errno := k.open(id, 0); errno != unix.EIO {
			t.Errorf("got %v, want EIO", errno)
		}
		if got := <-reported; got != "7.3/proc/uptime: no meminfo" {
			t.Errorf("reported %q", got)
		}
	}
	if handles, _ := k.d.memory.Used(); handles != 0 || k.held() != 0 {
		t.Errorf("%d files are open, %d bytes held", handles, k.held())
	}
}

// A Content that returns a slice of its own, and changes it later.
func TestRenderCopiesForeignSlices(t *testing.T) {
	own := []byte("0 shared by all")
	k := serveFake(t, renderFunc(func([]byte, Slot, int) ([]byte, error) {
		own[0]++
		return own, nil
	}), Options{})
	first, second := k.mustOpen("proc/meminfo"), k.mustOpen("proc/uptime")
	for f, want := range map[openFile]string{first: "1 shared by all", second: "2 shared by all"} {
		if got := f.mustRead(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
