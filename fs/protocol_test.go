package fs

import (
	"encoding/binary"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A read of a file costs no memory that is to be collected.
func TestReadingDoesNotAllocate(t *testing.T) {
	content := quickFunc{func(dst []byte, _ Slot, _ int) ([]byte, error) { return append(dst, "content"...), nil }}
	for name, tt := range map[string]struct {
		protocol Protocol
		read     []byte
	}{
		"leased": {Exact, readIn(0, 0, 4096, 0)},
		"direct": {Direct, readIn(0, 0, 4096, readLockOwner)},
	} {
		t.Run(name, func(t *testing.T) {
			b := newTestSuperblock(t, content, Options{Protocol: tt.protocol})
			k, file := dialFake(t, b, newMemoryFile(t))
			defer file.Close()
			defer k.d.memory.Close()
			k.greet()
			null, err := unix.Open("/dev/null", unix.O_WRONLY|unix.O_CLOEXEC, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer unix.Close(null)
			k.d.fd = null // takes all replies

			node := b.lookup(t, "7.3/proc/uptime").NodeId
			w := newWorker()
			open := requestBytes(opOpen, 2, node, 0, openIn(0))
			read := requestBytes(opRead, 4, node, 0, tt.read)
			release := requestBytes(opRelease, 6, node, 0, make([]byte, releaseInLen))
			n := testing.AllocsPerRun(100, func() {
				done := k.d.answer(&w, open, quick)
				fh := binary.NativeEndian.Uint64(w.reply.body())
				binary.NativeEndian.PutUint64(read[inHeaderLen:], fh)
				binary.NativeEndian.PutUint64(release[inHeaderLen:], fh)
				if !done || !k.d.answer(&w, read, quick) || !k.d.answer(&w, release, quick) {
					t.Error("not answered at once")
				}
			})
			if n != 0 {
				t.Errorf("got %v allocations, want none", n)
			}
			if handles, _ := k.d.memory.Used(); handles != 0 {
				t.Errorf("%d files are open", handles)
			}
		})
	}
}

// FuzzDevice sends requests that no kernel would. Each gets one reply, but for those
// that want none.
func FuzzDevice(f *testing.F) {
	file := uint64(newNodeID(testSlot, firstNumber+3, 0))
	for _, op := range []uint32{opLookup, opGetAttr, 4, opOpen, opRead, opWrite, 17, opRelease, opInit, opOpenDir, 28, opPoll, opForget, opBatchForget, 38, 41, 46, 52, 4000} {
		f.Add(op, file, readIn(1<<32, 0, 4096, 0))
		f.Add(op, uint64(rootID), []byte("7.3\x00"))
		f.Add(op, uint64(newNodeID(testSlot, firstNumber+1, 0)), []byte{})
	}
	var all []*fakeKernel
	for _, opts := range []Options{{}, {Protocol: Direct}, {Protocol: Pushed, MaxStale: time.Hour}, {Writer: &alarms{renderFunc: hello}}} {
		opts.Panicked = func(where string, v any, stack []byte) { f.Errorf("panic in %s: %v\n%s", where, v, stack) }
		all = append(all, connectFake(f, newTestSuperblock(f, &alarms{renderFunc: hello}, opts)))
	}
	f.Fuzz(func(t *testing.T, op uint32, node uint64, body []byte) {
		if len(body) > 8<<10 || op == opInit {
			return
		}
		for _, k := range all {
			k.t = t
			k.unique += 2
			unique := k.unique
			if op%2 == 0 { // with a file that is open
				k.tryOpen(file)
			}
			k.send(op, unique+1<<40, node, body)
			k.send(opGetAttr, unique, uint64(rootID), make([]byte, getAttrInLen))
			replies := map[uint64]int{}
			wanted := 2
			if op == opForget || op == opBatchForget || op == 41 {
				wanted = 1
			}
			for range wanted {
				replies[k.receive().unique]++
			}
			if replies[unique] != 1 || len(replies) != wanted {
				t.Errorf("opcode %d: got replies to %v", op, replies)
			}
			if len(k.replies) != 0 {
				t.Errorf("opcode %d: got %d replies too many", op, len(k.replies))
			}
		}
	})
}

// tryOpen leaves a file open, if there is room for it.
func (k *fakeKernel) tryOpen(node uint64) { k.open(node, 0) }
