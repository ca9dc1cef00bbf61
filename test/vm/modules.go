package vm

import (
	"bufio"
	"fmt"
	"io"
	"path"
	"strings"
)

// modules are the modules of a kernel, by name.
type modules map[string]module

type module struct {
	path  string   // "" if it is built in
	needs []string // paths
}

// parseModulesDep parses modules.dep, see modules.dep(5): "PATH: PATH PATH ...".
func parseModulesDep(r io.Reader) (modules, error) {
	m := modules{}
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		file, needs, ok := strings.Cut(line, ":")
		if !ok || strings.ContainsAny(file, " \t") || !strings.Contains(file, ".ko") || moduleName(file) == "" {
			return nil, fmt.Errorf("line %.80q is not MODULE: MODULES", line)
		}
		m[moduleName(file)] = module{path: file, needs: strings.Fields(needs)}
	}
	return m, lines.Err()
}

// builtin notes that a module is part of the kernel.
func (m modules) builtin(file string) { m[moduleName(file)] = module{} }

// moduleName returns the name by which a module file is known to the kernel:
// "kernel/fs/foo-bar.ko.xz" is foo_bar.
func moduleName(file string) string {
	name, _, _ := strings.Cut(path.Base(file), ".ko")
	return strings.ReplaceAll(name, "-", "_")
}

// closure returns the paths of the named modules and of all that they need, each
// after those that it needs itself.
func (m modules) closure(names ...string) ([]string, error) {
	var order []string
	seen := map[string]bool{}
	var visit func(name string) error
	visit = func(name string) error {
		if seen[name] {
			return nil
		}
		seen[name] = true
		found, ok := m[name]
		if !ok {
			return fmt.Errorf("the kernel has no module %s", name)
		}
		for _, need := range found.needs {
			if err := visit(moduleName(need)); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
		if found.path != "" {
			order = append(order, found.path)
		}
		return nil
	}
	for _, name := range names {
		if err := visit(moduleName(name)); err != nil {
			return nil, err
		}
	}
	return order, nil
}
