package doctor

import (
	"fmt"
	"strings"
)

const containerdFile = "/etc/containerd/config.toml"

// containerd looks whether containerd, for the pods of Kubernetes, knows cloister.
func containerd(h *Host) []Finding {
	if h.program("containerd") == "" {
		return notInstalled()
	}
	conf, err := h.readTOML(containerdFile)
	if err == nil && conf["imports"] != nil {
		conf, err = h.readTOML(append([]string{containerdFile}, conf["imports"]...)...)
	}
	if err != nil {
		return unreadable(err)
	}
	const end = ".options.BinaryName"
	for key, paths := range conf.sorted() {
		plugin, name, isRuntime := strings.Cut(strings.TrimSuffix(key, end), ".containerd.runtimes.")
		if isRuntime && strings.HasSuffix(key, end) && len(paths) == 1 && isWrapper(paths[0]) {
			return h.configured(paths[0], name, runtimeClass+name, conf.first(plugin+".containerd.default_runtime_name") == name)
		}
	}
	if h.program("dockerd") != "" && h.program("kubelet") == "" {
		return ok("installed, not configured: docker needs no more than its own configuration")
	}
	plugin := "io.containerd.grpc.v1.cri"
	if conf.first("version") == "3" {
		plugin = "io.containerd.cri.v1.runtime"
	}
	return notConfigured("add this to "+containerdFile+", then `systemctl restart containerd`", fmt.Sprintf(`[plugins.%[1]q.containerd.runtimes.cloister]
runtime_type = "io.containerd.runc.v2"
[plugins.%[1]q.containerd.runtimes.cloister.options]
BinaryName = %[2]q`, plugin, h.Wrapper))
}
