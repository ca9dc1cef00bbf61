// Package sealed makes mounts of proc and sysfs that carry over-mounts which nobody in
// a container can take away: the views, and what hides or protects the host's.
//
// The kernel does the guarding. A tree of mounts that arrives, by propagation, in a
// mount namespace of another user namespace has its inner mounts locked: they can't be
// unmounted, moved or made writable one by one, here or wherever the tree is copied,
// and a namespace that has only such a proc or sysfs may mount no other
// (mount_too_revealing in fs/namespace.c).
package sealed

// View is a file or directory to put over one of the container's.
type View struct {
	// Source is where it is, in the daemon's mount namespace.
	Source string `json:"source"`
	// Path is where it goes, without the slash before: "proc/meminfo".
	Path string `json:"path"`
	// Writable tells that the container may write to it.
	Writable bool `json:"writable,omitempty"`
}

// Plan is what is over a container's proc and sysfs. What the kernel does not have is
// left out.
type Plan struct {
	Views []View `json:"views"`
	// Masked are paths, written like those of views, that show nothing: an empty
	// directory or device.
	Masked []string `json:"masked,omitempty"`
	// ReadOnly are paths that can't be written to, with all below them.
	ReadOnly []string `json:"readOnly,omitempty"`
}
