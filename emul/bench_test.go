package emul

import (
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"cloister/cgroupview"
	"cloister/cgroupview/cgrouptest"
)

// BenchmarkRender renders from a sample that is still good (warm, and inline by
// TryRender), and with a new sample of host and container for each read (cold).
func BenchmarkRender(b *testing.B) {
	for depth, path := range map[string]string{"depth1": "/x", "depth7": "/a/b/c/d/e/f/x"} {
		for name, period := range map[string]time.Duration{"warm": time.Hour, "cold": time.Nanosecond} {
			fake := cgrouptest.New(b, cgroupview.Unified)
			cgroup := fake.Cgroup(path)
			cgroup.AddTask(initTask)
			cgroup.Update(goldenValues)
			host, err := NewHost(HostOptions{Root: fake.Root, Period: period})
			if err != nil {
				b.Fatal(err)
			}
			defer host.Close()
			c, err := host.NewContainer(ContainerConfig{Group: cgroup.Open(), PID: initTask.TID})
			if err != nil {
				b.Fatal(err)
			}
			defer c.Close()
			for _, id := range supported(b, host) {
				buf := make([]byte, 0, 64<<10)
				b.Run(depth+"/"+name+"/"+files[id].Path, func(b *testing.B) {
					b.ReportAllocs()
					for b.Loop() {
						if _, err := c.Render(buf, id, 0); err != nil {
							b.Fatal(err)
						}
					}
				})
				if _, ok := c.TryRender(buf, id, 0); !ok {
					continue
				}
				b.Run(depth+"/inline/"+files[id].Path, func(b *testing.B) {
					b.ReportAllocs()
					for b.Loop() {
						if _, ok := c.TryRender(buf, id, 0); !ok {
							b.Fatal("declined")
						}
					}
				})
			}
		}
	}
}

func TestRenderDoesNotAllocate(t *testing.T) {
	r := newRig(t, cgroupview.Unified, func(r *rig) { r.cgroup.Update(goldenValues) })
	buf := make([]byte, 0, 64<<10)
	for _, id := range supported(t, r.host) {
		if n := testing.AllocsPerRun(100, func() {
			if _, err := r.c.Render(buf, id, 0); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations per Render, want 0", files[id].Path, n)
		}
	}
}

// BenchmarkParallel has all CPUs read one container.
func BenchmarkParallel(b *testing.B) {
	fake := cgrouptest.New(b, cgroupview.Unified)
	cgroup := fake.Cgroup("/x")
	cgroup.SetTask(initTask)
	host, err := NewHost(HostOptions{Root: fake.Root})
	if err != nil {
		b.Fatal(err)
	}
	defer host.Close()
	c, err := host.NewContainer(ContainerConfig{Group: cgroup.Open(), PID: initTask.TID})
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	id, _, _ := lookUp("proc/meminfo")
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		buf := make([]byte, 0, 4096)
		for pb.Next() {
			if _, err := c.Render(buf, id, 0); err != nil {
				b.Error(err)
			}
		}
	})
}

// BenchmarkSampleLoad counts the tasks of one container, as is done once per
// loadPeriod.
func BenchmarkSampleLoad(b *testing.B) {
	for _, tasks := range []int{1, 100, 1000, 10000} {
		b.Run(strconv.Itoa(tasks), func(b *testing.B) {
			r := newRig(b, cgroupview.Unified, nil)
			var tids []int
			for tid := range tasks {
				r.cgroup.SetTask(cgrouptest.Task{TID: 1000 + tid, Comm: "task", NSpid: []int{tid + 1}})
				tids = append(tids, 1000+tid)
			}
			r.cgroup.Update(func(v *cgrouptest.Values) { v.Tasks = tids })
			scratch := new(taskScratch)
			b.ReportAllocs()
			for b.Loop() {
				r.c.sampleLoad(r.clock.now(), scratch, taskBudget)
			}
		})
	}
}

// BenchmarkCountThreads counts threads of this process, as the kernel tells of them.
func BenchmarkCountThreads(b *testing.B) {
	const threads = 1000
	release := make(chan struct{})
	defer close(release)
	tids := make(chan int)
	var all []int
	for range threads {
		go func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			tids <- unix.Gettid()
			<-release
		}()
		all = append(all, <-tids)
	}
	r := newRig(b, cgroupview.Unified, nil)
	r.cgroup.Update(func(v *cgrouptest.Values) { v.Tasks = all })
	group := r.cgroup.Open()
	defer group.Close()
	counter := newTaskCounter("/", group, os.Getpid(), 0)
	scratch := new(taskScratch)
	b.ReportAllocs()
	for b.Loop() {
		if n, err := counter.count(scratch, taskBudget); err != nil || n.total != threads || n.seen == 0 {
			b.Fatalf("count %+v, %v", n, err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/threads, "ns/task")
}
