package contain

import (
	"bytes"
	"fmt"
	"os"
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// locksRoot reports whether the root file system is to be read-only and nobody has to
// write to it before, but to make what stage.Area.ReadOnlyRoot makes.
func (j *job) locksRoot() (bool, error) {
	if !j.doc.Spec.Root.Readonly || j.hooksMayWrite() {
		return false, nil
	}
	// What crun calls handlers may put files of theirs there.
	if _, ok := j.doc.Spec.Annotations["run.oci.handler"]; ok {
		return false, nil
	}
	// Runtimes add a mount for the socket that systemd listens to.
	environment, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", j.PID))
	if err != nil {
		return false, err
	}
	return !bytes.Contains(append([]byte{0}, environment...), []byte("\x00NOTIFY_SOCKET=")), nil
}

// hooksMayWrite reports whether there are hooks which come after the mounts and before the
// root is read-only, besides cloister's and the one of docker's for networks.
func (j *job) hooksMayWrite() bool {
	other := func(h *specs.Hook) bool {
		return h.Path != j.Hook && (len(h.Args) == 0 || h.Args[0] != "libnetwork-setkey")
	}
	return slices.ContainsFunc([]string{"prestart", "createRuntime", "createContainer"}, func(stage string) bool {
		return j.doc.HasHook(stage, other)
	})
}
