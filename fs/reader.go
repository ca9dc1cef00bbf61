package fs

import (
	"os"
	"sync/atomic"
	"time"

	"cloister/fs/memory"
)

// worker is what a goroutine needs to answer requests with.
type worker struct {
	reply   reply
	scratch []byte // renders that have no other place
	store   storeMessage
}

func newWorker() worker {
	return worker{
		// A READDIR may ask for a page, whatever its size is on this machine.
		reply:   make(reply, outHeaderLen+max(maxRead, os.Getpagesize())),
		scratch: make([]byte, 0, scratchSize),
	}
}

// reader is a worker with a place in the journal, where read(2) puts the request:
// what a killed daemon leaves there its successor answers.
type reader struct {
	worker
	request []byte
	since   atomic.Int64  // when the request came that is being answered quickly, 0 without one
	wake    chan struct{} // has room for one
}

// serve reads requests until the connection is gone.
func (d *device) serve(r *reader) {
	for {
		memory.Clear(r.request)
		req, err := d.read(r.request)
		if err != nil {
			d.end.Do(func() { close(d.ended) })
			return
		}
		r.since.Store(int64(d.sb.now()))
		done := d.answer(&r.worker, req, quick)
		r.since.Store(0)
		if done || d.passOn(r, req) {
			continue
		}
		if !d.rest(r) {
			return
		}
	}
}

// busy returns for how long a request has been answered that should be quickly.
func (d *device) busy() (longest time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, r := range d.all {
		if since := r.since.Load(); since != 0 {
			longest = max(longest, d.sb.now()-time.Duration(since))
		}
	}
	return longest
}

// wakeReader has another goroutine read requests. It returns false if there are as
// many as the journal has places for.
func (d *device) wakeReader() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if last := len(d.resting) - 1; last >= 0 {
		next := d.resting[last]
		d.resting = d.resting[:last]
		next.wake <- struct{}{}
		return true
	}
	if len(d.all) == memory.Readers {
		return false
	}
	next := d.newReaderLocked()
	d.tasks.Go(func() { d.serve(next) })
	return true
}

// rest waits until requests are to be read again, and returns false when there will
// be none.
func (d *device) rest(r *reader) bool {
	d.mu.Lock()
	d.resting = append(d.resting, r)
	d.mu.Unlock()
	select {
	case <-r.wake:
		return true
	case <-d.ended:
		return false
	}
}

func (d *device) newReader() *reader {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.newReaderLocked()
}

// newReaderLocked takes the next place in the journal. Preconditions: d.mu is held,
// and there is one.
func (d *device) newReaderLocked() *reader {
	r := &reader{worker: newWorker(), request: d.memory.Request(len(d.all)), wake: make(chan struct{}, 1)}
	d.all = append(d.all, r)
	return r
}
