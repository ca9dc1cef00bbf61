package contain

import (
	"os"
	"os/exec"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"cloister/internal/api"
	"cloister/runtimehook/spec"
)

func TestReadOnlyRootIsLockedUnlessSomebodyWritesToIt(t *testing.T) {
	hook := func(stage, path string, args ...string) func(*spec.Document) {
		return func(d *spec.Document) { d.AddHook(stage, specs.Hook{Path: path, Args: args}) }
	}
	tests := []struct {
		name   string
		change func(*spec.Document)
		want   bool
	}{
		{"docker's own hook", func(*spec.Document) {}, true},
		{"cloister's", hook("prestart", "/usr/bin/cloister", "cloister", "hook"), true},
		{"hook in the container", hook("startContainer", "/h"), true},
		{"hook after it", hook("poststop", "/h"), true},
		{"writable", func(d *spec.Document) { d.Spec.Root.Readonly = false }, false},
		{"prestart hook", hook("prestart", "/h", "h"), false},
		{"createRuntime hook", hook("createRuntime", "/h"), false},
		{"createContainer hook", hook("createContainer", "/h"), false},
		{"handler of crun's", func(d *spec.Document) { d.Spec.Annotations = map[string]string{"run.oci.handler": "krun"} }, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := locksRoot(t, os.Getpid(), tt.change); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
	t.Run("socket of systemd's", func(t *testing.T) {
		c := exec.Command("cat")
		c.Env = []string{"A=b", "NOTIFY_SOCKET=/run/s"}
		in, err := c.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = in.Close(); _ = c.Wait() }()
		if locksRoot(t, c.Process.Pid, func(*spec.Document) {}) {
			t.Error("it is locked, and the runtime can't make the socket's mount point")
		}
	})
}

func locksRoot(t *testing.T, pid int, change func(*spec.Document)) bool {
	t.Helper()
	j := newJob(t, recorded(t, "docker.json"), api.Grant{})
	j.Hook, j.PID = "/usr/bin/cloister", pid
	j.doc.Spec.Root.Readonly = true
	change(j.doc)
	locked, err := j.locksRoot()
	if err != nil {
		t.Fatal(err)
	}
	return locked
}
