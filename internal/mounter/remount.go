package mounter

import (
	"errors"

	"golang.org/x/sys/unix"

	"cloister/internal/seccomp"
	"cloister/internal/sys"
)

// A change of a mount's flags, which is mount(2) with MS_REMOUNT and MS_BIND, says all
// flags that the mount is to have. Programs that want another one, above all read-only,
// often say that alone, as who is root of the host may do. In a container the kernel
// refuses it with EPERM if that takes away what it has locked on the mount.

const (
	lockable   = sys.NoSUID | sys.NoDev | sys.NoExec
	atimeFlags = unix.MS_NOATIME | unix.MS_NODIRATIME | unix.MS_RELATIME | unix.MS_STRICTATIME
)

// attrChange turns attributes of a mount on and off; on is what is both.
type attrChange struct{ on, off sys.Attr }

// changesOf returns what is tried, one after the other as long as the kernel says EPERM:
// first what the flags say; then nosuid, nodev and noexec stay, where they are; then what
// becomes of access times as well. Whether a mount may become writable is left to the
// kernel each time. There are none if the kernel's answer to the call is as good, or if
// the caller wants nothing but to take flags away.
func changesOf(flags uint64) []attrChange {
	flags = withoutMagic(flags)
	on, off := attributes(flags), sys.ReadOnly|lockable|sys.NoSymFollow
	atime := flags&atimeFlags != 0 // or else it stays
	if on&(sys.ReadOnly|lockable) == 0 || on&lockable == lockable && !atime {
		return nil
	}
	if !atime {
		return []attrChange{{on, off &^ on}, {on, off &^ on &^ lockable}}
	}
	const modes = sys.AtimeModes | sys.NoDirAtime
	without := on &^ modes
	off &^= without
	return []attrChange{{on, off | modes}, {on, off&^lockable | modes}, {without, off &^ lockable}}
}

// readRemount reads the arguments of a change of flags.
func readRemount(r *seccomp.Request, q *request) (ours bool, err error) {
	if changesOf(q.Flags) == nil {
		return false, nil
	}
	q.Remount = true
	q.Target, err = readPath(r, argTarget)
	return len(q.Target) > 0, err
}

// remount serves one, as the caller. It can be done twice.
func (m *mount) remount() error {
	l, err := m.lookup(nil, string(m.Target))
	if err != nil {
		return orContinue(err)
	}
	_, id, err := l.stub.Stat(l.files[0])
	if err != nil {
		return orContinue(err)
	}
	if err := m.note(m.id, id, m.deadline); err != nil { // which asks whether the caller waits
		return err
	}
	for i, c := range changesOf(m.Flags) {
		err = l.stub.SetAttributes(l.files[0], c.on, c.off)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, unix.EPERM):
		case i == 0:
			return orContinue(err)
		default:
			return refusal{err} // such as EBUSY, which the kernel would say but for the flags
		}
	}
	return orContinue(err)
}
