package fs

import (
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"
)

// Open renders: the reader's snapshot is what the file says now.
func (b *superblock) Open(_ <-chan struct{}, in *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	p, st := b.place(in.NodeId)
	if !st.Ok() {
		return st
	}
	// A read-only superblock lets no such open through, one that was remounted
	// would: the answer is that of a file whose mode forbids it.
	if in.Flags&syscall.O_ACCMODE != syscall.O_RDONLY && b.writer == nil {
		return fuse.EACCES
	}
	snapshot, err := b.render(p.slot, p.ref())
	if err != nil {
		return status(err)
	}
	h, err := newHandle(p.slot, p.ref(), snapshot)
	if err != nil {
		return status(err)
	}
	out.Fh = b.handles.add(h)
	out.OpenFlags = fuse.FOPEN_DIRECT_IO
	return fuse.OK
}

// Read answers EIO when the slot was removed: its container is gone, and so is
// what the file was about.
//
// A read for the page cache gets EINVAL: all open files share those pages, and
// their readers would see each other's content, torn. Such reads come from
// sendfile(2) and splice(2), whose callers fall back to read(2) after EINVAL.
func (b *superblock) Read(_ <-chan struct{}, in *fuse.ReadIn, _ []byte) (fuse.ReadResult, fuse.Status) {
	if in.ReadFlags&fuse.READ_LOCKOWNER == 0 { // set on all reads but those of the page cache
		return nil, fuse.EINVAL
	}
	h := b.handles.find(in.Fh)
	if h == nil {
		return nil, fuse.EBADF
	}
	if !b.slots.serves(h.slot) {
		return nil, fuse.EIO
	}
	content, err := h.read(in.Offset, func() ([]byte, error) { return b.render(h.slot, h.ref) })
	if err != nil {
		return nil, status(err)
	}
	return fuse.ReadResultData(content[:min(len(content), int(in.Size))]), fuse.OK
}

func (b *superblock) Release(_ <-chan struct{}, in *fuse.ReleaseIn) {
	if h := b.handles.remove(in.Fh); h != nil {
		h.close()
	}
}

// Flush answers ENOSYS so that the kernel stops asking at every close.
func (b *superblock) Flush(<-chan struct{}, *fuse.FlushIn) fuse.Status {
	return fuse.ENOSYS
}

// Ioctl answers as procfs does: isatty(3) asks this of every file that a shell
// or an interpreter reads.
func (b *superblock) Ioctl(<-chan struct{}, *fuse.IoctlIn, []byte, *fuse.IoctlOut, []byte) fuse.Status {
	return fuse.Status(syscall.ENOTTY)
}
