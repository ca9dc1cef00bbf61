package fs

import (
	"sync"
	"sync/atomic"
	"time"

	"cloister/fs/memory"
)

// maxLeased is how long content may be to be put into the kernel's page cache: less
// than a page of any machine, so that it is there as a whole or not at all, and a READ
// of it is short, which tells the kernel where it ends.
const maxLeased = 4<<10 - 1

// longAgo is a time at which nothing came that is still fresh.
const longAgo = -time.Hour

// growLimit is how much longer pages of content that has grown are kept. A reader with a
// small buffer has the kernel ask for the size where the old content ended, and must get
// an answer which the kernel believes: none that crosses with a sweep.
const growLimit = time.Second

// lease is one file of a slot as the kernel has it: how often it is open, and whose
// snapshot the page cache has, which all who have the file open share.
//
// Who opens the file while nobody else has it open becomes the holder: the snapshot
// goes to the page cache together with the reply, and reads need no request. All
// others meanwhile read their own snapshots by requests, around the page cache.
type lease struct {
	mu     sync.Mutex
	opens  int           // guarded by mu
	holder memory.Handle // guarded by mu; the zero value without one
	pages  pages         // guarded by mu
	since  time.Duration // guarded by mu; when the pages came
	// invals are messages on their way that have the kernel drop pages or make the file
	// longer. Until they have arrived nothing is given to the page cache: the kernel takes
	// no smaller size from the reply to a READ if it was told meanwhile that the size is
	// another one. Guarded by mu.
	invals int
	// queued says that one of these waits to be sent. Guarded by mu.
	queued bool
	// restored says that the holder has not been read since a predecessor was killed.
	// Guarded by mu.
	restored bool
	// shown says that the kernel has the size that is shown of content which is not in
	// the page cache. Guarded by mu.
	shown bool
	swept bool // guarded by mu; since the holder has opened the file
	// told says that somebody was told the size of the holder's content since its pages
	// were on their way out: it may be the old one soon. Guarded by mu.
	told bool
	// size is at least the size that the kernel has, 0 if that is unknown. Guarded
	// by mu.
	//
	// What is stored in the page cache makes a file longer there and never shorter,
	// so shorter content must come as the reply to a READ.
	size int
	// opener is the thread that has opened the holder, 0 if that is unknown. Guarded by mu.
	opener uint32
	// truncation is guarded by mu.
	truncation truncation
}

// leases are those of a slot, by file. Most files of most slots are never opened, so
// each is made when it is first needed.
type leases []atomic.Pointer[lease]

// at returns the lease of a file.
func (s leases) at(file int) *lease {
	if l := s[file].Load(); l != nil {
		return l
	}
	s[file].CompareAndSwap(nil, new(lease))
	return s[file].Load()
}

// kernelSize is that of a file's lease, which it does not make.
func (s leases) kernelSize(file int) int {
	if l := s[file].Load(); l != nil {
		return l.kernelSize()
	}
	return 0
}

// tellSize is likewise that of a file's lease.
func (s leases) tellSize(file int, asker uint32, now time.Duration) int {
	if l := s[file].Load(); l != nil {
		return l.tellSize(asker, now)
	}
	return 0
}

// pages are the holder's in the page cache.
type pages uint8

const (
	awaited pages = iota // not there before the kernel has asked for them
	cached
	leaving // the kernel is being told to drop them
	dropped
)

// grant is how a file that is being opened will be read.
type grant uint8

const (
	// byStore: the content is stored in the page cache before the reply.
	byStore grant = iota
	// byRead: the page cache is emptied by the reply, and filled by a READ.
	byRead
	// alone and beside: by requests, around the page cache. Nobody else has the
	// file open, or somebody has.
	alone
	beside
)

// telling is how the kernel is told of a file that is being opened.
type telling struct {
	// store puts the content into the page cache.
	store func() bool
	// drop drops what is there, and has the attributes asked for.
	drop func()
	// resized tells the size of what is read around the page cache. Other says that the
	// kernel may have that of other content.
	resized func(other bool)
}

// open counts an open file, and makes it the holder if it can be. It tells the kernel under
// the lock: as long as nobody else can open the file there is no READ of it which that would
// wait for.
func (l *lease) open(h memory.Handle, opener uint32, length int, leasable bool, now time.Duration, tell telling) grant {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.opens++
	truncates := l.truncation.pending(opener, now)
	switch {
	case l.opens > 1:
		return beside
	case !leasable || length == 0 || length > maxLeased || l.invals > 0 || truncates:
		tell.resized(!l.shown)
		l.size, l.shown = 0, true
		return alone
	}
	l.holder, l.opener, l.since, l.swept, l.shown, l.restored = h, opener, now, false, false, false
	// Even what is asked for once more makes the file long enough: sendfile(2) goes by
	// the size that the kernel has.
	if stored := tell.store(); !stored || l.size == 0 || length < l.size {
		// Somebody may move what is there, up to a size that is not of it, before the reply
		// has emptied the page cache. The size may also be a smaller one, at which reads end.
		tell.drop()
		h.SetFlags(0, flagLeased)
		l.pages, l.size = awaited, 0
		return byRead
	}
	h.SetFlags(0, flagLeased|flagFilled)
	l.pages, l.size = cached, length
	return byStore
}

// close forgets an open file. It reports whether its pages stay in the page cache
// while others have the file open: the caller must have the kernel drop them, as after
// leaving.
func (l *lease) close(h memory.Handle) (left bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.opens--
	if l.holder != h {
		return false
	}
	l.holder = memory.Handle{}
	if l.opens > 0 {
		l.size = h.Len() // whoever moves its pages until they are dropped goes by that
		l.invals++
		return true
	}
	return false
}

// abandoned is leaving if the file is open and nobody is the holder.
func (l *lease) abandoned() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.opens == 0 || l.holder.FH() != 0 {
		return false
	}
	l.invals++
	return true
}

// leaving says that what goes to the page cache, or is there, is not leased: the caller
// must have the kernel drop it, by queue.
func (l *lease) leaving() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.invals++
}

// queue reports whether the caller must send a message for what is leaving, and call
// sending and arrived. If not, there is one that waits to be sent.
func (l *lease) queue() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.queued {
		l.invals--
		return false
	}
	l.queued = true
	return true
}

// sending says that the message is for no more than what has left by now.
func (l *lease) sending() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.queued = false
}

// gone says that the kernel has dropped what was leaving: it may be told the size of what is
// not in the page cache.
func (l *lease) gone() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.size = 0
}

// arrived says that the kernel has been told all about what was leaving, or won't be.
func (l *lease) arrived() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.invals--
}

// restore counts a file that a predecessor has opened.
func (l *lease) restore(h memory.Handle, now time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.opens++
	if !isLeased(h) {
		return
	}
	l.holder, l.opener, l.pages, l.since, l.swept, l.restored = h, 0, awaited, longAgo, true, true
	if h.Flags()&flagGrown != 0 {
		l.since = now
	}
	if h.Flags()&flagFilled != 0 {
		l.pages = cached
	}
}

// withdraw says that an open file is read around the page cache after all.
func (l *lease) withdraw(h memory.Handle) {
	l.mu.Lock()
	defer l.mu.Unlock()
	h.SetFlags(flagLeased|flagFilled, 0)
	if l.holder == h {
		l.holder = memory.Handle{}
	}
}

// kernelSize returns the size that the kernel must be told, because reads of the page
// cache end at it; 0 if nothing is known to be there.
func (l *lease) kernelSize() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.kernelSizeLocked()
}

func (l *lease) kernelSizeLocked() int {
	if isLeased(l.holder) {
		return l.holder.Len()
	}
	return l.size
}

// tellSize is kernelSize for a thread that is told it now.
func (l *lease) tellSize(asker uint32, now time.Duration) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	size, leased := l.kernelSizeLocked(), isLeased(l.holder)
	if leased {
		l.told = l.told || l.pages == leaving || l.pages == dropped
	}
	isKnown := size == l.size && (leased || l.invals == 0)
	// Who has opened the holder has taken this size before it closes the file.
	isOpener := leased && asker == l.opener && asker != 0
	if size != 0 && !isKnown && !isOpener {
		l.truncation.begin(asker, now)
	}
	return size
}

// fill says that a READ is being answered that puts all of the holder's content into
// the page cache. The kernel learns the size by that, unless it has dropped the pages
// meanwhile.
func (l *lease) fill(h memory.Handle, now time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.holder != h {
		return
	}
	h.SetFlags(0, flagFilled)
	if l.pages == awaited { // else it is old content, that somebody has dropped
		l.since = now
	}
	l.pages, l.restored = cached, false
	if !l.swept {
		l.size = h.Len()
	}
}

// sweep reports whether the holder's pages are older than allowed; the caller must
// have the kernel drop them, and call left.
func (l *lease) sweep(h memory.Handle, before time.Duration) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if h.Flags()&flagGrown != 0 {
		before -= growLimit
	}
	if l.holder != h || l.pages != cached || l.since > before || l.invals > 0 {
		return false
	}
	l.pages, l.size, l.swept, l.told = leaving, 0, true, false
	l.invals++
	return true
}

// left says that the kernel has dropped the pages. If it has read them again
// meanwhile, they are there.
func (l *lease) left(h memory.Handle) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.invals--
	if l.holder == h && l.pages == leaving {
		l.pages = dropped
	}
}

// keeps reports whether the holder's pages are in the page cache.
func (l *lease) keeps(h memory.Handle) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.holder == h && (l.pages == cached || l.pages == leaving)
}

// stale reports whether what the holder reads next may be new content.
func (l *lease) stale(h memory.Handle) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.holder == h && l.pages == dropped
}

// mayGrow reports whether the kernel takes a larger size from the reply to a GETATTR
// of the holder. It doesn't if it has sent that before a sweep: who was killed since
// then may have left one.
func (l *lease) mayGrow() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.restored
}

// renew gives the holder new content, unless its pages are in the page cache again. told
// is that of the lease. With stores the caller must then tell the kernel the size by a
// message, and call arrived.
func (l *lease) renew(h memory.Handle, stores bool, publish func() error) (renewed, told bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.holder != h || l.pages != dropped {
		return false, false, nil
	}
	if err := publish(); err != nil {
		return false, false, err
	}
	l.pages = awaited
	if stores {
		l.invals++
	}
	return true, l.told, nil
}

// pageOwner returns the open file whose snapshot the page cache has or may get, and whether
// that is leased: the holder, or h, which becomes it if it is mapped. If not it returns the
// zero value unless there is a lease.
func (l *lease) pageOwner(h memory.Handle, mapped bool) (owner memory.Handle, leased bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case isLeased(l.holder):
		return l.holder, true
	case !mapped:
		return memory.Handle{}, false
	case l.holder.FH() == 0:
		l.holder, l.shown = h, false
	}
	return l.holder, false
}
