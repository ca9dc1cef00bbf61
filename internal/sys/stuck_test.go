package sys

import (
	"os"
	"os/exec"
	"testing"
)

func TestStuck(t *testing.T) {
	if Stuck(os.Getpid()) {
		t.Error("a process that runs is stuck")
	}
	cmd := exec.Command("true")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	pid := cmd.Process.Pid
	for !Stuck(pid) { // a zombie, in the end
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if !Stuck(pid) {
		t.Error("a process that is gone is not stuck")
	}
}
