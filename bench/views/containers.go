package main

import (
	"fmt"
	"testing"
	"time"

	"cloister/emul"
)

// sample is a container on a host of its own.
type sample struct {
	host *emul.Host
	c    *emul.Container
}

func open(g *groups, path string, period time.Duration) (*sample, error) {
	host, err := emul.NewHost(emul.HostOptions{Period: period})
	if err != nil {
		return nil, err
	}
	c, err := g.container(host, path)
	if err != nil {
		host.Close()
		return nil, err
	}
	return &sample{host, c}, nil
}

func (s *sample) close() {
	s.c.Close()
	s.host.Close()
}

func (s *sample) render(id int) testing.BenchmarkResult {
	return testing.Benchmark(func(b *testing.B) {
		buf := make([]byte, 0, 1<<20)
		b.ReportAllocs()
		for b.Loop() {
			if _, err := s.c.Render(buf, emul.FileID(id), 0); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// many are containers on one host.
type many struct {
	host       *emul.Host
	containers []*emul.Container
}

func openMany(g *groups, n int) (_ *many, err error) {
	m := &many{}
	if m.host, err = emul.NewHost(emul.HostOptions{Period: always}); err != nil {
		return nil, err
	}
	for i := range n {
		c, err := g.container(m.host, fmt.Sprintf("/many%d", i))
		if err != nil {
			m.close()
			return nil, err
		}
		m.containers = append(m.containers, c)
	}
	return m, nil
}

func (m *many) close() {
	for _, c := range m.containers {
		c.Close()
	}
	m.host.Close()
}
