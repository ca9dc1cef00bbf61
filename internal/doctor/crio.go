package doctor

import (
	"fmt"
	"strings"
)

// crio looks whether CRI-O knows cloister.
func crio(h *Host) []Finding {
	if h.program("crio") == "" {
		return notInstalled()
	}
	conf, err := h.readTOML("/etc/crio/crio.conf", "/etc/crio/crio.conf.d/*")
	if err != nil {
		return unreadable(err)
	}
	for key, paths := range conf.sorted() {
		name, isRuntime := strings.CutPrefix(key, "crio.runtime.runtimes.")
		name, isPath := strings.CutSuffix(name, ".runtime_path")
		if isRuntime && isPath && len(paths) == 1 && isWrapper(paths[0]) {
			return h.configured(paths[0], name, runtimeClass+name, conf.first("crio.runtime.default_runtime") == name)
		}
	}
	return notConfigured("put this into /etc/crio/crio.conf.d/10-cloister.conf, then `systemctl restart crio`",
		fmt.Sprintf(`[crio.runtime.runtimes.cloister]
runtime_path = %q
runtime_type = "oci"`, h.Wrapper))
}
