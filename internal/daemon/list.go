package daemon

import (
	"cloister/cgroupview"
	"cloister/internal/api"
)

// list describes the containers for `cloister ps`.
func (r *registry) list() []api.Container {
	out := []api.Container{}
	for _, c := range r.all() {
		c.mu.Lock()
		if c.phase != released {
			out = append(out, c.describe())
		}
		c.mu.Unlock()
	}
	return out
}

// details describes one for `cloister inspect`.
func (r *registry) details(name string) (*api.ContainerDetails, error) {
	c, err := r.find(name)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	d := &api.ContainerDetails{
		Container: c.describe(), Key: c.key(), State: c.phase.String(), Bundle: c.Bundle,
		RuntimeRoot: c.RuntimeRoot, Cgroups: c.Cgroups, SharesWith: []string{},
	}
	if c.phase >= starting {
		d.ViewsPath = r.views.path(c.Slot)
	}
	ids := c.IDs
	c.mu.Unlock()
	for _, other := range r.all() {
		other.mu.Lock()
		if other != c && other.IDs == ids {
			d.SharesWith = append(d.SharesWith, other.ID)
		}
		other.mu.Unlock()
	}
	return d, nil
}

// describe returns what is public. Preconditions: c.mu is held.
func (c *container) describe() api.Container {
	return api.Container{
		ID: c.ID, Name: c.Name, PID: c.Init.PID, UIDStart: c.IDs.Start, Size: c.IDs.Size,
		Engine: c.Engine, Runtime: c.Runtime, Cgroup: cgroupName(c.Cgroups),
		CreatedAt: c.CreatedAt, Views: absolute(c.Views),
	}
}

// cgroupName returns one path for people to look at: that of the unified hierarchy
// where containers are in it, else that of the memory controller.
func cgroupName(p cgroupview.Paths) string {
	if p.Unified != "" && p.Unified != "/" {
		return p.Unified
	}
	return p.V1["memory"]
}
