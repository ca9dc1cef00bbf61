package memory

import "testing"

// BenchmarkOpen is what an open, a read and a close of a file cost here.
func BenchmarkOpen(b *testing.B) {
	m := newMemory(b)
	content := make([]byte, 1500)
	b.ReportAllocs()
	for b.Loop() {
		h, err := m.NewHandle(Opening{Node: 2, Unique: 4})
		if err != nil {
			b.Fatal(err)
		}
		if err := h.Publish(content); err != nil {
			b.Fatal(err)
		}
		h.Free()
	}
}

func BenchmarkCopy(b *testing.B) {
	m := newMemory(b)
	fh := publish(b, m, make([]byte, 1500)).FH()
	dst := make([]byte, 4096)
	b.ReportAllocs()
	for b.Loop() {
		h, _ := m.Find(fh)
		h.Copy(dst, 0)
	}
}

func BenchmarkPark(b *testing.B) {
	m := newMemory(b)
	request := make([]byte, 64)
	b.ReportAllocs()
	for b.Loop() {
		p, _ := m.Park(request)
		m.Answered(p)
	}
}

// BenchmarkRecover is the Open of a successor, with 1000 files open.
func BenchmarkRecover(b *testing.B) {
	f := newFile(b)
	m := open(b, f)
	for range 1000 {
		publish(b, m, make([]byte, 1500))
	}
	for b.Loop() {
		next, err := Open(f)
		if err != nil {
			b.Fatal(err)
		}
		next.Close()
	}
}
