package sys

import (
	"bytes"
	"errors"
	"os"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
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
	if n, err := WriteProcessMemory(os.Getpid(), addr, want); n != there || !errors.Is(err, unix.EFAULT) {
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
