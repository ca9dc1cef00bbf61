package fstest

import (
	"bytes"
	"errors"
	"io"
	"os"
	"runtime/debug"

	"golang.org/x/sys/unix"
)

// kernelHabits are those that are more than reads into a buffer.
var kernelHabits = []Habit{
	{Name: "readv", read: readVector},
	{Name: "sendfile", Refusable: true, read: viaPipe(sendfile)},
	{Name: "splice", Refusable: true, read: viaPipe(splice)},
	{Name: "mmap shared", Refusable: true, read: mapped(unix.MAP_SHARED)},
	{Name: "mmap private", Refusable: true, read: mapped(unix.MAP_PRIVATE)},
	{Name: "io_uring", Refusable: true, read: readUring},
	{Name: "drop and read", read: dropAndRead},
	{Name: "read ahead", read: readAhead},
}

// refused is true of the errors that have programs fall back to read(2).
func refused(err error) bool {
	return errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENODEV) || errors.Is(err, ErrNoUring)
}

func readVector(f File, between func() error) ([]byte, error) {
	fd := int(f.(Descriptor))
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	return chunks(700, between, func(buf []byte, _ int64) (int, error) {
		return transferred("readv", func() (int, error) {
			return unix.Readv(fd, [][]byte{buf[:100], buf[100:101], buf[101:]})
		})
	})
}

// viaPipe reads through a pipe, which move moves pages of the file to.
func viaPipe(move func(pipe, file int, offset *int64) (int, error)) func(File, func() error) ([]byte, error) {
	return func(f File, between func() error) ([]byte, error) {
		r, w, err := os.Pipe()
		if err != nil {
			return nil, err
		}
		defer r.Close()
		defer w.Close()
		return chunks(pipeChunk, between, func(buf []byte, offset int64) (int, error) {
			n, err := transferred("move to a pipe", func() (int, error) { return move(int(w.Fd()), int(f.(Descriptor)), &offset) })
			if err != nil {
				return 0, err
			}
			return io.ReadFull(r, buf[:n])
		})
	}
}

// pipeChunk fits into any pipe.
const pipeChunk = 4096

func sendfile(pipe, file int, offset *int64) (int, error) {
	return unix.Sendfile(pipe, file, offset, pipeChunk)
}

func splice(pipe, file int, offset *int64) (int, error) {
	n, err := unix.Splice(file, offset, pipe, nil, pipeChunk, 0)
	return int(n), err
}

// mapped reads a mapping as long as the file is said to be. Beyond what it has there
// are zeros.
func mapped(flags int) func(File, func() error) ([]byte, error) {
	return func(f File, between func() error) (content []byte, err error) {
		var st unix.Stat_t
		if err := unix.Fstat(int(f.(Descriptor)), &st); err != nil {
			return nil, os.NewSyscallError("fstat", err)
		}
		mapping, err := unix.Mmap(int(f.(Descriptor)), 0, int(st.Size), unix.PROT_READ, flags)
		if err != nil {
			return nil, os.NewSyscallError("mmap", err)
		}
		defer func() { err = errors.Join(err, unix.Munmap(mapping)) }()
		content, err = touch(mapping)
		return bytes.TrimRight(content, "\x00"), errors.Join(err, between())
	}
}

// touch copies a mapping, of which SIGBUS is an error and not the end.
func touch(mapping []byte) (content []byte, err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if v := recover(); v != nil {
			err = errors.New("SIGBUS")
		}
	}()
	return bytes.Clone(mapping), nil
}

// dropAndRead has the kernel drop the file's pages before each chunk.
func dropAndRead(f File, between func() error) ([]byte, error) {
	drop := func() error { return unix.Fadvise(int(f.(Descriptor)), 0, 0, unix.FADV_DONTNEED) }
	if err := drop(); err != nil {
		return nil, os.NewSyscallError("fadvise", err)
	}
	return readBy(512)(f, func() error { return errors.Join(between(), drop()) })
}

// readAhead has the kernel read what is not asked for yet.
func readAhead(f File, between func() error) ([]byte, error) {
	if err := unix.Fadvise(int(f.(Descriptor)), 0, 0, unix.FADV_WILLNEED); err != nil {
		return nil, os.NewSyscallError("fadvise", err)
	}
	return readBy(512)(f, between)
}
