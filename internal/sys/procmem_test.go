package sys

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"cloister/internal/sys/systest/talk"
)

func TestProcessMemoryIsCopiedAsFarAsItGoes(t *testing.T) {
	const pages = pagesPerCall + 3 // more than one call takes
	size := os.Getpagesize()
	memory, err := unix.Mmap(-1, 0, (pages+1)*size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := unix.Munmap(memory); err != nil {
			t.Error(err)
		}
	}()
	if err := unix.Mprotect(memory[pages*size:], unix.PROT_NONE); err != nil {
		t.Fatal(err)
	}
	const before = 100 // bytes of the first page that are left alone
	addr := uint64(uintptr(unsafe.Pointer(&memory[before])))
	there := pages*size - before
	want := bytes.Repeat([]byte("cloister"), (there+size)/8)
	own, maps := openMemory(t, os.Getpid())
	if n, err := own.Write(maps, addr, want); n != there || !errors.Is(err, unix.EFAULT) {
		t.Errorf("write over the end: %d, %v; want %d bytes and EFAULT", n, err, there)
	}
	got := make([]byte, there+1)
	if n, err := ReadProcessMemory(os.Getpid(), addr, got); n != there || !errors.Is(err, unix.EFAULT) {
		t.Errorf("read over the end: %d, %v; want %d bytes and EFAULT", n, err, there)
	}
	if !bytes.Equal(got[:there], want[:there]) || memory[0] != 0 {
		t.Error("what was read is not what was written")
	}
	if n, err := ReadProcessMemory(os.Getpid(), addr, got[:there]); n != there || err != nil {
		t.Errorf("read up to the end: %d, %v", n, err)
	}
	for name, at := range map[string]uint64{"null": 0, "wraps": ^uint64(0) - 1, "kernel": 1 << 63} {
		if n, err := ReadProcessMemory(os.Getpid(), at, got[:10]); n != 0 || !errors.Is(err, unix.EFAULT) {
			t.Errorf("%s: %d, %v", name, n, err)
		}
	}
	for _, tid := range []int{0, -1, 1 << 30} {
		if _, err := ReadProcessMemory(tid, addr, got); !errors.Is(err, unix.ESRCH) {
			t.Errorf("thread %d: %v", tid, err)
		}
	}
}

func openMemory(t *testing.T, pid int) (*ProcessMemory, *Mappings) {
	t.Helper()
	memory, err := OpenProcessMemory(pid)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = memory.Close() })
	maps, err := OpenMappings(pid)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = maps.Close() })
	return memory, maps
}

func TestMemoryIsWrittenWhereTheProcessCould(t *testing.T) {
	size := os.Getpagesize()
	memory, err := unix.Mmap(-1, 0, 3*size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := unix.Munmap(memory); err != nil {
			t.Error(err)
		}
	}()
	if err := unix.Mprotect(memory[2*size:], unix.PROT_READ); err != nil {
		t.Fatal(err)
	}
	own, maps := openMemory(t, os.Getpid())
	base := uint64(uintptr(unsafe.Pointer(&memory[0])))
	for _, find := range []func(uint64) (uint64, error){maps.endOfWritable, maps.endInText} {
		for at, want := range map[uint64]uint64{base: base + 2*uint64(size), base + 2*uint64(size): 0, 0: 0, 1 << 62: 0} {
			// The kernel may join a mapping with those around it.
			if end, err := find(at); end < want || (end == 0) != (want == 0) || err != nil {
				t.Errorf("%#x: until %#x, %v; want %#x", at, end, err, want)
			}
		}
	}
	if n, err := own.Write(maps, base+2*uint64(size)-3, []byte("written")); n != 3 || !errors.Is(err, unix.EFAULT) || memory[2*size] != 0 {
		t.Errorf("%d, %v", n, err)
	}
	for name, at := range map[string]uint64{"null": 0, "wraps": ^uint64(0) - 1, "kernel": 1 << 63, "read-only": base + 2*uint64(size)} {
		if n, err := own.Write(maps, at, make([]byte, 10)); n != 0 || !errors.Is(err, unix.EFAULT) {
			t.Errorf("%s: %d, %v", name, n, err)
		}
	}
}

// What has been opened is not the memory of a program that the process executes.
func TestMemoryOfAnotherProgramIsNotWritten(t *testing.T) {
	p := talk.Start(t, exec.Command("sh", "-c", "echo shell; read go; exec cat"))
	p.Hear("shell")
	before, maps := openMemory(t, p.PID)
	p.Say("go", "cat")
	p.Hear("cat")
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", p.PID))
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 1)
	for line := range strings.Lines(string(text)) {
		var start, end uint64
		var access string
		if _, err := fmt.Sscanf(line, "%x-%x %s", &start, &end, &access); err != nil || access[1] != 'w' {
			continue
		}
		if n, err := before.Write(maps, start, b); n != 0 || !errors.Is(err, unix.EFAULT) {
			t.Errorf("%s: %d, %v", line, n, err)
		}
		if n, err := unix.Pwrite(before.fd.fd, b, int64(start)); n > 0 {
			t.Errorf("%s: %d, %v", line, n, err)
		}
	}
}
