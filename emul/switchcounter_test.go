package emul

import (
	"strings"
	"testing"

	"cloister/cgroupview"
	"cloister/cgroupview/cgrouptest"
)

func TestSwitchCounter(t *testing.T) {
	type seen = []taskSwitches
	type pass struct {
		tasks seen
		cut   bool // the list of tasks
		want  uint64
	}
	for _, tt := range []struct {
		name   string
		before uint64
		passes []pass
	}{
		{"the first pass counts all", 0, []pass{{seen{{1, 1, 10}, {2, 2, 5}}, false, 15}, {seen{{1, 1, 12}, {2, 2, 9}}, false, 6}}},
		{"a new task is counted whole", 0, []pass{{seen{{5, 5, 10}}, false, 10}, {seen{{2, 9, 3}, {5, 5, 10}, {7, 7, 4}}, false, 7}}},
		{"a task that ended stays counted", 0, []pass{{seen{{1, 1, 10}, {2, 2, 90}}, false, 100}, {seen{{1, 1, 10}}, false, 0}, {nil, false, 0}}},
		{"the number is another task's, by its count", 0, []pass{{seen{{1, 0, 10}}, false, 10}, {seen{{1, 0, 4}}, false, 4}}},
		{"the number is another task's, by its id", 0, []pass{{seen{{1, 5, 10}}, false, 10}, {seen{{1, 6, 11}}, false, 11}}},
		{"tasks are cut off and come again", 0, []pass{
			{seen{{1, 1, 10}, {2, 2, 20}}, false, 30},
			{seen{{1, 1, 11}}, true, 1},
			{seen{{1, 1, 11}, {2, 2, 25}}, false, 0}, // the 5 are lost, the 20 not counted twice
			{seen{{1, 1, 11}, {2, 2, 26}}, false, 1},
		}},
		{"continued", 12, []pass{{seen{{1, 1, 10}, {2, 2, 5}}, false, 3}, {seen{{1, 1, 11}, {2, 2, 5}}, false, 1}}},
		{"continued, but a task has ended", 100, []pass{{seen{{1, 1, 10}}, false, 0}, {seen{{1, 1, 12}}, false, 2}}},
	} {
		c := switchCounter{before: tt.before}
		for i, p := range tt.passes {
			if got, _ := c.pass(p.tasks, !p.cut); got != p.want {
				t.Errorf("%s: pass %d has %d new switches, want %d", tt.name, i, got, p.want)
			}
		}
	}
}

// What is remembered of a crowd goes with it.
func TestSwitchCounterForgets(t *testing.T) {
	var c switchCounter
	c.pass(make([]taskSwitches, 10000), true)
	c.pass(make([]taskSwitches, 10), true)
	if got := cap(c.tasks); got > 1000 {
		t.Errorf("room for %d tasks, want some for 10", got)
	}
}

func ctxt(tb testing.TB, c *Container) uint64 {
	tb.Helper()
	return statLine(tb, readFile(tb, c, "proc/stat"), "ctxt")[0]
}

func TestContextSwitches(t *testing.T) {
	worker := cgrouptest.Task{TID: 501, Comm: "worker", NSpid: []int{2}, VoluntarySwitches: 40, NonvoluntarySwitches: 2}
	r := newRig(t, cgroupview.Unified, func(r *rig) { r.cgroup.AddTask(worker) })
	want := uint64(42) // at the first read
	check := func(when string) {
		t.Helper()
		if got := ctxt(t, r.c); got != want {
			t.Errorf("%s ctxt %d, want %d", when, got, want)
		}
	}
	check("at the first read")

	worker.VoluntarySwitches = 50
	r.cgroup.SetTask(worker)
	r.tickLoads(1)
	want += 10
	check("after more")

	// The daemon is started again while the task goes on.
	worker.VoluntarySwitches = 55
	r.cgroup.SetTask(worker)
	r.c = r.restart(r.c)
	want += 5
	check("after a restart")

	r.cgroup.Update(func(v *cgrouptest.Values) { v.Tasks = []int{500} })
	r.tickLoads(1)
	check("after the task has ended")
	r.c = r.restart(r.c)
	check("after another restart")

	// Its number is given to a task that switches more often.
	r.cgroup.AddTask(cgrouptest.Task{TID: 501, Comm: "next", NSpid: []int{3}, VoluntarySwitches: 60})
	r.tickLoads(1)
	want += 60
	check("with a new task")
}

// A task with so many groups that its counts are out of sight still counts as running,
// and its switches when they are in sight again.
func TestContextSwitchesOutOfSight(t *testing.T) {
	task := cgrouptest.Task{TID: 501, Comm: "groups", State: 'R', NSpid: []int{2}, VoluntarySwitches: 40}
	r := newRig(t, cgroupview.Unified, func(r *rig) { r.cgroup.AddTask(task) })
	r.fake.Write("proc/501/status", "Name:\tgroups\nState:\tR (running)\nGroups:\t"+strings.Repeat("100000 ", 1000)+
		"\nNSpid:\t501\t2\nvoluntary_ctxt_switches:\t41\nnonvoluntary_ctxt_switches:\t0\n")
	r.tickLoads(1)
	if got := ctxt(t, r.c); got != 40 || r.c.view.load.running != 1 {
		t.Errorf("ctxt %d, %d running, want 40, 1", got, r.c.view.load.running)
	}
	task.VoluntarySwitches = 45
	r.cgroup.SetTask(task)
	r.tickLoads(1)
	if got := ctxt(t, r.c); got != 45 {
		t.Errorf("ctxt %d, want 45", got)
	}
}

// Of a container with more tasks than its share, the first stand for the rest.
func TestContextSwitchesBounded(t *testing.T) {
	r := newRig(t, cgroupview.Unified, nil)
	task := func(tid int, switches uint64) cgrouptest.Task {
		return cgrouptest.Task{TID: tid, Comm: "task", NSpid: []int{tid - 499}, VoluntarySwitches: switches}
	}
	for tid := 501; tid < 540; tid++ {
		r.cgroup.AddTask(task(tid, 100))
	}
	r.tickLoads(1)
	for tid := 501; tid < 540; tid++ {
		r.cgroup.SetTask(task(tid, 103))
	}
	r.step(testPeriod)
	before := ctxt(t, r.c)
	if err := r.c.count(r.clock.now(), new(taskScratch), 10); err != nil {
		t.Fatal(err)
	}
	if got := ctxt(t, r.c) - before; before != 3900 || got != 9*3*4 {
		t.Errorf("%d, then %d more, want 3900, 108", before, got)
	}
}
