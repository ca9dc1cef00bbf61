package emul

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// Render appends the content of a file to dst; member is 0 for a file that is in no
// series. The error wraps cgroupview.ErrGone if the container's cgroup has been
// removed, ErrNoMember if it has no such member, and os.ErrClosed after Close; dst is then
// returned as it was.
func (c *Container) Render(dst []byte, id FileID, member int) ([]byte, error) {
	f, err := lookup(id)
	if err != nil {
		return dst, err
	}
	out, err := c.render(dst, id, f, member)
	if err != nil {
		return dst, fmt.Errorf("render %s: %w", f.Path, err)
	}
	return out, nil
}

func (c *Container) render(dst []byte, id FileID, f *File, member int) ([]byte, error) {
	if f.Dir {
		return dst, unix.EISDIR
	}
	if f.group != nil {
		return c.renderGroup(dst, f)
	}
	in := input{now: c.host.now(), member: member}
	if err := c.refresh(in.now); err != nil {
		return dst, err
	}
	if f.nodes {
		c.sampling.Lock() // the view stays the same meanwhile
		defer c.sampling.Unlock()
		if err := c.locateMemory(in.now); err != nil {
			return dst, err
		}
		in.nodes = &c.nodes
	}
	if err := c.readOrigin(&in, id, f); err != nil {
		return dst, err
	}
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.view.render(dst, f, in), nil
}

// TryRender is Render for a caller that others wait for. It waits for nothing: it makes
// no system call, takes no lock that is held meanwhile, and allocates nothing as long as
// dst has room for the content. Where that is not enough, ok is false, dst is
// returned as it was, and Render tells the content or why there is none.
//
// It is enough for files that are rendered from a sample, while there is one that is
// fresh. Right after a Render there mostly is.
func (c *Container) TryRender(dst []byte, id FileID, member int) (content []byte, ok bool) {
	if !id.known() {
		return dst, false
	}
	f := &files[id]
	in := input{now: c.host.now(), member: member}
	if f.render == nil || f.nodes || !c.fresh(in.now) || !c.mu.TryRLock() {
		return dst, false
	}
	defer c.mu.RUnlock()
	if in.number, ok = c.view.number(f.series, member); !ok {
		return dst, false
	}
	if in.host, ok = c.host.origins.fresh(id, in.number, in.now); !ok {
		return dst, false
	}
	return c.view.render(dst, f, in), true
}

func (v *view) render(dst []byte, f *File, in input) []byte {
	in.now = max(in.now, v.at)
	return f.render(dst, v, in)
}

// readOrigin sets what the host calls the member, and the content of the file's origin.
func (c *Container) readOrigin(in *input, id FileID, f *File) (err error) {
	var ok bool
	c.mu.RLock()
	in.number, ok = c.view.number(f.series, in.member)
	c.mu.RUnlock()
	if !ok {
		return ErrNoMember
	}
	in.host, err = c.host.origins.get(id, in.number, in.now)
	if f.series != noSeries && errors.Is(err, fs.ErrNotExist) { // not all have what the first has
		return ErrNoMember
	}
	return err
}

// renderGroup renders from the container's cgroup itself.
func (c *Container) renderGroup(dst []byte, f *File) ([]byte, error) {
	c.sampling.Lock()
	defer c.sampling.Unlock()
	if c.closed {
		return dst, os.ErrClosed
	}
	return f.group(dst, c.group)
}

// Members returns the members, in rising order, of the series that a file is in; nil
// for one that is in none.
func (c *Container) Members(id FileID) ([]int, error) {
	f, err := lookup(id)
	if err != nil {
		return nil, err
	}
	if err := c.refresh(c.host.now()); err != nil {
		return nil, fmt.Errorf("list %s: %w", f.Path, err)
	}
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.view.members(f.series), nil
}
