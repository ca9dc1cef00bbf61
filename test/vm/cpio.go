package vm

import (
	"bytes"
	"fmt"
	"io"
)

// File types of the mode field, as in stat(2).
const (
	typeDir     = 0o040000
	typeRegular = 0o100000
	typeSymlink = 0o120000
)

// cpioWriter writes an archive in cpio's "newc" format, which is what the kernel
// unpacks: Documentation/driver-api/early-userspace/buffer-format.rst. Everything
// in it belongs to root.
type cpioWriter struct {
	w       io.Writer
	entries int
	err     error // the first one; nothing is written after it
}

// add writes an entry: mode holds its type and permissions, content the file or the
// target of the link.
func (c *cpioWriter) add(name string, mode uint32, size int64, content io.Reader) {
	c.entries++
	if size > 0xffffffff {
		c.fail(fmt.Errorf("%s: %d bytes are too many for cpio", name, size))
	}
	// magic, ino, mode, uid, gid, nlink, mtime, filesize, devmajor, devminor,
	// rdevmajor, rdevminor, namesize, check
	header := fmt.Sprintf("070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x",
		c.entries, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, len(name)+1, 0)
	c.write([]byte(header + name + "\x00"))
	c.pad(len(header) + len(name) + 1)
	if c.err != nil {
		return
	}
	if _, err := io.CopyN(c.w, content, size); err != nil {
		c.fail(fmt.Errorf("copy %d bytes of %s: %w", size, name, err))
	}
	c.pad(int(size % 4))
}

func (c *cpioWriter) addDir(name string, perm uint32) { c.add(name, typeDir|perm, 0, &bytes.Reader{}) }

func (c *cpioWriter) addSymlink(name, target string) {
	c.add(name, typeSymlink|0o777, int64(len(target)), bytes.NewReader([]byte(target)))
}

// close ends the archive and returns the first error.
func (c *cpioWriter) close() error {
	c.add("TRAILER!!!", 0, 0, &bytes.Reader{})
	return c.err
}

// pad fills n bytes up to a multiple of four.
func (c *cpioWriter) pad(n int) { c.write(make([]byte, -n&3)) }

func (c *cpioWriter) write(b []byte) {
	if c.err != nil {
		return
	}
	if _, err := c.w.Write(b); err != nil {
		c.fail(err)
	}
}

func (c *cpioWriter) fail(err error) {
	if c.err == nil {
		c.err = err
	}
}
