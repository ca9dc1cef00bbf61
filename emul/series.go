package emul

import (
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// series are things of which a container has a number: each has a directory, whose
// name a star stands for in the path of a File.
type series int

const (
	noSeries series = iota
	// cpuSeries are the CPUs that the container sees. It counts them from 0; the
	// host's numbers are others.
	cpuSeries
	// nodeSeries are the memory nodes that it may use, by the host's numbers: those
	// are what mbind(2) and the like take.
	nodeSeries
)

func seriesOf(path string) series {
	switch {
	case !strings.Contains(path, "*"):
		return noSeries
	case strings.HasPrefix(path, nodeDir+"/"):
		return nodeSeries
	default:
		return cpuSeries
	}
}

// path puts a number in place of the star.
func (s series) path(path string, number int) string {
	if s == noSeries {
		return path
	}
	return strings.Replace(path, "*", strconv.Itoa(number), 1)
}

// first returns the host's number of a member that the host has.
func (s series) first(h *hostSample) int {
	set := h.online
	if s == nodeSeries {
		set = h.nodes
	}
	for n := range set.All() {
		return n
	}
	return 0
}

// ErrNoMember says that a member of a series is not, or no longer, the container's. It
// is the error of the kernel's files when a device is removed.
const ErrNoMember = unix.ENODEV

// number returns the host's number of a member of the container's.
func (v *view) number(s series, member int) (int, bool) {
	switch s {
	case cpuSeries:
		return v.cpus.number(member)
	case nodeSeries:
		return member, v.nodes.Contains(member)
	}
	return 0, member == 0
}

// members returns the members that a container has.
func (v *view) members(s series) []int {
	switch s {
	case cpuSeries:
		all := make([]int, v.cpus.visible)
		for i := range all {
			all[i] = i
		}
		return all
	case nodeSeries:
		return slices.Collect(v.nodes.All())
	}
	return nil
}
