// Command scale measures what many containers cost: attaching their views, the memory of
// the daemon and the kernel, and how long a read of one among many takes. It needs root.
//
// Most of the containers are views of a real one's cgroup, asked of the daemon as those of
// containers in a container are; a part of them is attached in mount namespaces of their
// own. Everything is removed at the end, and what then remains is told.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"text/tabwriter"
	"time"

	"cloister/bench/stand"
)

func init() {
	// The first thread's mount namespace is what the children get.
	runtime.LockOSThread()
}

func main() {
	program := flag.String("cloister", "bin/cloister", "the program to measure")
	engine := flag.String("runtime", "runc", "low-level runtime")
	attached := flag.Int("attached", 1000, "containers with views in a mount namespace of their own")
	slots := flag.Int("slots", 10000, "containers in all")
	flag.Parse()
	if err := run(*program, *engine, *attached, *slots); err != nil {
		fmt.Fprintln(os.Stderr, "bench/scale:", err)
		os.Exit(1)
	}
}

func run(program, engine string, attached, slots int) (err error) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := manyFiles(); err != nil {
		return err
	}
	s, err := stand.New(program, engine)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if err := s.Daemon(ctx); err != nil {
		return err
	}
	b := &bench{stand: s}
	if err := b.findDaemon(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.killSleepers()) }()
	return b.measure(ctx, attached, slots)
}

// manyFiles lets the daemon, which inherits it, have as many files open as possible.
func manyFiles() error {
	const most = 1 << 20 // the default of fs.nr_open
	if syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: most, Max: most}) == nil {
		return nil
	}
	var own syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &own); err != nil {
		return os.NewSyscallError("getrlimit", err)
	}
	own.Cur = own.Max
	return os.NewSyscallError("setrlimit", syscall.Setrlimit(syscall.RLIMIT_NOFILE, &own))
}

// measure takes the containers through their lives.
func (b *bench) measure(ctx context.Context, attached, slots int) error {
	if err := b.grow(ctx, 1); err != nil {
		return err
	}
	if err := b.startSleepers(ctx, attached); err != nil {
		return err
	}
	first, err := b.state(ctx, 1)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 3, ' ', tabwriter.AlignRight)
	defer w.Flush()
	fmt.Fprintf(w, "containers\tmeminfo, p50\tto the first's\tregister, p50\tp99\tattach, p50\tp99\tto the bare calls\tdaemon each\tslab each\tfiles\tidle CPU\t\n")
	before := first.memory
	b.row(w, first, before)
	b.registering = nil
	for _, n := range []int{attached, slots} {
		if err := b.grow(ctx, n); err != nil {
			return err
		}
		if b.attaching == nil {
			if err := b.attach(ctx); err != nil {
				return err
			}
		}
		now, err := b.state(ctx, n)
		if err != nil {
			return err
		}
		b.row(w, now, before)
	}
	stall, err := b.restart(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "a read over the death of the worker took %v\n", stall.Round(time.Millisecond))
	return b.tearDown(ctx, w, before)
}

// row prints how things are.
func (b *bench) row(w *tabwriter.Writer, s *state, before memory) {
	daemon, slab, bare := "", "", ""
	if len(b.barely) > 0 {
		bare = fmt.Sprintf("%.2f×", float64(quantile(b.attaching, 0.5))/float64(quantile(b.barely, 0.5)))
	}
	if s.containers > 1 {
		each := int64(s.containers - 1)
		daemon = fmt.Sprintf("%.1f KiB", float64(s.memory.daemon-before.daemon)/float64(each)/1024)
		slab = fmt.Sprintf("%.1f KiB", float64(s.memory.slab-before.slab)/float64(each)/1024)
	}
	fmt.Fprintf(w, "%d\t%v\t%.2f×\t%v\t%v\t%v\t%v\t%s\t%s\t%s\t%d\t%.2f %%\t\n", s.containers, s.many, float64(s.many)/float64(s.alone),
		quantile(b.registering, 0.5), quantile(b.registering, 0.99), quantile(b.attaching, 0.5), quantile(b.attaching, 0.99), bare, daemon, slab, s.memory.files, 100*s.idle.Seconds())
}

// tearDown removes all but the first container, and tells what remains.
func (b *bench) tearDown(ctx context.Context, w *tabwriter.Writer, before memory) error {
	begin := time.Now()
	if err := b.killSleepers(); err != nil {
		return err
	}
	if err := b.shrink(); err != nil {
		return err
	}
	fmt.Fprintf(w, "torn down in %v\n", time.Since(begin).Round(time.Millisecond))
	for _, wait := range []time.Duration{0, 5 * time.Second, 10 * time.Second} {
		select {
		case <-ctx.Done():
			return errors.New("interrupted")
		case <-time.After(wait):
		}
		m, err := b.memory()
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "%v later: daemon %+d KiB, slab %+d KiB to the start, %d open files\n", wait, (m.daemon-before.daemon)>>10, (m.slab-before.slab)>>10, m.files)
	}
	return nil
}
