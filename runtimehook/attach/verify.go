// Package attach is what the prestart hook does to a container that is about to
// start: it verifies that the runtime has made what the config says, and replaces the
// container's proc and sysfs by sealed ones, which have its views.
//
// At this point all mounts of the config have been made, and the container has not
// run its first instruction. The hook runs in the runtime's namespaces, so what it calls
// the host's namespaces are its own.
package attach

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"cloister/internal/sys"
)

// ErrNotIsolated is wrapped by the error for a container that shares with the
// host what it must not.
var ErrNotIsolated = errors.New("the container is not isolated from the host")

// ownNamespaces are those that a container never shares with the host, by their
// names in /proc/<pid>/ns.
var ownNamespaces = []string{"user", "pid", "mnt", "ipc", "uts", "net"}

// Verify makes sure that process pid, the container's init, is in namespaces of
// its own: those that isolation needs, and the promised ones besides.
func Verify(pid int, promised []string) error {
	var shared []string
	for _, kind := range slices.Concat(ownNamespaces, promised) {
		same, err := sharesNamespace(pid, kind)
		if err != nil {
			return fmt.Errorf("verify the container's %s namespace: %w", kind, err)
		}
		if same {
			shared = append(shared, kind)
		}
	}
	if len(shared) > 0 {
		return fmt.Errorf("%w: it shares the host's namespaces [%s]", ErrNotIsolated, strings.Join(shared, " "))
	}
	return nil
}

func sharesNamespace(pid int, kind string) (bool, error) {
	own, err := sys.OpenThreadNamespace(kind)
	if err != nil {
		return false, err
	}
	defer own.Close()
	its, err := sys.OpenPIDNamespace(pid, kind)
	if err != nil {
		return false, err
	}
	defer its.Close()
	return own.ID() == its.ID(), nil
}
