// Package hostpath tells where a file of the host really is, however it is
// named: through symbolic links, through bind mounts, or as a part of a directory
// that holds it.
//
// A place is two things: the path without links in this mount namespace, and the
// file system with the path inside it. Two places with one file system and one
// path in it are the same directory, mounted twice. Files are opened once, with
// O_PATH, and everything that is said of them later is said of that descriptor.
package hostpath

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/moby/sys/mountinfo"

	"cloister/internal/sys"
)

// Device is the number of a file system, as mountinfo shows it. (That of stat(2)
// differs on btrfs, where each subvolume has its own.)
type Device struct{ Major, Minor int }

// Place is where a file is.
type Place struct {
	Path   string // in this mount namespace, without symbolic links
	Device Device
	Inside string // the path inside the file system
	FSType string
}

// Contains reports whether other is p itself or below it, by either name.
func (p *Place) Contains(other *Place) bool {
	return within(other.Path, p.Path) || p.Device == other.Device && within(other.Inside, p.Inside)
}

// LeadsTo reports whether other is below p with no other mount in between, so that
// by its name and by its identity it is the same part of p.
func (p *Place) LeadsTo(other *Place) bool {
	return within(other.Path, p.Path) && p.Device == other.Device &&
		other.Inside == filepath.Join(p.Inside, strings.TrimPrefix(other.Path, p.Path))
}

// Overlaps reports whether one of two places is the other or holds it: by their
// names in this mount namespace, and by where they are in their file system.
func (p *Place) Overlaps(other *Place) (byName, byIdentity bool) {
	return within(p.Path, other.Path) || within(other.Path, p.Path),
		p.Device == other.Device && (within(p.Inside, other.Inside) || within(other.Inside, p.Inside))
}

// within reports whether path is dir or below it.
func within(path, dir string) bool {
	return path == dir || strings.HasPrefix(path, strings.TrimSuffix(dir, "/")+"/")
}

// Table is the mount table of the calling thread's mount namespace.
type Table struct{ mounts []*mountinfo.Info }

// ReadTable reads the mount table.
func ReadTable() (*Table, error) {
	mounts, err := mountinfo.GetMounts(nil)
	if err != nil {
		return nil, fmt.Errorf("read mount table: %w", err)
	}
	return &Table{mounts}, nil
}

// File is an opened file of the host.
type File struct {
	*sys.FD
	Place
	Stat       sys.Stat
	MountPoint bool // a mount begins here
}

// Close closes the file; closing none is no error.
func (f *File) Close() error {
	if f == nil {
		return nil
	}
	return f.FD.Close()
}

// Open opens the file at path, which may lead through symbolic links.
func (t *Table) Open(path string) (*File, error) {
	fd, err := sys.OpenPath(path)
	if err != nil {
		return nil, err
	}
	f, err := t.locate(fd)
	if err != nil {
		_ = fd.Close()
		return nil, fmt.Errorf("locate %s: %w", path, err)
	}
	return f, nil
}

func (t *Table) locate(fd *sys.FD) (*File, error) {
	f := &File{FD: fd}
	var err error
	if f.Stat, err = fd.Stat(); err != nil {
		return nil, err
	}
	if f.Path, err = fd.RealPath(); err != nil {
		return nil, err
	}
	id, err := fd.MountID()
	if err != nil {
		return nil, err
	}
	m := t.byID(id)
	if m == nil || !within(f.Path, m.Mountpoint) {
		return nil, fmt.Errorf("%q is in no mount of this mount namespace", f.Path)
	}
	f.Device = Device{m.Major, m.Minor}
	f.FSType = m.FSType
	f.Inside = filepath.Join(m.Root, strings.TrimPrefix(f.Path, m.Mountpoint))
	f.MountPoint = f.Path == m.Mountpoint
	return f, nil
}

// Place returns where path is or, if there is nothing at path, where it would be.
func (t *Table) Place(path string) Place {
	if f, err := t.Open(path); err == nil {
		_ = f.Close()
		return f.Place
	}
	parent := t.Place(filepath.Dir(path)) // the root can be opened
	name := filepath.Base(path)
	parent.Path, parent.Inside = filepath.Join(parent.Path, name), filepath.Join(parent.Inside, name)
	return parent
}

func (t *Table) byID(id int) *mountinfo.Info {
	for _, m := range t.mounts {
		if m.ID == id {
			return m
		}
	}
	return nil
}

// Mount returns the mount through which f was opened.
func (t *Table) Mount(f *File) (*mountinfo.Info, error) {
	id, err := f.MountID()
	if err != nil {
		return nil, err
	}
	if m := t.byID(id); m != nil {
		return m, nil
	}
	return nil, fmt.Errorf("mount of %s is in no mount table", f.Path)
}

// MountedElsewhere reports whether the file system of f is mounted at another place
// than where f is.
func (t *Table) MountedElsewhere(f *File) bool {
	for _, m := range t.mounts {
		if (Device{m.Major, m.Minor}) == f.Device && m.Mountpoint != f.Path {
			return true
		}
	}
	return false
}

// Below returns the places of all mounts below f: a recursive bind of f brings
// them along.
func (t *Table) Below(f *File) []Place {
	var out []Place
	for _, m := range t.mounts {
		if m.Mountpoint != f.Path && within(m.Mountpoint, f.Path) {
			out = append(out, Place{Path: m.Mountpoint, Device: Device{m.Major, m.Minor}, Inside: m.Root, FSType: m.FSType})
		}
	}
	return out
}
