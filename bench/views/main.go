// Command views measures what it costs to render the files of a container, on the
// running kernel and in cgroups that it makes for this. It needs root.
//
// Each figure is set beside a read of the kernel's own file in the same run. Serving a
// file through FUSE comes on top.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"text/tabwriter"
	"time"

	"cloister/emul"
)

func main() {
	testing.Init()
	tasks := flag.Int("tasks", 10000, "tasks of the container whose load is sampled")
	benchtime := flag.String("benchtime", "50ms", "how long each figure is measured")
	idle := flag.Int("idle", 0, "be a process with so many sleeping tasks")
	flag.Parse()
	if *idle > 0 {
		sleepingTasks(*idle)
		return
	}
	if err := flag.Set("test.benchtime", *benchtime); err != nil {
		fatal(err)
	}
	if err := run(*tasks); err != nil {
		fatal(err)
	}
}

func fatal(err error) {
	fmt.Fprintln(os.Stderr, "bench/views:", err)
	os.Exit(1)
}

func run(tasks int) (err error) {
	g, err := newGroups()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, g.remove()) }()
	fmt.Printf("cgroups: %v\n\n", g.layout.Mode())
	for _, measure := range []func(*groups) error{renders, containers, func(g *groups) error { return sampling(g, tasks) }} {
		if err := measure(g); err != nil {
			return err
		}
		fmt.Println()
	}
	return nil
}

// always takes a new sample at each read, which is the worst case.
const always = time.Nanosecond

// renders measures every file: from a sample that is still good, and with a new one of
// host and container at each read, in a cgroup below the root and in a deep one.
func renders(g *groups) error {
	warm, err := open(g, "/warm", time.Hour)
	if err != nil {
		return err
	}
	defer warm.close()
	flat, err := open(g, "/flat", always)
	if err != nil {
		return err
	}
	defer flat.close()
	deep, err := open(g, "/2/3/4/5/6/7", always)
	if err != nil {
		return err
	}
	defer deep.close()

	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "file\tkernel's own, µs\twarm\tratio\tallocations\tnew sample\tratio\tat depth 7\tratio\t")
	for id, f := range emul.Files() {
		kernel, ok := kernels(f.Path)
		if !ok || f.Dir {
			continue
		}
		if _, err := warm.c.Render(nil, emul.FileID(id), 0); err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", f.Path, err)
			continue
		}
		own := testing.Benchmark(kernel)
		a, b, c := warm.render(id), flat.render(id), deep.render(id)
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%s\t%s\t%s\t%s\t\n", f.Path, µs(own),
			µs(a), ratio(a, own), a.AllocsPerOp(), µs(b), ratio(b, own), µs(c), ratio(c, own))
	}
	return w.Flush()
}

// kernels returns what reads the kernel's file from a descriptor that is kept. A file of
// a series is that of its first member; false if there is none.
func kernels(path string) (func(*testing.B), bool) {
	f, err := os.Open("/" + strings.Replace(path, "*", "0", 1))
	if err != nil {
		return nil, false
	}
	return func(b *testing.B) {
		buf := make([]byte, 1<<20)
		for b.Loop() {
			for n := 0; ; {
				m, err := f.ReadAt(buf[n:], int64(n))
				n += m
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					b.Fatal(err)
				}
			}
		}
	}, true
}

// containers measures one file in turn over many containers, with a new sample at each
// read: what one costs must not depend on how many there are.
func containers(g *groups) error {
	meminfo := slices.IndexFunc(emul.Files(), func(f emul.File) bool { return f.Path == "proc/meminfo" })
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "containers\tmeminfo with a new sample, µs\tratio\t")
	var first testing.BenchmarkResult
	for _, n := range []int{1, 100, 1000} {
		n = min(n, mostContainers())
		all, err := openMany(g, n)
		if err != nil {
			return err
		}
		r := testing.Benchmark(func(b *testing.B) {
			buf := make([]byte, 0, 64<<10)
			for i := 0; b.Loop(); i++ {
				if _, err := all.containers[i%n].Render(buf, emul.FileID(meminfo), 0); err != nil {
					b.Fatal(err)
				}
			}
		})
		all.close()
		if n == 1 {
			first = r
		}
		fmt.Fprintf(w, "%d\t%s\t%s\t\n", n, µs(r), ratio(r, first))
	}
	return w.Flush()
}

// mostContainers is how many can be open at a time: each keeps some 30 files.
func mostContainers() int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 100
	}
	return int(limit.Cur / 32)
}

// sampling measures the counting of a container's tasks, which is done when it is made
// and once every 5 seconds.
func sampling(g *groups, tasks int) error {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "tasks\tto count them, ms\tµs for each\tof one CPU, every 5 s\t")
	for _, n := range []int{1, tasks / 100, tasks} {
		name := fmt.Sprintf("/tasks%d", n)
		stop, err := g.fill(name, n)
		if err != nil {
			return err
		}
		r := testing.Benchmark(func(b *testing.B) {
			for b.Loop() {
				s, err := open(g, name, time.Hour)
				if err != nil {
					b.Fatal(err)
				}
				s.close()
			}
		})
		if err := stop(); err != nil {
			return err
		}
		each := float64(r.NsPerOp())
		fmt.Fprintf(w, "%d\t%.2f\t%.1f\t%.2f %%\t\n", n, each/1e6, each/1e3/float64(n), each/5e9*100)
	}
	return w.Flush()
}

func µs(r testing.BenchmarkResult) string { return fmt.Sprintf("%.1f", float64(r.NsPerOp())/1e3) }

func ratio(r, to testing.BenchmarkResult) string {
	return fmt.Sprintf("%.2f", float64(r.NsPerOp())/float64(to.NsPerOp()))
}
