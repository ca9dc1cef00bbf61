package doctor

import (
	"errors"
	"os"
	"path/filepath"
)

// wrapperName is the name under which engines call cloister.
const wrapperName = "cloister-runtime"

func isWrapper(path string) bool { return filepath.Base(path) == wrapperName }

func notInstalled() []Finding { return ok("not installed") }

// notConfigured reports on an engine that does not know the wrapper, and what to do
// with which lines of configuration.
func notConfigured(todo, config string) []Finding {
	return warn(todo+":\n"+config, "installed, not configured")
}

// unreadable reports a configuration that the engine can't read either, unless it
// is only the caller who may not.
func unreadable(err error) []Finding {
	if errors.Is(err, os.ErrPermission) {
		return warn("sudo cloister doctor", "%v", err)
	}
	return warn("correct the file", "%v", err)
}

// configured reports on an engine that knows the wrapper as a runtime of a name.
// use is how a container gets it.
func (h *Host) configured(wrapper, name, use string, isDefault bool) []Finding {
	switch {
	case h.program(wrapper) == "":
		return fail("install it there, or correct the path", "configured as %s, but there is no program %s", name, wrapper)
	case isDefault:
		return ok("configured as %s, for all containers", name)
	}
	return ok("configured as %s, for %s", name, use)
}

const runtimeClass = "a RuntimeClass with handler "
