//go:build root

package fs

import (
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// BenchmarkRead is open, read until the end and close, of a file as long as the
// kernel's /proc/meminfo. "x-kernel" is its time as a multiple of the kernel's
// own file in the same run.
func BenchmarkRead(b *testing.B) {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		b.Fatal(err)
	}
	s := mountTest(b, renderFunc(func(dst []byte, _ Slot, _ int) ([]byte, error) {
		return append(dst, text...), nil
	}))
	for _, bench := range []struct {
		name string
		run  func(*testing.B, string)
	}{
		{"one", readSerially},
		{"parallel", readInParallel},
	} {
		b.Run(bench.name, func(b *testing.B) {
			started := time.Now()
			bench.run(b, "/proc/meminfo")
			kernel := time.Since(started)
			b.ResetTimer()
			bench.run(b, meminfo(s))
			b.StopTimer()
			b.ReportMetric(float64(b.Elapsed())/float64(kernel), "x-kernel")
			b.ReportAllocs()
		})
	}
}

func readSerially(b *testing.B, path string) {
	buf := make([]byte, 64<<10)
	for range b.N {
		if err := readToEnd(path, buf); err != nil {
			b.Fatal(err)
		}
	}
}

func readInParallel(b *testing.B, path string) {
	b.SetParallelism(2)
	b.RunParallel(func(pb *testing.PB) {
		buf := make([]byte, 64<<10)
		for pb.Next() {
			if err := readToEnd(path, buf); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

func readToEnd(path string, buf []byte) error {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	for {
		if n, err := unix.Read(fd, buf); n <= 0 {
			return err
		}
	}
}
