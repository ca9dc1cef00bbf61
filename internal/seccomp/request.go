package seccomp

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"cloister/internal/sys"
)

// Request is a call that waits for its answer.
type Request struct {
	Container string // as in Listener
	Call      string // the kernel's name, such as "mount"
	ABI       ABI
	TID       int // the calling thread, in this process's pid namespace
	Args      [6]uint64
	// Deadline is when the caller gets EIO if there is no answer.
	Deadline time.Time

	listener *listener
	slot     *slot
	id       uint64
	over     chan struct{} // if somebody waits for its end; guarded by Agent.mu
	answered uint64        // by Answered
	// mu is held while the answer is given: who serves the call closes no listener
	// while the watchdog answers for it.
	mu        sync.Mutex
	responded bool // guarded by mu
}

// ErrGone says that the caller does not wait for the answer any more: it was killed,
// has got a signal, or the deadline is over. What is answered then does not matter.
var ErrGone = errors.New("the caller of the trapped system call waits no more")

// Handler answers a call. It may be called by many goroutines at once. It returns soon
// after the request's deadline whatever the container does, or a place among those of
// the container is taken.
type Handler interface {
	Serve(*Request) Answer
}

// Valid returns nil while the caller waits, or ErrGone. Until then TID was its number,
// so this comes after everything that was got by the number.
func (r *Request) Valid() error {
	err := sys.NotificationValid(r.listener.fd, r.id)
	if errors.Is(err, unix.ENOENT) {
		return ErrGone
	}
	return err
}

// ReadMemory copies the caller's memory as far as there is any. EFAULT comes with
// fewer bytes.
func (r *Request) ReadMemory(addr uint64, buf []byte) (int, error) {
	n, err := sys.ReadProcessMemory(r.TID, addr, buf)
	if gone := r.Valid(); gone != nil {
		return 0, gone
	}
	return n, err
}

// ReadString copies a string that ends with a zero byte, which is one of at most limit
// bytes. It fails with EFAULT, and with ENAMETOOLONG if there is no end.
func (r *Request) ReadString(addr uint64, limit int) (string, error) {
	buf := make([]byte, limit)
	n, err := r.ReadMemory(addr, buf)
	if err != nil && !errors.Is(err, unix.EFAULT) {
		return "", err
	}
	text, whole := cutString(buf[:n])
	switch {
	case whole:
		return text, nil
	case err != nil:
		return "", err
	}
	return "", unix.ENAMETOOLONG
}

// cutString returns what comes before the first zero byte.
func cutString(b []byte) (text string, whole bool) {
	before, _, whole := bytes.Cut(b, []byte{0})
	return string(before), whole
}

// WriteMemory writes to the caller's memory where the caller itself could. EFAULT
// means that it was not all of b.
func (r *Request) WriteMemory(addr uint64, b []byte) error {
	memory, err := sys.OpenProcessMemory(r.TID)
	// While the caller waits its memory is that of its call. From here on it may execute
	// another program, of which none may be written to.
	if gone := r.Valid(); gone != nil {
		return errors.Join(gone, memory.Close())
	}
	if err != nil {
		return err
	}
	if err = r.write(memory, addr, b); errors.Is(err, unix.EFAULT) {
		// A page may have to be fetched by the process itself (userfaultfd(2)), for which
		// only a read waits.
		if _, readErr := r.ReadMemory(addr, make([]byte, len(b))); readErr == nil {
			err = r.write(memory, addr, b)
		}
	}
	return errors.Join(err, memory.Close())
}

// write goes by the mappings that are known of the process. If these say no they may be
// those of its last program, and are looked up again.
func (r *Request) write(memory *sys.ProcessMemory, addr uint64, b []byte) error {
	known := &r.listener.mappings
	if maps := known.take(r.TID); maps != nil {
		if _, err := memory.Write(maps, addr, b); err == nil {
			known.put(r.TID, maps)
			return nil
		}
		_ = maps.Close() // only looked at
	}
	maps, err := sys.OpenMappings(r.TID)
	if err != nil {
		return errors.Join(r.Valid(), err)
	}
	defer known.put(r.TID, maps)
	_, err = memory.Write(maps, addr, b)
	return err
}

// ProcDir opens the caller's directory in /proc. It stays that of this very thread,
// and shows nothing when the thread has ended. The handler closes it.
func (r *Request) ProcDir() (*sys.FD, error) {
	dir, err := sys.Open("/proc/"+strconv.Itoa(r.TID), unix.O_PATH|unix.O_DIRECTORY)
	gone := r.Valid()
	if err == nil && gone == nil {
		return dir, nil
	}
	return nil, errors.Join(gone, err, dir.Close())
}

// statusSet returns a set of bits in the caller's /proc/<tid>/status.
func (r *Request) statusSet(key string) (uint64, error) {
	dir, err := r.ProcDir()
	if err != nil {
		return 0, err
	}
	defer dir.Close() // only read from
	status, err := sys.ReadFileAt(dir, "status")
	if err != nil {
		return 0, errors.Join(r.Valid(), err)
	}
	return setOf(status, key)
}

// setOf finds a set in /proc/<tid>/status. The only text in it that is the thread's own is
// the name in the first line, in which newlines are escaped.
func setOf(status []byte, key string) (uint64, error) {
	_, rest, ok := bytes.Cut(status, []byte("\n"+key+":\t"))
	if !ok {
		return 0, fmt.Errorf("the status of a thread has no %s", key)
	}
	line, _, _ := bytes.Cut(rest, []byte("\n"))
	return strconv.ParseUint(string(line), 16, 64)
}

// Note keeps a number, or 0 for nothing, for who serves the call if this process is killed,
// or the same call if the caller is interrupted and makes it again: what the handler is
// about to do, so that it is not done twice. Valid comes first: of one that was interrupted
// before, the repetition may be over already.
func (r *Request) Note(n uint64) { r.slot.note.Store(n) }

// Noted returns what Note was called with, here, by a predecessor or for the call that
// was interrupted, or 0.
func (r *Request) Noted() uint64 { return r.slot.note.Load() }

// Answered returns what Note was called with for the thread's last call, if that was the
// same and is not long ago, or 0. It has been answered, but the answer may have been lost
// to a signal, which the kernel does not tell: then this is that call made again. It may
// as well be another one, which it is if the process handles no signals.
func (r *Request) Answered() (uint64, error) {
	if r.answered == 0 {
		return 0, nil
	}
	caught, err := r.statusSet("SigCgt")
	if err != nil || caught == 0 {
		return 0, err
	}
	return r.answered, nil
}
