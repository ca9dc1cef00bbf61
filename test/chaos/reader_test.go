//go:build chaos

package chaos

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// hang is when a read counts as one that never ends.
	hang = 10 * time.Second
	// noticed is how long a call takes that is told of.
	noticed = 5 * time.Millisecond
	// pause is between two reads: the readers are to be many, and not to be all that
	// the CPUs do.
	pause = 2 * time.Millisecond
	// kept is how many files a reader has open.
	kept = 6
)

// report is what a reader tells.
type report struct {
	Stall   *stall `json:",omitempty"`
	Failure string `json:",omitempty"`
	Hung    bool   `json:",omitempty"` // that is what the failure is
	Tally   *tally `json:",omitempty"` // the last one
}

// stall is a system call that took long.
type stall struct {
	Begin, End time.Time
	What       string
}

// tally is what a reader has done.
type tally struct {
	Reads, Calls, Injected int // Injected: reads that ended with an injected error
}

// reader reads the files of all containers in all ways.
type reader struct {
	*rand.Rand
	containers []*container
	fresh      map[*container]*seen
	open       [kept]*keptFile
	tally      tally

	mu   sync.Mutex // for out
	out  *json.Encoder
	what atomic.Pointer[stall] // that is under way, or nil
	last string                // what was called last
}

// keptFile is one that stays open.
type keptFile struct {
	*file
	container *container
	fd        int
	seen      *seen
}

// readerMain is the main function of a reader: it reads the containers from its standard
// input, and files until that ends.
func readerMain(seed string) int {
	n, err := strconv.ParseUint(seed, 10, 64)
	if err != nil {
		return 2
	}
	r := &reader{Rand: rand.New(rand.NewPCG(n, n)), fresh: map[*container]*seen{}, out: json.NewEncoder(os.Stdout)}
	in := json.NewDecoder(os.Stdin)
	if err := in.Decode(&r.containers); err != nil {
		return 2
	}
	for _, c := range r.containers {
		r.fresh[c] = newSeen()
	}
	var stopped atomic.Bool
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		stopped.Store(true)
	}()
	go r.watch()
	for !stopped.Load() {
		r.round(n%8 == 0)
		time.Sleep(pause) // sixteen readers leave the CPUs to others now and then
	}
	r.tell(report{Tally: &r.tally})
	return 0
}

func (r *reader) tell(t report) {
	r.mu.Lock()
	defer r.mu.Unlock()
	_ = r.out.Encode(t) // if nobody listens, all ends
}

// watch tells of a call that does not end.
func (r *reader) watch() {
	for range time.Tick(time.Second) {
		if s := r.what.Load(); s != nil && time.Since(s.Begin) > hang {
			stacks := ""
			all, _ := filepath.Glob("/proc/self/task/*/stack")
			for _, path := range all {
				text, _ := os.ReadFile(path) // the thread may be gone
				stacks += path + "\n" + string(text)
			}
			r.tell(report{Hung: true, Failure: s.What + " hangs\n" + stacks})
			return
		}
	}
}

// call measures a system call.
func (r *reader) call(what string, call func() (int, error)) (int, error) {
	s := &stall{Begin: time.Now(), What: what}
	r.last = what
	r.what.Store(s)
	n, err := call()
	r.what.Store(nil)
	r.tally.Calls++
	if s.End = time.Now(); s.End.Sub(s.Begin) > noticed {
		r.tell(report{Stall: s})
	}
	return n, err
}

// round reads one file of one container in one way.
func (r *reader) round(inside bool) {
	c, f := r.containers[r.IntN(len(r.containers))], &files[r.IntN(len(files))]
	var text []byte
	var err error
	s := r.fresh[c]
	switch way := r.IntN(10); {
	case inside && way == 0: // cat calls sendfile(2), which may get what a kept file has
		text, err = r.cat(c, f)
		s = newSeen()
	case way < 5:
		text, err = r.openAndRead(c, f)
	default:
		k := &r.open[r.IntN(kept)]
		if *k == nil || way == 9 {
			err = r.exchange(k, c, f)
		}
		if err == nil {
			c, f, s = (*k).container, (*k).file, (*k).seen
			text, err = r.readAgain(*k)
		}
	}
	r.tally.Reads++
	if err == nil {
		err = f.checkText(text, c, s)
	} else if f.panics && errors.Is(err, syscall.EIO) {
		r.tally.Injected++
		return
	}
	if err != nil {
		r.tell(report{Failure: fmt.Sprintf("%s: %s of %s: %v; last call: %s; got %q", time.Now().Format(time.StampMilli), f.path, c.ID, err, r.last, text)})
	}
}

func (f *file) of(c *container) string { return fmt.Sprintf("/proc/%d/root/%s", c.PID, f.path) }

func (r *reader) openFile(c *container, f *file) (int, error) {
	path := f.of(c)
	return r.call("open "+path, func() (int, error) {
		return syscall.Open(path, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	})
}

// openAndRead does what cat does.
func (r *reader) openAndRead(c *container, f *file) ([]byte, error) {
	fd, err := r.openFile(c, f)
	if err != nil {
		return nil, fmt.Errorf("open: %w", err)
	}
	text, err := r.readAll(f.of(c), func(buf []byte, _ int) (int, error) { return syscall.Read(fd, buf) })
	return text, errors.Join(err, syscall.Close(fd))
}

// chunks are the sizes of the readers' buffers.
var chunks = []int{65536, 65536, 4096, 4096, 512, 512, 512, 1}

// readAll reads to the end, in chunks of one size.
func (r *reader) readAll(what string, read func(buf []byte, at int) (int, error)) ([]byte, error) {
	buf := make([]byte, chunks[r.IntN(len(chunks))])
	what = fmt.Sprintf("read %d of %s", len(buf), what)
	var text []byte
	for {
		n, err := r.call(what, func() (int, error) { return read(buf, len(text)) })
		if err != nil {
			return text, fmt.Errorf("read %d at %d: %w", len(buf), len(text), err)
		}
		if n == 0 {
			return text, nil
		}
		text = append(text, buf[:n]...)
	}
}

// exchange closes a kept file and opens another in its place.
func (r *reader) exchange(k **keptFile, c *container, f *file) error {
	if *k != nil {
		if err := syscall.Close((*k).fd); err != nil {
			return fmt.Errorf("close: %w", err)
		}
		*k = nil
	}
	fd, err := r.openFile(c, f)
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	*k = &keptFile{file: f, container: c, fd: fd, seen: newSeen()}
	return nil
}

// readAgain reads a file that is open from its beginning.
func (r *reader) readAgain(k *keptFile) ([]byte, error) {
	what := k.of(k.container) + ", kept open"
	if r.IntN(2) == 0 {
		return r.readAll(what, func(buf []byte, at int) (int, error) { return syscall.Pread(k.fd, buf, int64(at)) })
	}
	if _, err := syscall.Seek(k.fd, 0, io.SeekStart); err != nil {
		return nil, fmt.Errorf("lseek: %w", err)
	}
	return r.readAll(what, func(buf []byte, _ int) (int, error) { return syscall.Read(k.fd, buf) })
}

// cat has a program in the container read.
func (r *reader) cat(c *container, f *file) (text []byte, err error) {
	cmd := exec.Command("nsenter", "-t", strconv.Itoa(c.PID), "-m", "-p", "-r", "/bin/cat", "/"+f.path)
	text, err = cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		err = fmt.Errorf("%w: %s", err, exit.Stderr)
		if f.panics {
			err = errors.Join(err, syscall.EIO)
		}
	}
	return text, err
}
