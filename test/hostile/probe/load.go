package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// load has threads in calls until its input ends: most ask for the total of memory, the
// others mount proc, each at a place of its own. All answers must be right. It says "ready"
// when all have begun.
func load(args []string) error {
	flags := flag.NewFlagSet("load", flag.ContinueOnError)
	threads := flags.Int("threads", 100, "how many; one in ten mounts")
	total := flags.String("total", "", "MemTotal of the container")
	pester := flags.Bool("pester", false, "have signals interrupt the calls")
	if err := flags.Parse(args); err != nil {
		return err
	}
	l := &loader{total: *total}
	for i := range *threads {
		do := l.ask
		if i%10 == 0 {
			do = l.mount
		}
		l.begun.Add(1)
		l.ended.Go(func() { l.loop(i, do) })
	}
	l.begun.Wait()
	if *pester {
		l.ended.Go(l.pester)
	}
	fmt.Println("ready")
	_, err := io.Copy(io.Discard, os.Stdin)
	l.stop.Store(true)
	l.ended.Wait()
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]any{"Calls": l.calls.Load(), "Wrong": l.wrong})
}

type loader struct {
	total        string
	begun, ended sync.WaitGroup
	stop         atomic.Bool
	calls        atomic.Int64
	threads      sync.Map // by their ids
	mu           sync.Mutex
	wrong        []string // protected by mu
}

// pester sends signals to all threads that make calls. They are handled, and the kernel
// restarts what they interrupt.
func (l *loader) pester() {
	handled := make(chan os.Signal, 1)
	signal.Notify(handled, unix.SIGUSR1)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !l.stop.Load() {
		<-tick.C
		l.threads.Range(func(tid, _ any) bool {
			return unix.Tgkill(os.Getpid(), tid.(int), unix.SIGUSR1) == nil
		})
	}
}

func (l *loader) loop(i int, do func(i int) error) {
	runtime.LockOSThread() // and not unlocked: the thread ends with the loop
	tid := unix.Gettid()
	l.threads.Store(tid, nil)
	defer l.threads.Delete(tid)
	for first := true; first || !l.stop.Load(); first = false {
		err := do(i)
		l.calls.Add(1)
		if err != nil {
			l.mu.Lock()
			if len(l.wrong) < 20 {
				l.wrong = append(l.wrong, err.Error())
			}
			l.mu.Unlock()
		}
		if first {
			l.begun.Done()
		}
	}
}

func (l *loader) ask(int) error {
	got, err := sysinfoTotal(nil, nil)
	if err != nil || got != l.total {
		return fmt.Errorf("sysinfo: %q, %s", got, answer(err))
	}
	return nil
}

func (l *loader) mount(i int) error {
	dir := fmt.Sprintf("/tmp/load%d", i)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := native.mount("proc", dir, "proc", 0, ""); err != nil {
		return fmt.Errorf("mount: %w", err)
	}
	got, err := total(nil, []string{dir + "/meminfo"})
	if err != nil || got != l.total {
		return fmt.Errorf("%s/meminfo: %q, %s", dir, got, answer(err))
	}
	if err := native.umount(dir, unix.MNT_DETACH); err != nil {
		return fmt.Errorf("umount: %w", err)
	}
	// One mount is one, also if its answer was lost and it was made again.
	if err := native.umount(dir, unix.MNT_DETACH); err == nil {
		return fmt.Errorf("%s was mounted on twice", dir)
	}
	return nil
}

// latency prints percentiles of how long sysinfo(2) takes, in microseconds.
func latency(args []string) error {
	flags := flag.NewFlagSet("latency", flag.ContinueOnError)
	duration := flags.Duration("for", time.Second, "how long to measure")
	if err := flags.Parse(args); err != nil {
		return err
	}
	m, err := lowMemory(4096)
	if err != nil {
		return err
	}
	var all []time.Duration
	for end := time.Now().Add(*duration); time.Now().Before(end); {
		begin := time.Now()
		if _, err := native.call(callSysinfo, m.address()); err != nil {
			return err
		}
		all = append(all, time.Since(begin))
	}
	slices.Sort(all)
	at := func(p int) int64 { return all[(len(all)-1)*p/100].Microseconds() }
	return json.NewEncoder(os.Stdout).Encode(map[string]int64{"P50": at(50), "P99": at(99), "Max": at(100)})
}
