package cgroupview

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// Watcher tells when what a cgroup may use of CPUs, memory and its nodes has been
// written to, in the cgroup or above it, so that nobody needs to read it again and
// again. It has one inotify descriptor, and on each directory one watch, whatever the
// number of cgroups that it is above.
//
// What changes without a write below these directories raises no event: that CPUs go
// offline, and that a cgroup beside becomes a partition. TopCPUs tells of both, where
// the partition is made of the CPUs of all. The kernel does not tell, either, that a
// cgroup has been removed: its watches stay until the Watch is closed.
type Watcher struct {
	events *os.File      // of inotify
	done   chan struct{} // closed when nothing is called any more

	mu   sync.Mutex
	fd   int              // of events, which knows it but takes it out of non-blocking mode; guarded by mu
	dirs map[int][]*Watch // by watch descriptor; guarded by mu; nil after Close
}

// Watch is what a Watcher does for one cgroup.
type Watch struct {
	watcher     *Watcher
	changed     func()
	descriptors []int // no kernel uses one twice; guarded by watcher.mu
}

// watchedFiles are those that decide on CPUs, memory and its nodes and can be written to.
var watchedFiles = map[string]bool{
	"memory.max": true, "memory.high": true, "memory.swap.max": true,
	"memory.limit_in_bytes": true, "memory.soft_limit_in_bytes": true, "memory.memsw.limit_in_bytes": true,
	"cpu.max": true, "cpu.cfs_quota_us": true, "cpu.cfs_period_us": true,
	"cpuset.cpus": true, "cpuset.mems": true, "cpuset.cpus.exclusive": true, "cpuset.cpus.partition": true,
	"cgroup.subtree_control": true, // gives and takes all of them
}

// NewWatcher returns a Watcher, whose goroutine runs until Close.
func NewWatcher() (*Watcher, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		if errors.Is(err, unix.EMFILE) {
			err = fmt.Errorf("raise fs.inotify.max_user_instances: %w", err)
		}
		return nil, fmt.Errorf("watch cgroups: %w", err)
	}
	w := &Watcher{events: os.NewFile(uintptr(fd), "inotify"), done: make(chan struct{}), fd: fd, dirs: map[int][]*Watch{}}
	go w.run()
	return w, nil
}

// Add has changed called after each write, or after several in a row. It is also called
// if events have been lost. It must not wait for anything, nor use the Watcher, and may
// be called before Add returns. If the kernel has no watches left the error wraps
// ENOSPC.
func (w *Watcher) Add(g *Group, changed func()) (*Watch, error) {
	watch := &Watch{watcher: w, changed: changed}
	w.mu.Lock() // so that no event is missed, and no directory's last watch is just going
	defer w.mu.Unlock()
	if w.dirs == nil {
		return nil, os.ErrClosed
	}
	for _, d := range g.limits {
		if err := watch.add(d); err != nil {
			watch.remove()
			return nil, fmt.Errorf("watch cgroup %s: %w", d.path, err)
		}
	}
	return watch, nil
}

// add watches one directory and those above it that can carry limits. Precondition:
// watcher.mu is held.
func (x *Watch) add(d *dir) error {
	const events = unix.IN_MODIFY | unix.IN_ONLYDIR
	cgroup, err := d.handle()
	if err != nil {
		return err
	}
	defer unix.Close(cgroup)
	self := "/proc/self/fd/" + strconv.Itoa(cgroup)
	for level := range d.levels {
		wd, err := unix.InotifyAddWatch(x.watcher.fd, self+strings.Repeat("/..", level), events)
		if errors.Is(err, unix.ENOSPC) {
			err = fmt.Errorf("raise fs.inotify.max_user_watches: %w", err)
		}
		if err != nil {
			return err
		}
		x.descriptors = append(x.descriptors, wd)
		x.watcher.dirs[wd] = append(x.watcher.dirs[wd], x)
	}
	return nil
}

// Close ends the watch: changed is not called any more.
func (x *Watch) Close() {
	x.watcher.mu.Lock()
	defer x.watcher.mu.Unlock()
	x.remove()
}

// remove lets go of the directories. Precondition: watcher.mu is held.
func (x *Watch) remove() {
	w := x.watcher
	for _, wd := range x.descriptors {
		others := slices.DeleteFunc(w.dirs[wd], func(y *Watch) bool { return x == y })
		if len(others) > 0 {
			w.dirs[wd] = others
			continue
		}
		if _, ok := w.dirs[wd]; ok { // the kernel has not let go of it by itself
			_, _ = unix.InotifyRmWatch(w.fd, uint32(wd)) // fails only if it has by now
			delete(w.dirs, wd)
		}
	}
	x.descriptors = nil
}

func (w *Watcher) run() {
	defer close(w.done)
	buf := make([]byte, 16<<10)
	for {
		n, err := w.events.Read(buf)
		if err != nil { // closed: there is no other
			return
		}
		w.dispatch(buf[:n])
	}
}

// dispatch calls those whom events are about.
func (w *Watcher) dispatch(events []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(events) >= unix.SizeofInotifyEvent {
		wd := int(int32(binary.NativeEndian.Uint32(events)))
		mask := binary.NativeEndian.Uint32(events[4:])
		size := unix.SizeofInotifyEvent + int(binary.NativeEndian.Uint32(events[12:]))
		name := bytes.TrimRight(events[unix.SizeofInotifyEvent:size], "\x00")
		events = events[size:]
		switch {
		case mask&unix.IN_Q_OVERFLOW != 0:
			w.callAll()
		case mask&unix.IN_IGNORED != 0: // the directory is gone
			delete(w.dirs, wd)
		case watchedFiles[string(name)]:
			call(w.dirs[wd])
		}
	}
}

// callAll calls everybody, at times more than once. Precondition: mu is held.
func (w *Watcher) callAll() {
	for _, watches := range w.dirs {
		call(watches)
	}
}

func call(watches []*Watch) {
	for _, x := range watches {
		x.changed()
	}
}

// Close ends all watches, and waits for a call that is running.
func (w *Watcher) Close() {
	w.mu.Lock()
	w.dirs = nil
	w.mu.Unlock()
	_ = w.events.Close() // nothing is written to it
	<-w.done
}
