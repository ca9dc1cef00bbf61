package main

import (
	"encoding/json"
	"flag"
	"math/rand/v2"
	"os"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// fuzz makes trapped calls with arguments that make no sense, by all ABIs, and prints how
// many of each errno there were. It begins in a mount namespace of its own.
func fuzz(args []string) error {
	flags := flag.NewFlagSet("fuzz", flag.ContinueOnError)
	calls := flags.Int("calls", 1000, "how many")
	threads := flags.Int("threads", 4, "how many at a time")
	seed := flags.Uint64("seed", 1, "of the random numbers")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if err := os.MkdirAll(raceTarget, 0o755); err != nil {
		return err
	}
	all := map[string]int{}
	var mu sync.Mutex // protects all
	var wg sync.WaitGroup
	var failed error
	for thread := range *threads {
		wg.Go(func() {
			f, err := newFuzzer(*seed + uint64(thread))
			if err == nil {
				f.run(*calls / *threads)
			}
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failed = err
				return
			}
			for k, n := range f.answers {
				all[k] += n
			}
		})
	}
	wg.Wait()
	if failed != nil {
		return failed
	}
	return json.NewEncoder(os.Stdout).Encode(all)
}

// fuzzer is one thread's.
type fuzzer struct {
	random  *rand.Rand
	values  []uint64 // that arguments are chosen from
	answers map[string]int
}

// fuzzed are the calls, mount less often: each that succeeds leaves something.
var fuzzed = []struct {
	name   string
	number number
}{
	{"sysinfo", callSysinfo},
	{"sched_getaffinity", callGetaffinity},
	{"syslog", callSyslog},
	{"mount", callMount},
	{"umount2", callUmount},
}

var abiNames = [abis]string{"native", "i386", "x32"}

func newFuzzer(seed uint64) (*fuzzer, error) {
	f := &fuzzer{random: rand.New(rand.NewPCG(seed, 0)), answers: map[string]int{}}
	const page = 4096
	m, err := lowMemory(8 * page)
	if err != nil {
		return nil, err
	}
	for at := range m { // texts that never end
		m[at] = 'a'
	}
	for i, text := range []string{"proc", "sysfs", "tmpfs", raceTarget, "/proc", "/", "ro", "hidepid=2"} {
		f.values = append(f.values, m.text(64*i, text))
	}
	base := m.address()
	protect := func(at, prot int) error {
		return unix.Mprotect(unsafe.Slice((*byte)(unsafe.Pointer(&m[at])), page), prot)
	}
	// Pages 0 to 2 can be written, 3 can't be touched, 4 and 5 only be read, 6 is not there.
	if err := protect(3*page, unix.PROT_NONE); err != nil {
		return nil, err
	}
	for _, at := range []int{4 * page, 5 * page} {
		if err := protect(at, unix.PROT_READ); err != nil {
			return nil, err
		}
	}
	if err := unix.MunmapPtr(unsafe.Pointer(&m[6*page]), page); err != nil {
		return nil, err
	}
	for _, at := range []uint64{page, 2 * page, 3*page - 1, 3*page - 8, 3*page - 64, 3 * page, 4*page - 1, 4 * page, 6*page - 4, 6*page - 64, 6 * page, 7 * page} {
		f.values = append(f.values, base+at)
	}
	f.values = append(f.values, 0, 1, 2, 3, 4, 5, 8, 9, 10, 64, 128, 4096, ^uint64(0), ^uint64(0)-4095, 1<<31, 1<<32, 1<<47, 1<<63,
		unix.MS_BIND, unix.MS_RDONLY, unix.MS_REMOUNT, unix.MS_REC|unix.MS_BIND, unix.MNT_DETACH)
	return f, nil
}

func (f *fuzzer) run(calls int) {
	for n := range calls {
		c := fuzzed[f.random.IntN(len(fuzzed))]
		kind := abi(f.random.IntN(int(abis)))
		var args [6]uint64
		for i := range args {
			args[i] = f.value()
		}
		if c.name == "umount2" && n%8 != 0 {
			args[0] = f.values[3] // what mount has made
			args[1] = unix.MNT_DETACH
		}
		_, err := kind.call(c.number, args[:]...)
		f.answers[c.name+", "+abiNames[kind]+": "+answer(err)]++
	}
}

func (f *fuzzer) value() uint64 {
	if f.random.IntN(8) != 0 {
		return f.values[f.random.IntN(len(f.values))]
	}
	for {
		if v := f.random.Uint64() >> f.random.IntN(64); !own(v) {
			return v
		}
	}
}

// own tells whether the fuzzer itself may be at an address: its image, which is linked to
// lie below 16 MiB and which i386's calls find also by 64 bits, and what it has mapped.
func own(v uint64) bool {
	const image, mapped, user = 16 << 20, 1 << 31, 1 << 47
	return uint32(v) < image || v >= mapped && v < user
}
