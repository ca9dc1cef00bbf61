package keeper

import (
	"errors"
	"os/exec"
	"testing"
)

func TestExit(t *testing.T) {
	for script, want := range map[string]exit{
		"exit 0":        {reason: "exited with status 0", crashed: true, byOthers: true},
		"exit 1":        {reason: "exited with status 1"},
		"exit 2":        {reason: "exited with status 2", crashed: true},
		"kill -ABRT $$": {reason: "was killed by SIGABRT", crashed: true},
		"kill -KILL $$": {reason: "was killed by SIGKILL", crashed: true, byOthers: true},
	} {
		cmd := exec.Command("/bin/sh", "-c", script)
		err := cmd.Run()
		got := exitOf(cmd.ProcessState)
		if got.reason != want.reason || got.crashed != want.crashed || got.byOthers != want.byOthers {
			t.Errorf("%s: got %+v, want %+v", script, *got, want)
		}
		var status *exec.ExitError
		if (err == nil) != (got.err == nil) || err != nil && !errors.As(got.err, &status) {
			t.Errorf("%s: got error %v, want as %v", script, got.err, err)
		}
	}
}
