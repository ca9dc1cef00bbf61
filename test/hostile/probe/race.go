package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// race makes calls whose strings and structures another thread changes meanwhile, and looks
// each time whether something came of it that no call may do. It begins in a mount
// namespace of its own and prints what it has seen.
func race(args []string) error {
	flags := flag.NewFlagSet("race", flag.ContinueOnError)
	rounds := flags.Int("rounds", 1000, "for all games together")
	total := flags.String("total", "", "MemTotal of the container")
	if err := flags.Parse(args); err != nil {
		return err
	}
	r := &racer{total: *total, Answers: map[string]int{}}
	var err error
	if r.memory, err = lowMemory(4096); err != nil {
		return err
	}
	if r.kept, err = currentFlags("/rw"); err != nil {
		return err
	}
	if err := os.MkdirAll(raceTarget, 0o755); err != nil {
		return err
	}
	for _, g := range games {
		if err := r.play(g, *rounds/len(games)); err != nil {
			return fmt.Errorf("%s: %w", g.name, err)
		}
	}
	r.finish()
	return json.NewEncoder(os.Stdout).Encode(r)
}

// raceTarget is what is mounted on.
const raceTarget = "/tmp/race"

// racer counts answers by game and errno, and remembers what must not be.
type racer struct {
	Answers map[string]int
	Wrong   []string
	memory  memory
	total   string
	kept    uintptr // flags of /rw, which a remount must not clear
}

// slot is one of the places in the memory that calls point to and the flipper changes, two
// texts of at most 16 bytes with their ends.
type slot struct{ one, other string }

// Offsets of the slots in the memory.
const (
	sourceAt = 0
	targetAt = 64
	typeAt   = 128
	attrAt   = 192 // a struct mount_attr
)

// game is a call and what changes during it.
type game struct {
	name                   string
	source, target, fstype slot
	flags                  uintptr
	attr                   [2]uint64 // of mount_attr.attr_clr
	call                   func(r *racer, g *game) error
}

var games = []game{
	{name: "type", source: slot{"none", "none"}, target: slot{raceTarget, raceTarget}, fstype: slot{"tmpfs", "proc"}, call: mountIn(native)},
	{name: "type, i386", source: slot{"none", "none"}, target: slot{raceTarget, raceTarget}, fstype: slot{"tmpfs", "proc"}, call: mountIn(i386)},
	{name: "other type", source: slot{"none", "none"}, target: slot{raceTarget, raceTarget}, fstype: slot{"proc", "sysfs"}, call: mountIn(native)},
	{name: "target", source: slot{"none", "none"}, target: slot{raceTarget, "/ro"}, fstype: slot{"proc", "proc"}, call: mountIn(native)},
	{name: "source of a copy", source: slot{"/etc", "/proc"}, target: slot{raceTarget, raceTarget}, flags: unix.MS_BIND, call: mountIn(native)},
	{name: "source of a copy, i386", source: slot{"/proc/sys", "/etc"}, target: slot{raceTarget, raceTarget}, flags: unix.MS_BIND, call: mountIn(i386)},
	{name: "remount", target: slot{"/rw", "/ro"}, flags: unix.MS_REMOUNT | unix.MS_BIND, call: mountIn(native)},
	{name: "remount, i386", target: slot{"/rw", "/ro"}, flags: unix.MS_REMOUNT | unix.MS_BIND, call: mountIn(i386)},
	{name: "unmount", target: slot{"/tmp", "/proc/meminfo"}, call: unmountIt},
	{name: "mount_setattr", target: slot{"/rw", "/ro"}, attr: [2]uint64{0, unix.MOUNT_ATTR_RDONLY}, call: setattrIt},
}

func mountIn(a abi) func(*racer, *game) error {
	return func(r *racer, g *game) error {
		base := r.memory.address()
		flags := g.flags
		if flags&unix.MS_REMOUNT != 0 {
			flags |= r.kept
		}
		_, err := a.call(callMount, base+sourceAt, base+targetAt, base+typeAt, uint64(flags), 0)
		return err
	}
}

func unmountIt(r *racer, _ *game) error {
	_, err := native.call(callUmount, r.memory.address()+targetAt, 0)
	return err
}

func setattrIt(r *racer, _ *game) error {
	base := uintptr(r.memory.address())
	_, _, errno := unix.Syscall6(unix.SYS_MOUNT_SETATTR, atFDCWD, base+targetAt, 0, base+attrAt, unsafe.Sizeof(unix.MountAttr{}), 0)
	if errno != 0 {
		return errno
	}
	return nil
}

const atFDCWD = ^uintptr(99)

// play makes the calls of a game while another thread flips.
func (r *racer) play(g game, rounds int) error {
	clear(r.memory)
	var stop atomic.Bool
	done := make(chan struct{})
	go func() {
		defer close(done)
		for n := 0; !stop.Load(); n++ {
			r.flip(&g, n)
		}
	}()
	defer func() { stop.Store(true); <-done }()
	for range rounds {
		err := g.call(r, &g)
		r.Answers[g.name+": "+answer(err)]++
		if err := r.look(&g); err != nil {
			return err
		}
	}
	return nil
}

// flip writes one or the other, eight bytes at a time: other threads see a text change
// at once, or torn in the middle.
func (r *racer) flip(g *game, n int) {
	for at, s := range map[int]slot{sourceAt: g.source, targetAt: g.target, typeAt: g.fstype} {
		text := s.one
		if n%2 == 1 {
			text = s.other
		}
		var bytes [24]byte
		copy(bytes[:], text)
		for i := 0; i < len(bytes); i += 8 {
			r.store(at+i, *(*uint64)(unsafe.Pointer(&bytes[i])))
		}
	}
	r.store(attrAt+8, g.attr[n%2]) // attr_clr
}

func (r *racer) store(at int, v uint64) {
	atomic.StoreUint64((*uint64)(unsafe.Pointer(&r.memory[at])), v)
}

// look checks what a round has left, and takes it away.
func (r *racer) look(g *game) error {
	for _, dir := range []string{raceTarget, "/ro"} {
		for {
			var s unix.Statfs_t
			if err := unix.Statfs(dir, &s); err != nil {
				return err
			}
			if s.Type != unix.PROC_SUPER_MAGIC && s.Type != unix.SYSFS_MAGIC {
				break
			}
			r.naked(g, dir, s.Type)
			if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
				return fmt.Errorf("%s: %w", dir, err)
			}
		}
	}
	if err := open("/ro/written", unix.O_CREAT|unix.O_WRONLY); !errors.Is(err, unix.EROFS) {
		r.wrong(g, "/ro: %v", err)
	}
	for unix.Unmount(raceTarget, unix.MNT_DETACH) == nil {
	}
	return nil
}

// naked tells whether a proc or sysfs shows the host.
func (r *racer) naked(g *game, dir string, kind int64) {
	if kind == unix.PROC_SUPER_MAGIC {
		file := dir + "/meminfo"
		if _, err := os.Stat(file); errors.Is(err, os.ErrNotExist) {
			if err := open(dir+"/kernel/core_pattern", unix.O_WRONLY|unix.O_APPEND); err == nil { // a copy of /proc/sys
				r.wrong(g, "core_pattern can be written")
			}
			return
		}
		if got, err := total(nil, []string{file}); err != nil || got != r.total {
			r.wrong(g, "%s: %s, %v", file, got, err)
		}
		return
	}
	if points, err := mountsBelow(dir); err != nil || len(points) == 0 {
		r.wrong(g, "a sysfs without views: %v", err)
	}
}

func (r *racer) wrong(g *game, format string, a ...any) {
	if len(r.Wrong) < 20 {
		r.Wrong = append(r.Wrong, g.name+": "+fmt.Sprintf(format, a...))
	}
}

// finish looks at all mounts.
func (r *racer) finish() {
	g := &game{name: "after all"}
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		r.wrong(g, "%v", err)
	}
	for line := range strings.Lines(string(text)) {
		mount, fs, _ := strings.Cut(line, " - ")
		fields := strings.Fields(mount)
		if strings.HasPrefix(fs, "proc ") && fields[3] == "/" {
			r.naked(g, fields[4], unix.PROC_SUPER_MAGIC)
		}
	}
	if points, err := mountsBelow("/proc"); err != nil || len(points) == 0 {
		r.wrong(g, "nothing is over /proc any more: %v", err)
	}
}
