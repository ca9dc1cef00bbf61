package cgroupview

import "sync"

// bufSize is enough for all files but those with a line per CPU or device, for
// which a buffer grows.
const bufSize = 4096

// buffers are what files are read into. Few Groups of many are read at a time.
type buffers struct{ pool sync.Pool }

// take returns a buffer, which give gives back.
func (b *buffers) take() *[]byte {
	if buf, ok := b.pool.Get().(*[]byte); ok {
		return buf
	}
	buf := make([]byte, bufSize)
	return &buf
}

func (b *buffers) give(buf *[]byte) { b.pool.Put(buf) }
