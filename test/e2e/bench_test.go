//go:build e2e

package e2e

import (
	"fmt"
	"testing"

	"cloister/bench/read"
)

func TestBenchRead(t *testing.T) {
	need(t, "runc")
	t.Cleanup(func() { settled(t) })
	name := ownName("read")
	runUntilTheEnd(t, name, "-m", "256m")
	status, err := world.Daemon.Client.Status()
	if err != nil {
		t.Fatal(err)
	}
	affinity := func() string {
		return sh(t, "sh", "-c", fmt.Sprintf("grep -h Cpus_allowed_list /proc/%d/task/*/status | sort -u", status.WorkerPID)).out(t)
	}
	before := affinity()

	var r read.Result
	decode(t, cli(t, "bench", "read", name, "--duration", "1s", "--files", "/proc/meminfo,/proc/uptime", "--json"), &r)
	if len(r.Cases) == 0 || len(r.Goals) == 0 || len(r.Sizes) != 2 {
		t.Errorf("got %+v", r)
	}
	for _, m := range r.Cases {
		if m.Kernel.P50 <= 0 || m.Cloister.P50 <= 0 || m.Cloister.OpsPerSecond <= 0 || m.Cloister.ToKernel == nil || m.LXCFS != nil {
			t.Errorf("%v: got %+v", m.Case, m)
		}
	}
	if now := affinity(); now != before {
		t.Errorf("the daemon's threads may run on %s, before on %s", now, before)
	}
	cli(t, "bench", "read", "--files", "/proc/version").refused(t, "/proc/version is no view in container")
	cli(t, "bench", "read", "nobody").refused(t, "no such container")
}
