package cgroupview

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// Tasks appends the thread ids in the cgroup and in all cgroups below it to
// dst, as numbers of the calling process' pid namespace and in no particular
// order. limit bounds the work: neither more ids nor more cgroups than that are
// looked at, and all is false if there may be more. Tasks returns ErrGone if the
// cgroup has been removed and ErrNoCgroup if it is the root of every hierarchy.
func (g *Group) Tasks(dst []int, limit int) (ids []int, all bool, err error) {
	return g.walk(dst, limit, limit)
}

// Populated reports whether there is a task in the cgroup or below it. Its
// errors are those of Tasks.
func (g *Group) Populated() (bool, error) {
	const unbounded = int(^uint(0) >> 1)
	found, _, err := g.walk(nil, 1, unbounded)
	return len(found) > 0, err
}

// walk visits the cgroup and then the ones below, level by level.
func (g *Group) walk(dst []int, maxIDs, maxCgroups int) (ids []int, all bool, err error) {
	if g.tasks == nil {
		return dst, false, fmt.Errorf("list tasks: %w", ErrNoCgroup)
	}
	cgroup, err := g.tasks.handle()
	if err != nil {
		return dst, false, fmt.Errorf("list tasks: %w", err)
	}
	defer unix.Close(cgroup)
	end := len(dst) + maxIDs
	queue := []string{"."}
	i := 0
	for ; i < len(queue) && i < maxCgroups && len(dst) < end; i++ {
		dst, err = g.tasks.threads(cgroup, queue[i], dst, end)
		if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENODEV) {
			if i == 0 {
				return dst, false, fmt.Errorf("list tasks of %s: %w", g.tasks.path, ErrGone)
			}
			continue // a cgroup below was removed under our eyes
		}
		if err == nil {
			queue, err = children(cgroup, queue[i], queue)
		}
		if err != nil {
			return dst, false, fmt.Errorf("list tasks of %s/%s: %w", g.tasks.path, queue[i], err)
		}
	}
	return dst, i == len(queue) && len(dst) < end, nil
}

// threads appends the thread ids in the cgroup rel below another until dst has end
// elements.
func (d *dir) threads(cgroup int, rel string, dst []int, end int) ([]int, error) {
	name := "tasks"
	if d.v2 {
		name = "cgroup.threads"
	}
	fd, err := openat(cgroup, rel+"/"+name, 0)
	if err != nil {
		return dst, err
	}
	defer unix.Close(fd)
	return scanInts(fdReader(fd), dst, end)
}

// children appends the cgroups directly below rel, which is below cgroup. A directory without any,
// which has two links, is not listed: it has some fifty files.
func children(cgroup int, rel string, dst []string) ([]string, error) {
	var st unix.Stat_t
	if err := unix.Fstatat(cgroup, rel, &st, 0); err != nil || st.Nlink == 2 {
		return dst, ignoreGone(err)
	}
	fd, err := openat(cgroup, rel, unix.O_DIRECTORY)
	if err != nil {
		return dst, ignoreGone(err)
	}
	f := os.NewFile(uintptr(fd), rel)
	defer f.Close()
	entries, err := f.ReadDir(-1)
	for _, e := range entries {
		if e.IsDir() {
			dst = append(dst, rel+"/"+e.Name())
		}
	}
	return dst, ignoreGone(err)
}

// fdReader reads from a descriptor.
type fdReader int

func (fd fdReader) Read(b []byte) (int, error) {
	n, err := ignoreEINTR(func() (int, error) { return unix.Read(int(fd), b) })
	if n == 0 && err == nil {
		err = io.EOF
	}
	return max(0, n), err
}

func ignoreGone(err error) error {
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENODEV) {
		return nil
	}
	return err
}

// scanInts appends the numbers, one on each line of r, until dst has end
// elements.
func scanInts(r io.Reader, dst []int, end int) ([]int, error) {
	var buf [4096]byte
	value, digits := 0, false
	for {
		n, err := r.Read(buf[:])
		for _, c := range buf[:n] {
			switch {
			case c >= '0' && c <= '9' && value < 1<<30:
				value, digits = value*10+int(c-'0'), true
			case c == '\n' && digits:
				if len(dst) == end {
					return dst, nil
				}
				dst = append(dst, value)
				value, digits = 0, false
			default:
				return dst, fmt.Errorf("task list: byte %q: %w", c, ErrFormat)
			}
		}
		if errors.Is(err, io.EOF) {
			return dst, nil
		}
		if err != nil {
			return dst, err
		}
	}
}
