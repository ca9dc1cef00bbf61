package mounter

import (
	"golang.org/x/sys/unix"

	"cloister/internal/sys"
)

// operation is what mount(2) is asked for.
type operation int

const (
	other operation = iota // or nothing that is valid: the kernel answers
	newMount
	bind    // of one mount, without those below it
	remount // change the flags of one mount
)

const (
	magicMask  = 0xffff0000 // MS_MGC_MSK
	magicValue = 0xc0ed0000 // MS_MGC_VAL
	noUser     = 1 << 31    // MS_NOUSER
)

// operationOf goes through the flags in the kernel's order (path_mount in
// fs/namespace.c): of several operations the first counts.
func operationOf(flags uint64) operation {
	flags = withoutMagic(flags)
	switch {
	case flags&noUser != 0:
		return other
	case flags&unix.MS_REMOUNT != 0:
		if flags&unix.MS_BIND != 0 {
			return remount
		}
		return other // it changes the file system
	case flags&unix.MS_BIND != 0:
		if flags&unix.MS_REC != 0 {
			return other
		}
		return bind
	case flags&(unix.MS_SHARED|unix.MS_PRIVATE|unix.MS_SLAVE|unix.MS_UNBINDABLE|unix.MS_MOVE) != 0:
		return other
	}
	return newMount
}

// withoutMagic takes away what programs had to pass before Linux 2.4.
func withoutMagic(flags uint64) uint64 {
	if flags&magicMask == magicValue {
		flags &^= magicMask
	}
	return flags
}

// attributes returns those of the new mount.
func attributes(flags uint64) (attrs sys.Attr) {
	flags = withoutMagic(flags)
	for _, f := range []struct {
		flag uint64
		attr sys.Attr
	}{
		{unix.MS_RDONLY, sys.ReadOnly},
		{unix.MS_NOSUID, sys.NoSUID},
		{unix.MS_NODEV, sys.NoDev},
		{unix.MS_NOEXEC, sys.NoExec},
		{unix.MS_NODIRATIME, sys.NoDirAtime},
		{unix.MS_NOSYMFOLLOW, sys.NoSymFollow},
	} {
		if flags&f.flag != 0 {
			attrs |= f.attr
		}
	}
	switch {
	case flags&unix.MS_STRICTATIME != 0:
		attrs |= sys.StrictAtime
	case flags&unix.MS_NOATIME != 0:
		attrs |= sys.NoAtime
	}
	return attrs
}
