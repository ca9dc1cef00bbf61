package bundle

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// Options describe a container.
type Options struct {
	Name    Name
	Command []string
	// Rootfs is a directory to be the root file system, "" for one that is made
	// of the host's /usr.
	Rootfs     string
	Volumes    []Volume
	Limits     Limits
	Privileged bool
	// Host are the host namespaces that the container is to share.
	Host []specs.LinuxNamespaceType
	// Terminal gives the command a terminal, of the kind that Term names.
	Terminal bool
	Term     string
}

// Limits are what the container may use of the host; the zero value of each is for
// all of it.
type Limits struct {
	Memory     Size
	MemorySwap SwapSize // memory and swap together
	CPUs       CPUs
	CPUSet     CPUSet
}

// minMemory is docker's: with less, the start of a container fails.
const minMemory Size = 6 << 20

func (l *Limits) validate() error {
	swap := Size(l.MemorySwap)
	switch {
	case l.Memory != 0 && l.Memory < minMemory:
		return errors.New("--memory: a container needs 6m at least")
	case swap != 0 && l.Memory == 0:
		return errors.New("--memory-swap: it is the sum of memory and swap, so --memory must be given as well")
	case swap > 0 && swap < l.Memory:
		return errors.New("--memory-swap: it is the sum of memory and swap, so it can't be less than --memory")
	}
	return nil
}

// Validate tells what can't be asked for together.
func (o *Options) Validate() error {
	if err := o.Limits.validate(); err != nil {
		return err
	}
	var targets []string
	for _, v := range o.Volumes {
		target := filepath.Clean(v.Target)
		if slices.Contains(targets, target) {
			return fmt.Errorf("--volume: there are two for %s", target)
		}
		targets = append(targets, target)
	}
	return nil
}
