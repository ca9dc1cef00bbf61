package fs

import (
	"errors"
	"fmt"
	"path/filepath"
	"sync"
)

// Options of a Server. The zero value is valid.
type Options struct {
	// Writer takes what is written to files. Without one the superblock is
	// read-only.
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
	closeOnce sync.Once
	closeErr  error
}

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
	dev, err := connect(dir, sb)
	if err != nil {
		_, undo := unmountStack(dir, anyServer)
		return nil, errors.Join(err, undo)
	}
	return &Server{dir: dir, sb: sb, dev: dev}, nil
}

func connect(dir string, sb *superblock) (*device, error) {
	file, err := mountFUSE(dir, sb.writer != nil)
	if err != nil {
		return nil, err
	}
	dev := newDevice(file, sb, sb.panicked)
	dev.join(sb)
	if err := dev.start(); err != nil {
		file.Close()
		return nil, fmt.Errorf("mount at %s: %w", dir, err)
	}
	return dev, nil
}

// join lets the two call each other.
func (d *device) join(sb *superblock) {
	sb.attrChanged, sb.wake = d.invalAttr, d.wakePoller
	if sb.writer != nil {
		d.poll = sb.poll
	}
}

func anyServer(string) error { return nil }

// Add makes the directory of the slot appear, with files that belong to owner.
func (s *Server) Add(slot Slot, owner Owner) error {
	return s.sb.slots.add(newSlot(slot, owner, len(s.sb.files)))
}

// Remove makes the slot's directory disappear. Files that are still open answer
// EIO, and an open through a bind mount that is still there ESTALE. The kernel
// may know the directory's name for a moment longer.
func (s *Server) Remove(slot Slot) {
	if s.sb.slots.remove(slot) {
		s.dev.forget(slot.String())
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
// that were running have ended.
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
	return s.dev.close()
}
