package doctor

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// podman looks whether podman uses cloister, as a runtime or by hooks.
func podman(h *Host) []Finding {
	if h.program("podman") == "" {
		return notInstalled()
	}
	conf, err := h.readTOML("/usr/share/containers/containers.conf", "/etc/containers/containers.conf", "/etc/containers/containers.conf.d/*.conf")
	if err != nil {
		return unreadable(err)
	}
	dirs, given := conf["engine.hooks_dir"]
	if !given {
		dirs = []string{"/usr/share/containers/oci/hooks.d"}
	}
	if dir := h.precreateHook(dirs); dir != "" {
		return ok("configured: hooks in %s, for all containers", dir)
	}
	chosen := conf.first("engine.runtime")
	if isWrapper(chosen) {
		return h.configured(chosen, wrapperName, "", true)
	}
	for key, paths := range conf.sorted() {
		name, isRuntime := strings.CutPrefix(key, "engine.runtimes.")
		if i := slices.IndexFunc(paths, isWrapper); isRuntime && i >= 0 {
			return h.configured(paths[i], name, "`podman --runtime="+name+" run`", chosen == name)
		}
	}
	return notConfigured("put this into /etc/containers/containers.conf.d/cloister.conf", fmt.Sprintf(`[engine]
runtime = "cloister"
runtime_supports_json = ["crun", "runc", "cloister"]
[engine.runtimes]
cloister = [%q]`, h.Wrapper))
}

// precreateHook returns the first of some directories that has a hook by which
// podman gives its containers to cloister, or "".
func (h *Host) precreateHook(dirs []string) string {
	for _, dir := range dirs {
		files, _ := filepath.Glob(h.Root.Path(dir) + "/*.json") // the pattern is no user's
		for _, file := range files {
			data, err := h.read(filepath.Join(dir, filepath.Base(file)))
			var config struct {
				Hook   struct{ Path string }
				Stages []string
			}
			if err == nil && json.Unmarshal(data, &config) == nil &&
				filepath.Base(config.Hook.Path) == "cloister" && slices.Contains(config.Stages, "precreate") {
				return dir
			}
		}
	}
	return ""
}
