package doctor

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// dockerConfig is what matters here of dockerd's daemon.json.
type dockerConfig struct {
	Runtimes map[string]struct{ Path string }
	Default  string `json:"default-runtime"`
}

const dockerFile = "/etc/docker/daemon.json"

// docker looks whether dockerd knows cloister.
func docker(h *Host) []Finding {
	if h.program("dockerd") == "" {
		return notInstalled()
	}
	data, err := h.read(dockerFile)
	var c dockerConfig
	if err == nil && data != nil {
		if err = json.Unmarshal(data, &c); err != nil {
			err = fmt.Errorf("%s: %w", dockerFile, err)
		}
	}
	if err != nil {
		return unreadable(err)
	}
	for _, name := range slices.Sorted(maps.Keys(c.Runtimes)) {
		if path := c.Runtimes[name].Path; isWrapper(path) {
			return h.configured(path, name, "`docker run --runtime="+name+"`", c.Default == name)
		}
	}
	return notConfigured("add this to "+dockerFile+", then `systemctl reload docker`",
		fmt.Sprintf(`{"runtimes": {"cloister": {"path": %q}}}`, h.Wrapper))
}
