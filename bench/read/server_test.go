package read

import (
	"os"
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"
)

func TestPin(t *testing.T) {
	cmd := exec.Command("sleep", "1000")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	affinity := func() (set unix.CPUSet) {
		t.Helper()
		if err := unix.SchedGetaffinity(cmd.Process.Pid, &set); err != nil {
			t.Fatal(err)
		}
		return set
	}
	before := affinity()
	cpu, err := lastCPU()
	if err != nil {
		t.Fatal(err)
	}
	p, err := pin(cpu, []int{cmd.Process.Pid})
	if err != nil {
		t.Fatal(err)
	}
	if now := affinity(); now.Count() != 1 || !now.IsSet(cpu) {
		t.Errorf("pinned: got %v, want CPU %d alone", now, cpu)
	}
	if err := p.undo(); err != nil {
		t.Fatal(err)
	}
	if now := affinity(); now != before {
		t.Errorf("afterwards: got %v, want %v", now, before)
	}
	if _, err := pin(cpu, []int{1 << 22}); err == nil {
		t.Error("a process that does not exist was pinned")
	}
}

func TestCPUTime(t *testing.T) {
	got, err := cpuTime(os.Getpid())
	if err != nil || got <= 0 {
		t.Errorf("of this process: got %v, %v", got, err)
	}
	// Process ids are smaller (PID_MAX_LIMIT).
	if _, err := cpuTime(1 << 22); err == nil {
		t.Error("a process that does not exist has CPU time")
	}
}
