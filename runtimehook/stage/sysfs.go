package stage

import (
	"fmt"

	"cloister/internal/sys"
)

// Sysfs stages the sysfs of a network namespace that the container is to join but
// does not own, and returns its path: the container itself is not allowed to mount
// that one, and the runtime may fall back to the host's.
func (a *Area) Sysfs(netns *sys.Namespace, readOnly bool) (string, error) {
	target := a.path("sysfs")
	if err := makeMountPoint(target, true); err != nil {
		return "", fmt.Errorf("stage sysfs: %w", err)
	}
	err := sys.InNetwork(netns, func() error { return sys.MountSysfs(target, readOnly) })
	if err != nil {
		return "", fmt.Errorf("stage sysfs: %w", err)
	}
	a.unsealed = append(a.unsealed, target)
	return target, nil
}
