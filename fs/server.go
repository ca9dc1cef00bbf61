package fs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"cloister/fs/memory"
)

// Protocol is how files are served.
type Protocol uint8

const (
	// Exact gives each open file a snapshot of its own. Short ones are read from the
	// kernel's page cache, where they come together with the open.
	Exact Protocol = iota
	// Direct is Exact without the page cache: each read is a request.
	Direct
	// Pushed files are kept by the kernel until Changed says that they are others, or
	// for as long as MaxStale. To open and to read them takes no request.
	Pushed
)

// Options of a Server. The zero value is valid.
type Options struct {
	Protocol Protocol
	// MaxStale is how long the kernel keeps a Pushed file that isn't Stable.
	MaxStale time.Duration
	// Writer takes what is written to files. Without one the superblock is
	// read-only; with one the protocol is Direct.
	Writer Writer
	// Panicked is told of a panic in a render, or elsewhere in the handling of
	// a request; where names the file if it is known. The reader gets EIO.
	Panicked func(where string, value any, stack []byte)
}

type panicFunc = func(where string, value any, stack []byte)

// Server serves a tree at a directory.
type Server struct {
	dir       string
	sb        *superblock
	dev       *device
	conn      Connection
	closeOnce sync.Once
	closeErr  error
}

// Connection is what has to outlive a server for its successor to go on: as long as
// Device is open somewhere, readers wait for one instead of getting an error.
type Connection struct {
	Device *os.File // of /dev/fuse
	Memory *os.File // what the kernel was told, is waiting for, and has open
}

func (c Connection) close() error { return errors.Join(c.Device.Close(), c.Memory.Close()) }

// Mount serves files at dir, an existing directory that belongs to the caller
// alone. Mounts that dead predecessors left there are cleaned up first.
//
// What the kernel calls a file by follows from its place among the files: a list
// that only grows at its end keeps the names that are known already.
func Mount(dir string, files []File, c Content, opts Options) (*Server, error) {
	sb, err := newSuperblock(files, c, opts)
	if err != nil {
		return nil, err
	}
	if err := CleanStale(dir); err != nil {
		return nil, err
	}
	if dir, err = realDir(dir); err != nil {
		return nil, err
	}
	s, err := connect(dir, sb)
	if err != nil {
		_, undo := unmountStack(dir, anyServer)
		return nil, fmt.Errorf("mount at %s: %w", dir, errors.Join(err, undo))
	}
	s.Start()
	return s, nil
}

func connect(dir string, sb *superblock) (*Server, error) {
	var conn Connection
	var err error
	if conn.Memory, err = memory.Create(); err != nil {
		return nil, err
	}
	if conn.Device, err = mountFUSE(dir, sb.writer != nil); err != nil {
		return nil, errors.Join(err, conn.Memory.Close())
	}
	s, err := newServer(dir, conn, sb)
	if err == nil {
		err = s.dev.greet()
	}
	if err != nil {
		return nil, errors.Join(err, conn.close())
	}
	return s, nil
}

// ErrGone is of a connection that the kernel has ended: the mount was taken away, or
// aborted.
var ErrGone = errors.New("connection is gone")

// Resume goes on in the place of a server that is dead, with its connection, which was
// mounted at dir. Serving begins with Start, when the slots have been added that there
// were. The error is ErrGone, or wraps memory.ErrLayout, if there is nothing to go on
// with; the connection is the caller's then.
func Resume(dir string, conn Connection, files []File, c Content, opts Options) (*Server, error) {
	sb, err := newSuperblock(files, c, opts)
	if err != nil {
		return nil, err
	}
	if dir, err = realDir(dir); err != nil {
		return nil, err
	}
	s, err := newServer(dir, conn, sb)
	if err != nil {
		return nil, fmt.Errorf("resume %s: %w", dir, err)
	}
	if err := s.dev.remember(); err != nil {
		return nil, fmt.Errorf("resume %s: %w", dir, errors.Join(err, s.dev.memory.Close()))
	}
	return s, nil
}

func newServer(dir string, conn Connection, sb *superblock) (*Server, error) {
	m, err := memory.Open(conn.Memory)
	if err != nil {
		return nil, err
	}
	return &Server{dir: dir, sb: sb, dev: newDevice(conn.Device, m, sb), conn: conn}, nil
}

// Start begins to serve. It must be called once after Resume.
func (s *Server) Start() { s.dev.start(leaders()) }

// Drop gives up a server that was not started. Its mount stays.
func (s *Server) Drop() {
	_ = s.dev.memory.Close()
	_ = s.conn.close()
}

// Hush must be called before this process executes another program that goes on in its
// place: until then requests are answered, and hardly any waits for the program.
func (s *Server) Hush() { s.dev.hush() }

// Busy returns for how long the requests of all slots have waited for one of them.
func (s *Server) Busy() time.Duration { return s.dev.busy() }

// Connection is for a successor. It is closed by Close.
func (s *Server) Connection() Connection { return s.conn }

// Stats tells what was served.
func (s *Server) Stats() Stats { return s.sb.stats.snapshot() }

func anyServer(string) error { return nil }

// Add makes the directory of the slot appear, with files that belong to owner.
func (s *Server) Add(slot Slot, owner Owner) error {
	if err := s.sb.slots.add(s.sb.newSlot(slot, owner)); err != nil {
		return err
	}
	s.relisted()
	return nil
}

// relisted has a listing of the root that the kernel keeps made anew.
func (s *Server) relisted() {
	if s.sb.pushed() {
		s.dev.tell(notice{pages: place{id: rootID}})
	}
}

// Remove makes the slot's directory disappear. Files that are still open answer
// EIO, and an open through a bind mount that is still there ESTALE. The kernel
// may know the directory's name for a moment longer.
func (s *Server) Remove(slot Slot) {
	found := s.sb.slots.find(slot)
	if !s.sb.slots.remove(slot) {
		return
	}
	s.dev.tell(notice{name: slot.String()})
	s.relisted()
	if s.sb.pushed() {
		s.dev.changes.add(found)
	}
}

// Changed says that the Stable files of a slot are others now. It waits for nothing.
func (s *Server) Changed(slot Slot) {
	if found := s.sb.slots.find(slot); found != nil && s.sb.pushed() {
		s.dev.changes.add(found)
	}
}

// Path returns where the slot's files are.
func (s *Server) Path(slot Slot) string {
	return filepath.Join(s.dir, slot.String())
}

// Done is closed when nothing is served any more: after Close, or because the
// mount was taken away from outside.
func (s *Server) Done() <-chan struct{} { return s.dev.done }

// Close unmounts and aborts the connection: all readers get an error at once,
// and so do bind mounts of the files wherever they are. It returns when renders
// that were running have ended, or with an error if that takes too long.
func (s *Server) Close() error {
	s.closeOnce.Do(func() { s.closeErr = s.shutDown() })
	return s.closeErr
}

func (s *Server) shutDown() error {
	aborted, err := unmountStack(s.dir, anyServer)
	if err == nil && aborted == 0 {
		// Someone else unmounted dir. What bind mounts keep alive then has no
		// mount point to abort it by, and ends with the process.
		select {
		case <-s.dev.done:
		default:
			err = errors.New("mount is gone, its bind mounts are not")
		}
	}
	if err != nil {
		return fmt.Errorf("unmount %s: %w", s.dir, err)
	}
	return s.dev.close(s.conn.close)
}
