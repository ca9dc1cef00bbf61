package doctor

import (
	"encoding/json"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// lowLevelRuntime looks for the runc or crun that cloister hands containers to.
func lowLevelRuntime(h *Host) []Finding {
	names := h.settings().Runtimes
	path := h.program(names...)
	if path == "" {
		return fail("install runc or crun, or name another in cloister.runtimes of "+h.SettingsPath,
			"none of %s is installed", strings.Join(names, ", "))
	}
	out, err := h.Output(path, "--version")
	if err != nil {
		return fail("reinstall it, or name another in cloister.runtimes of "+h.SettingsPath, "%s --version: %v", path, err)
	}
	title, _, _ := strings.Cut(out, "\n")
	switch {
	case filepath.Base(path) == "crun" && h.crunRefuses():
		return fail("install runc",
			"%s (%s) can't work here: crun refuses a host with cgroup v1 and v2 controllers at once", path, title)
	case filepath.Base(path) == "runc" && !hasNovemberFixes(title):
		return warn("install runc 1.2.8, 1.3.3, 1.4.0 or later, or see in your distribution's changelog that it has the fixes",
			"%s (%s) may lack the fixes of November 2025 for CVE-2025-31133, CVE-2025-52565 and CVE-2025-52881, by which a container can reach files of the host", path, title)
	}
	return ok("%s (%s), %s", path, title, h.clocks(path))
}

// crunRefuses reports whether crun finds controllers in both cgroup versions
// (libcrun_cgroup_enter(), src/libcrun/cgroup.c).
func (h *Host) crunRefuses() bool {
	both, err := h.read("/sys/fs/cgroup/unified/cgroup.controllers")
	return err == nil && len(both) > 0
}

var versionPattern = regexp.MustCompile(`(\d+)\.(\d+)\.(\d+)(?:-rc\.?(\d+))?`)

// hasNovemberFixes tells whether a release of runc, as `runc --version` names it,
// has the fixes: 1.2.8, 1.3.3, 1.4.0-rc.3 and what came after them. One that can't
// be told has not.
func hasNovemberFixes(title string) bool {
	f := versionPattern.FindStringSubmatch(title)
	if f == nil {
		return false
	}
	var v [4]int
	for i := range v {
		v[i], _ = strconv.Atoi(f[i+1]) // digits, or none for a release
	}
	switch minor := [2]int{v[0], v[1]}; minor {
	case [2]int{1, 2}:
		return v[2] >= 8
	case [2]int{1, 3}:
		return v[2] >= 3
	case [2]int{1, 4}:
		return v[2] > 0 || f[4] == "" || v[3] >= 3
	default:
		return slices.Compare(minor[:], []int{1, 4}) > 0
	}
}

// clocks tells whether a runtime knows time namespaces.
func (h *Host) clocks(path string) string {
	var features struct{ Linux struct{ Namespaces []string } }
	out, err := h.Output(path, "features") // not known to crun before 1.9
	if err == nil && json.Unmarshal([]byte(out), &features) == nil && slices.Contains(features.Linux.Namespaces, "time") {
		return "with time namespaces"
	}
	return "without time namespaces: clocks since boot are the host's, but for /proc/uptime"
}
