package daemon

import (
	"cloister/internal/mounter"
	"cloister/internal/sys"
)

// Facts implements mounter.Source: a new proc or sysfs carries what the container's first
// one does, with the views of the inner container that the thread is in, if it is in one.
func (r *registry) Facts(key string, _ sys.FileID, tid int) (*mounter.Facts, error) {
	slot, views, err := r.viewsFor(key, tid)
	if err != nil {
		return nil, err
	}
	c, err := r.get(key)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	init := c.Init.PID
	f := &mounter.Facts{
		Plan: replan(c.Views, c.Plan, views), Key: slot.String(),
		ProcReadOnly: c.ProcReadOnly, SysReadOnly: c.SysReadOnly,
	}
	c.mu.Unlock()
	if f.User, err = namespaceOf(init, "user"); err != nil {
		return nil, err
	}
	f.Net, err = namespaceOf(init, "net")
	return f, err
}
