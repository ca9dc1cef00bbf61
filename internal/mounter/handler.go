package mounter

import (
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"cloister/internal/seccomp"
	"cloister/internal/sys"
)

// Handler answers mount(2) and umount2(2).
//
// Besides the kernel's own errors a caller can get EBUSY, if as many calls of its
// container as are served at a time wait for file systems that don't answer, and EIO, if
// its own does or for what is not its fault.
type Handler struct {
	Mounter *Mounter
	Source  Source
}

// Serve is of seccomp.Handler. What it leaves to the kernel is safe whatever the caller
// makes of the memory meanwhile: the kernel lets nobody in a container have a new proc or
// sysfs, nor a part of one without what is locked on it.
func (h *Handler) Serve(r *seccomp.Request) seccomp.Answer {
	answer, err := h.serve(r)
	switch {
	case err == nil:
		return answer
	case errors.Is(err, seccomp.ErrGone), r.Valid() != nil:
		return seccomp.Failed(seccomp.ErrGone)
	}
	return seccomp.Failed(err)
}

// The calls that it answers, as seccomp.Request has their names, besides the umount(2) of
// old ABIs.
const (
	callMount   = "mount"
	callUmount2 = "umount2"
)

// mount(2)'s arguments.
const (
	argSource = iota
	argTarget
	argType
	argFlags
	argData
)

func (h *Handler) serve(r *seccomp.Request) (seccomp.Answer, error) {
	if r.Call == callMount && r.Noted() == 0 {
		// Who mounts the same on top of itself, at once, gets one mount. A second umount2 is
		// more likely that of a caller who unmounts all there is.
		n, err := r.Answered()
		if err != nil {
			return seccomp.Answer{}, err
		}
		r.Note(n)
	}
	q := &request{Container: r.Container, Noted: r.Noted()}
	ours, err := read(r, q)
	var errno unix.Errno
	switch {
	case errors.As(err, &errno):
		return seccomp.Errno(errno), nil
	case err != nil:
		return seccomp.Answer{}, err
	case !ours:
		return seccomp.Continue(), nil
	}
	return h.ask(r, q)
}

// read reads the arguments of what may have to be served.
func read(r *seccomp.Request, q *request) (ours bool, err error) {
	if r.Call != callMount {
		return readUnmount(r, q)
	}
	q.Flags = r.Args[argFlags]
	switch operationOf(q.Flags) {
	case newMount:
		return readNew(r, q)
	case bind:
		return readBind(r, q)
	case remount:
		return readRemount(r, q)
	}
	return false, nil
}

// readNew reads the arguments of a new mount, in the kernel's order, if it is one of a
// proc or sysfs.
func readNew(r *seccomp.Request, q *request) (ours bool, err error) {
	if r.Args[argType] == 0 {
		return false, nil
	}
	q.Type, err = r.ReadString(r.Args[argType], len(typeSysfs)+1)
	if errors.Is(err, unix.ENAMETOOLONG) {
		return false, nil // another type
	}
	if err != nil || q.Type != typeProc && q.Type != typeSysfs {
		return false, err
	}
	if addr := r.Args[argData]; addr != 0 {
		q.Data = make([]byte, os.Getpagesize()-1) // the kernel overwrites the last byte
		n, err := r.ReadMemory(addr, q.Data)
		if err != nil && (n == 0 || !errors.Is(err, unix.EFAULT)) {
			return false, err
		}
		q.Data = q.Data[:n]
	}
	target, err := r.ReadString(r.Args[argTarget], unix.PathMax)
	q.Target = []byte(target)
	return true, err
}

// readBind reads those of a bind, if its source may be of a proc or sysfs. The kernel
// refuses a source and a target that can't be read.
func readBind(r *seccomp.Request, q *request) (ours bool, err error) {
	q.Bind = true
	if q.Source, err = readPath(r, argSource); err != nil || len(q.Source) == 0 {
		return false, err
	}
	if source := string(q.Source); !namesKernelFiles(source) {
		if may, err := mayBeSealed(r, source); err != nil || !may {
			return false, err
		}
	}
	q.Target, err = readPath(r, argTarget)
	return len(q.Target) > 0, err
}

// namesKernelFiles goes by the words of a path: programs bind a lot, and what the mounter
// is asked takes much longer. A relative path says too little.
func namesKernelFiles(p string) bool {
	if !path.IsAbs(p) {
		return true
	}
	parts := strings.Split(p, "/")
	return slices.Contains(parts, "proc") || slices.Contains(parts, "sys")
}

// readPath returns nothing for what can't be read.
func readPath(r *seccomp.Request, arg int) ([]byte, error) {
	if r.Args[arg] == 0 {
		return nil, nil
	}
	text, err := r.ReadString(r.Args[arg], unix.PathMax)
	if errors.Is(err, unix.EFAULT) || errors.Is(err, unix.ENAMETOOLONG) {
		return nil, nil
	}
	return []byte(text), err
}

// ask has the mounter serve the request.
func (h *Handler) ask(r *seccomp.Request, q *request) (seccomp.Answer, error) {
	proc, err := r.ProcDir()
	if err != nil {
		return seccomp.Answer{}, err
	}
	defer proc.Close()
	if q.Type != "" {
		if q.Facts, err = h.facts(r, proc); err != nil {
			return seccomp.Answer{}, err
		}
	}
	q.Timeout = min(time.Until(r.Deadline), serviceLimit)
	answer, err := h.Mounter.mount(q, proc, func(id uint64) error {
		// The mounter has looked at the caller meanwhile. If that waits still, it was the
		// caller: one that was interrupted may have become another program, with other rights.
		if err := r.Valid(); err != nil {
			return err
		}
		r.Note(id)
		return nil
	})
	switch {
	case err != nil:
		return seccomp.Answer{}, err
	case answer.Continue:
		return seccomp.Continue(), nil
	case answer.Errno == unix.EIO && answer.Error != "":
		return seccomp.Answer{}, errors.New(answer.Error)
	case answer.Errno != 0:
		return seccomp.Errno(answer.Errno), nil
	}
	return seccomp.Return(0), nil
}

func (h *Handler) facts(r *seccomp.Request, proc *sys.FD) (*Facts, error) {
	pid, err := sys.OpenNamespaceAt(proc, "pid")
	if err != nil {
		return nil, err
	}
	defer pid.Close()
	f, err := h.Source.Facts(r.Container, pid.ID(), r.TID)
	if err == nil {
		err = r.Valid()
	}
	if err != nil {
		return nil, fmt.Errorf("what a new mount of container %s carries: %w", r.Container, err)
	}
	return f, nil
}
