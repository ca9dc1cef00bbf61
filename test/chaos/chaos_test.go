//go:build chaos

package chaos

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"
)

var full = flag.Bool("full", false, "disturb the daemon a few hundred times, and not a few dozen")

const (
	idle    = 50 // containers
	readers = 16
	churns  = 2 // containers that come and go at a time
	between = 400 * time.Millisecond
)

func TestChaos(t *testing.T) {
	w := newWorld(t)
	mountsBefore := mounts(1)
	containers := start(t, w)
	plan := short
	if *full {
		plan = long
	}
	m := &troublemaker{world: w}
	if err := m.perform(killWorker); err != nil { // from here on all workers have been resumed
		t.Fatal(err)
	}
	before, err := w.measure(containers[0])
	if err != nil {
		t.Fatal(err)
	}
	t.Log("before: ", before)

	a, err := w.admit(readers, containers)
	if err != nil {
		t.Fatal(err)
	}
	made := disturb(t, m, a, plan)
	if err := a.dismiss(); err != nil {
		t.Errorf("%v\n%s", err, w.log())
	}
	t.Logf("%d reads with %d calls, %d injected errors; %d containers came and went", a.tally.Reads, a.tally.Calls, a.tally.Injected, made)
	t.Log(summary(m.moments, a.stalls))
	if err := m.counted(); err != nil {
		t.Error(err)
	}
	settled(t, w, containers[0], before)
	if n := mounts(1); n != mountsBefore {
		t.Errorf("the host has %d mounts, before %d", n, mountsBefore)
	}
}

// start starts the containers that stay.
func start(t *testing.T, w *world) (containers []*container) {
	t.Helper()
	t.Cleanup(func() {
		for _, c := range containers {
			if err := w.remove(c); err != nil {
				t.Error(err)
			}
		}
		err := eventually("nothing is left of the containers", func() bool {
			u, err := w.Client.Status()
			return err == nil && u.Containers == 0 && u.IDRegion.Used == 0
		})
		if err != nil {
			t.Error(err)
		}
	})
	for i := range idle {
		c, err := w.sleeping(fmt.Sprintf("idle-%d", i), i)
		if err != nil {
			t.Fatalf("%v\n%s", err, w.log())
		}
		containers = append(containers, c)
	}
	return containers
}

// disturb carries out a plan, while containers come and go. It returns how many did.
func disturb(t *testing.T, m *troublemaker, a *audience, p plan) (made int) {
	t.Helper()
	stop := make(chan struct{})
	var churning sync.WaitGroup
	var mu sync.Mutex
	for i := range churns {
		churning.Go(func() {
			n, err := m.churn(fmt.Sprintf("churn-%d", i), stop)
			if err != nil {
				t.Errorf("%s: %v", time.Now().Format(time.StampMilli), err)
			}
			mu.Lock()
			made += n
			mu.Unlock()
		})
	}
	defer churning.Wait()
	defer close(stop)
	for _, d := range p.order() {
		select {
		case <-a.trouble:
			t.Error("a read hangs, or too many have failed: the rest of the plan is left out")
			return made
		case <-time.After(rand.N(between)):
		}
		if err := m.perform(d); err != nil {
			t.Errorf("%s: %v\n%s", time.Now().Format(time.StampMilli), err, m.log())
			return made
		}
	}
	return made
}

// settled waits until nothing more is used than before.
func settled(t *testing.T, w *world, c *container, before *usage) {
	t.Helper()
	var now *usage
	var err error
	_ = eventually("nothing more is used than before", func() bool {
		if now, err = w.measure(c); err == nil {
			err = now.grown(before)
		}
		return err == nil
	})
	if err != nil {
		t.Error(err)
	}
	t.Log("after: ", now)
}

// summary says how long the readers waited because of each disturbance: the longest call
// of each counts. A call was held up by the last thing that happened before it ended.
func summary(moments []moment, stalls []*stall) string {
	most := make([]time.Duration, len(moments))
	for _, s := range stalls {
		for i, m := range slices.Backward(moments) {
			if m.begin.Before(s.End) {
				most[i] = max(most[i], s.End.Sub(s.Begin))
				break
			}
		}
	}
	longest := map[disturbance][]time.Duration{}
	for i, m := range moments {
		longest[m.disturbance] = append(longest[m.disturbance], most[i])
	}
	text := "longest stall of a call, over the disturbances:\n"
	for _, d := range []disturbance{killWorker, killTwice, terminate, hangup, upgrade, killKeeper, crash, stopWorker} {
		all := longest[d]
		if len(all) == 0 {
			continue
		}
		slices.Sort(all)
		text += fmt.Sprintf("%30s %4d times: half within %v, 95 %% within %v, longest %v\n", d, len(all), ms(all[len(all)/2]), ms(all[len(all)*95/100]), ms(all[len(all)-1]))
	}
	return text
}

func ms(d time.Duration) time.Duration { return d.Round(100 * time.Microsecond) }
