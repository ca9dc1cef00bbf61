package fs

import "time"

// truncateLimit is how long a thread may take from the size that it was told to the end of
// what it cuts off. It does nothing else meanwhile, but others may be preferred to it.
const truncateLimit = 100 * time.Millisecond

// truncation is what the kernel may be about to cut off the pages of a file. Told of a
// smaller size it first takes that, and then cuts off all behind it, in the thread that has
// asked. If this is held up in between it cuts content that has come to the page cache
// meanwhile, and whoever moves that sees zeros at its end.
//
// The reply to a READ has the kernel cut nothing off, and who has the file open leaves
// it open until he has done that. So this is about others who are told the size.
type truncation struct {
	thread uint32 // 0 for several
	end    time.Duration
}

// begin says that a thread is told a smaller size.
func (c *truncation) begin(thread uint32, now time.Duration) {
	if c.end > now && c.thread != thread {
		thread = 0
	}
	c.thread, c.end = thread, now+truncateLimit
}

// pending reports whether one may be under way. It is not if the only thread that was told
// asks for something else now.
func (c *truncation) pending(thread uint32, now time.Duration) bool {
	if thread == c.thread && thread != 0 {
		c.end = 0
	}
	return c.end > now
}
