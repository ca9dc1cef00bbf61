package memory

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"testing"
	"time"
)

// workerVariable makes the test binary a worker that works until it is killed.
const workerVariable = "MEMORY_TEST_WORKER"

const (
	workerGoroutines = 4
	// handlesEach is how many a goroutine of the worker has open at most.
	handlesEach = 40
)

func TestMain(m *testing.M) {
	switch seed := os.Getenv(workerVariable); seed {
	case "":
	case steps:
		takeSteps()
	default:
		work(seed)
	}
	os.Exit(m.Run())
}

// work uses everything at once. What it writes can be seen to be whole, and whose it is.
func work(seed string) {
	m, err := Open(os.NewFile(3, "memory"))
	if err != nil {
		panic(err)
	}
	n, err := strconv.ParseUint(seed, 10, 64)
	if err != nil {
		panic(err)
	}
	for g := range workerGoroutines {
		go func() {
			w := worker{m: m, number: uint64(g), random: rand.New(rand.NewPCG(n, uint64(g)))}
			for h := range m.Handles() {
				if h.Opening().Node%workerGoroutines == w.number {
					w.handles = append(w.handles, h)
				}
			}
			for {
				w.step()
			}
		}()
	}
	select {}
}

type worker struct {
	m       *Memory
	number  uint64
	random  *rand.Rand
	handles []Handle
	places  []Place
}

func (w *worker) step() {
	switch w.random.IntN(6) {
	case 0, 1:
		w.open()
	case 2:
		if len(w.handles) > 0 {
			w.render(w.handles[w.random.IntN(len(w.handles))])
		}
	case 3:
		w.park()
	case 4:
		// As the kernel does it: the header before the rest.
		request := w.m.Request(int(w.number))
		Clear(request)
		copy(request[headerSize:], whole(w.number, RequestSize-headerSize))
		setLength(request, RequestSize)
	case 5:
		if len(w.handles) > 0 {
			w.free(w.random.IntN(len(w.handles)))
		}
	}
}

func (w *worker) open() {
	if len(w.handles) == handlesEach {
		w.free(0)
	}
	node := w.random.Uint64N(1<<40)*workerGoroutines + w.number
	h, err := w.m.NewHandle(Opening{Node: node, Unique: ^node})
	if err != nil {
		panic(err)
	}
	w.handles = append(w.handles, h)
	w.render(h)
	if err := h.SetNote(note(node)); err != nil {
		panic(err)
	}
}

func note(node uint64) string { return strconv.FormatUint(node, 36) }

func (w *worker) render(h Handle) {
	length := 12 + w.random.IntN(6000)
	if w.random.IntN(50) == 0 {
		length = 12 + w.random.IntN(300<<10)
	}
	content := whole(h.Opening().Node, length)
	if err := h.Publish(content); err != nil {
		panic(err)
	}
}

func (w *worker) free(i int) {
	if !w.handles[i].Free() {
		panic("a handle is not freed")
	}
	w.handles = slices.Delete(w.handles, i, i+1)
}

func (w *worker) park() {
	if len(w.places) == 20 {
		w.m.Answered(w.places[0])
		w.places = w.places[1:]
	}
	request := make([]byte, headerSize, ParkedSize)
	request = append(request, whole(w.number, 12+w.random.IntN(ParkedSize-headerSize-12))...)
	p, ok := w.m.Park(request)
	if !ok {
		panic("no place for a request")
	}
	w.places = append(w.places, p)
}

// whole returns bytes that isWhole knows: whose they are, what is in them, a checksum.
func whole(owner uint64, length int) []byte {
	b := binary.NativeEndian.AppendUint64(make([]byte, 0, length), owner)
	b = append(b, bytes.Repeat([]byte{byte(rand.Uint32())}, length-12)...)
	return binary.NativeEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
}

func isWhole(b []byte, owner uint64) bool {
	sum := len(b) - 4
	return sum >= 8 && binary.NativeEndian.Uint64(b) == owner &&
		binary.NativeEndian.Uint32(b[sum:]) == crc32.ChecksumIEEE(b[:sum])
}

// TestKill has workers killed at any moment. Each goes on with what the ones before have
// left.
func TestKill(t *testing.T) {
	rounds := 100
	if testing.Short() {
		rounds = 20
	}
	f := newFile(t)
	watch := open(t, f) // for the generation alone
	survivors := map[uint64]bool{}
	freed := map[uint64]bool{}
	for round := range rounds {
		runWorker(t, f, watch, round)
		if t.Failed() {
			t.Fatalf("worker %d failed", round)
		}
		m, err := Open(f)
		if err != nil {
			t.Fatal(err)
		}
		for fh := range survivors {
			if _, ok := m.Find(fh); !ok {
				freed[fh] = true
			}
		}
		clear(survivors)
		wantWhole(t, m)
		for p := range m.Unanswered() {
			m.Answered(p)
		}
		freeHalf(t, m, survivors, freed)
		if round == rounds-1 {
			wantEmptied(t, m)
		}
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
		if t.Failed() {
			t.Fatalf("after worker %d", round)
		}
	}
	wantKept(t, f, 5) // four sizes of blocks, and all the rest
}

// runWorker kills a worker when it has opened so and so many handles.
func runWorker(t *testing.T, f *os.File, watch *Memory, seed int) {
	t.Helper()
	var output bytes.Buffer
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), workerVariable+"="+strconv.Itoa(seed))
	cmd.ExtraFiles = []*os.File{f}
	cmd.Stdout, cmd.Stderr = &output, &output
	started := watch.header.generation.Load()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	opens := 1 + rand.Uint32N(1000)
	deadline := time.Now().Add(30 * time.Second)
	for watch.header.generation.Load()-started < opens && time.Now().Before(deadline) {
		runtime.Gosched() // the moment would not be any if it were told of
	}
	if watch.header.generation.Load()-started < opens {
		t.Error("the worker does not get on")
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Error(err)
	}
	_ = cmd.Wait() // signal: killed
	if output.Len() > 0 {
		t.Errorf("the worker said: %s", &output)
	}
}

// wantWhole tests that nothing is half written.
func wantWhole(t *testing.T, m *Memory) {
	t.Helper()
	for p, request := range m.Unanswered() {
		body := request[headerSize:]
		owner := uint64(p)
		if p >= Readers {
			owner = binary.NativeEndian.Uint64(body)
		}
		if !isWhole(body, owner) {
			t.Errorf("the request at %d is not whole", p)
		}
	}
	for _, h := range wantConsistent(t, m) {
		o := h.Opening()
		if (o != Opening{Node: o.Node, Unique: ^o.Node}) {
			t.Errorf("%#x: got %+v", h.FH(), o)
		}
		if h.Rendered() && !isWhole(contentOf(h), o.Node) {
			t.Errorf("%#x: content is not whole", h.FH())
		}
		if n := h.Note(); n != "" && n != note(o.Node) {
			t.Errorf("%#x: got note %q, want %q", h.FH(), n, note(o.Node))
		}
	}
}

// freeHalf frees every other handle, and puts their numbers where they belong.
func freeHalf(t *testing.T, m *Memory, survivors, freed map[uint64]bool) {
	t.Helper()
	handles := slices.Collect(m.Handles())
	if len(handles) > workerGoroutines*(handlesEach+1) {
		t.Errorf("got %d handles, more than the worker had", len(handles))
	}
	for i, h := range handles {
		if freed[h.FH()] {
			t.Errorf("%#x is used again", h.FH())
		}
		if i%2 == 0 {
			h.Free()
			freed[h.FH()] = true
		} else {
			survivors[h.FH()] = true
		}
	}
}
