// Package mounter serves the mount(2) calls of containers that need more than the
// kernel's own answer: a new proc or sysfs is given what the container's first one
// carries, a bind of one takes along what is locked on it, and a change of flags that is
// to make a mount read-only leaves those alone that are locked.
//
// It has three parts. The handler, in the daemon, reads a trapped call and sorts out what
// is of no concern. The mounter is a child process of the daemon, so that no namespace
// and no mount of a container gets in the daemon's way; it owns the workshop of package
// sealed. Paths are looked up, and mounts attached, by a process without a program for
// each call, that has become the caller: its namespaces, root, ids and capabilities
// (sys.Stub). Thus the kernel itself decides what the caller may reach and do, and a file
// system that never answers, which may be the container's own, holds up nobody else.
//
// Sockets that i386 programs ask for by socketcall(2) are made the same way.
package mounter

import (
	"cloister/internal/sealed"
	"cloister/internal/sys"
)

// Facts are what new mounts of a caller carry.
type Facts struct {
	Plan sealed.Plan `json:"plan"`
	// Key names the plan: within a container, what has the same key has the same plan.
	Key string `json:"key"`
	// ProcReadOnly and SysReadOnly tell that the container's first proc or sysfs is
	// read-only. A new one then is so as well.
	ProcReadOnly bool `json:"procReadOnly,omitempty"`
	SysReadOnly  bool `json:"sysReadOnly,omitempty"`
	// User and Net are the container's own namespaces. Who has CAP_SYS_ADMIN in User may
	// mount the sysfs of Net, also if an engine has made that on the host.
	User sys.FileID `json:"user"`
	Net  sys.FileID `json:"net"`
}

// Source knows the facts. The daemon implements it.
type Source interface {
	// Facts returns those for a thread of a container, whose pid namespace is given. The
	// thread's number is the host's, and may be another's by now: who asks finds out
	// before it makes use of them.
	Facts(container string, pidns sys.FileID, tid int) (*Facts, error)
}
