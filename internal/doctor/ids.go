package doctor

import (
	"fmt"
	"slices"
	"strings"

	"cloister/runtimehook/idrange"
)

// subordinateFiles give ranges of user and group ids to others.
var subordinateFiles = []string{"/etc/subuid", "/etc/subgid"}

// subordinateLines returns the lines of both files.
func (h *Host) subordinateLines() ([]idrange.SubordinateLine, error) {
	var all []idrange.SubordinateLine
	for _, path := range subordinateFiles {
		lines, err := idrange.ReadSubordinate(h.Root.Path(path))
		if err != nil {
			return nil, err
		}
		all = append(all, lines...)
	}
	return all, nil
}

// region returns the host's ids that containers get theirs from.
func (h *Host) region() idrange.Range { return idrange.Range(h.settings().IDRegion) }

// subordinateIDs compares the region of ids with those that belong to others.
func subordinateIDs(h *Host) []Finding {
	lines, err := h.subordinateLines()
	if err != nil {
		return fail("correct the line; while it can't be read, no container gets ids", "%v", err)
	}
	region := h.region()
	var theirs []idrange.Range
	var names []string
	for _, l := range lines {
		if name := fmt.Sprintf("%s:%v", l.Owner, l.Range); l.Owner != idrange.Owner && l.Overlaps(region) {
			theirs = append(theirs, l.Range)
			if !slices.Contains(names, name) { // it is in both files
				names = append(names, name)
			}
		}
	}
	total, free := region.Size/idrange.Size, uint32(0)
	for i := range total {
		if isFree(region.Start+i*idrange.Size, 1, theirs) {
			free++
		}
	}
	last := uint64(region.Start) + uint64(region.Size) - 1
	switch {
	case free == 0:
		return fail("choose another cloister.idRegion in "+h.SettingsPath, "all of %d-%d belong to others: %s", region.Start, last, strings.Join(names, " "))
	case len(names) > 0:
		return ok("%d-%d, room for %d containers; skipped, because they belong to others: %s", region.Start, last, free, strings.Join(names, " "))
	}
	return ok("%d-%d, room for %d containers", region.Start, last, free)
}

// isFree reports whether some blocks of ids, one after the other, overlap none of
// the ranges.
func isFree(start, blocks uint32, taken []idrange.Range) bool {
	want := idrange.Range{Start: start, Size: blocks * idrange.Size}
	return !slices.ContainsFunc(taken, want.Overlaps)
}

// kubeletUser is whose lines kubelet takes the ids of its pods from
// (pkg/kubelet/userns).
const kubeletUser = "kubelet"

// kubelet warns of one that may choose ids as it likes.
func kubelet(h *Host) []Finding {
	if h.program("kubelet") == "" {
		return nil
	}
	lines, err := h.subordinateLines()
	if err != nil {
		return nil // subordinateIDs says so
	}
	taken := []idrange.Range{h.region()}
	for _, l := range lines {
		if l.Owner == kubeletUser {
			return ok("takes the ids of its pods from %v", l.Range)
		}
		taken = append(taken, l.Range)
	}
	return warn(kubeletAdvice(taken), "no line of %s is for the user %s, so it may give a pod with hostUsers: false any ids, even a container's",
		strings.Join(subordinateFiles, " and "), kubeletUser)
}

// kubeletBlocks is how many blocks kubelet wants: one for each of its pods, 110 by
// default.
const kubeletBlocks = 110

// kubeletAdvice proposes the lowest ids that are nobody's. Kubelet wants a multiple
// of the size of a block.
func kubeletAdvice(taken []idrange.Range) string {
	for start := uint32(idrange.Size); start <= 1<<31; start += idrange.Size {
		if isFree(start, kubeletBlocks, taken) {
			return fmt.Sprintf("useradd --system %[1]s; echo %[1]s:%[2]d:%[3]d | tee -a %[4]s",
				kubeletUser, start, kubeletBlocks*idrange.Size, strings.Join(subordinateFiles, " "))
		}
	}
	return fmt.Sprintf("give it %d ids in %s, outside of the containers'", kubeletBlocks*idrange.Size, strings.Join(subordinateFiles, " and "))
}
