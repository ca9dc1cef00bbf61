package vm

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
)

// File is a file of a guest.
type File struct {
	Path string // in the guest
	// Source is the file of the host that it is a copy of. A dynamic executable
	// brings its libraries with it, from below Sysroot, the host's "/" if empty.
	Source  string
	Sysroot string
	Data    []byte // the content, without a Source
	Link    string // target of a symbolic link, with neither
	Mode    os.FileMode
}

// writeInitramfs writes the guest's file system to a file.
func (g *Guest) writeInitramfs(name string) (err error) {
	files, err := g.bootFiles()
	if err != nil {
		return err
	}
	out, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	buf := bufio.NewWriter(out)
	zip, err := gzip.NewWriterLevel(buf, gzip.BestSpeed)
	if err != nil {
		return err
	}
	if err := pack(zip, append(files, g.Files...)); err != nil {
		return err
	}
	return errors.Join(zip.Close(), buf.Flush())
}

// pack writes an archive of files, with their libraries and the directories that
// they are in. Of two files with one path the last is taken.
func pack(w io.Writer, files []File) error {
	tree := map[string]File{}
	for _, f := range files {
		tree[place(f.Path)] = f
		if f.Source == "" {
			continue
		}
		libs, err := libraries(path.Join("/", f.Sysroot), f.Source)
		if err != nil {
			return err
		}
		for at, source := range libs {
			tree[place(at)] = File{Source: source, Mode: 0o755}
		}
	}
	for name := range maps.Clone(tree) {
		for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
			if _, ok := tree[dir]; !ok {
				tree[dir] = File{Mode: os.ModeDir | 0o755}
			}
		}
	}
	c := &cpioWriter{w: w}
	for _, name := range slices.Sorted(maps.Keys(tree)) { // directories come before what is in them
		f := tree[name]
		if err := f.write(c, name); err != nil {
			return err
		}
	}
	return c.close()
}

// place returns the name of a file in the archive. As in Debian /bin, /sbin, /lib
// and /lib64 are links into /usr.
func place(p string) string {
	name := strings.TrimPrefix(path.Clean("/"+p), "/")
	top, rest, below := strings.Cut(name, "/")
	if below && slices.Contains([]string{"bin", "sbin", "lib", "lib64"}, top) {
		return path.Join("usr", top, rest)
	}
	return name
}

func (f *File) write(c *cpioWriter, name string) error {
	switch {
	case f.Mode.IsDir():
		c.addDir(name, uint32(f.Mode.Perm()))
	case f.Link != "":
		c.addSymlink(name, f.Link)
	case f.Source == "":
		c.add(name, typeRegular|uint32(f.Mode.Perm()), int64(len(f.Data)), bytes.NewReader(f.Data))
	default:
		return f.copy(c, name)
	}
	return nil
}

func (f *File) copy(c *cpioWriter, name string) error {
	in, err := os.Open(f.Source)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a regular file", f.Source)
	}
	c.add(name, typeRegular|uint32(f.Mode.Perm()), info.Size(), in)
	return nil
}
