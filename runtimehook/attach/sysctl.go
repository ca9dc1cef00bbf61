package attach

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"cloister/internal/sys"
	"cloister/runtimehook/spec"
)

// Sysctls writes sysctls (dotted names) in the namespaces of process pid, whose
// root is the host's user root. The calling thread must be locked.
func Sysctls(pid int, root uint32, values map[string]string) error {
	for name, value := range values {
		if err := writeSysctl(pid, root, name, value); err != nil {
			return fmt.Errorf("sysctl %s=%q: %w", name, value, err)
		}
	}
	return nil
}

var sysctlName = regexp.MustCompile(`^[a-z][a-z0-9_-]*(\.[A-Za-z0-9_/-]+)+$`)

// sysctlPath returns the file of a sysctl. A dot separates directories and a slash
// is a dot in a name, as in net.ipv4.conf.eth0/5.forwarding, so two slashes could
// lead out of the namespace's directory.
func sysctlPath(name string) (string, error) {
	path := "/proc/sys/" + strings.NewReplacer(".", "/", "/", ".").Replace(name)
	if !sysctlName.MatchString(name) || path != filepath.Clean(path) {
		return "", fmt.Errorf("%q is not the name of a sysctl", name)
	}
	return path, nil
}

var enter = map[string]func(*sys.Namespace, func() error) error{
	"net": sys.InNetwork, "ipc": sys.InIPC, "uts": sys.InUTS,
}

func writeSysctl(pid int, root uint32, name, value string) error {
	path, err := sysctlPath(name)
	if err != nil {
		return err
	}
	kind := spec.SysctlNamespace(name)
	in, ok := enter[kind]
	if !ok {
		return errors.New("it belongs to the host and not to a namespace")
	}
	ns, err := sys.OpenPIDNamespace(pid, kind)
	if err != nil {
		return err
	}
	defer ns.Close()
	write := func() error { return os.WriteFile(path, []byte(value), 0) }
	return in(ns, func() error {
		err := write()
		if errors.Is(err, os.ErrPermission) {
			// Since Linux 6.9 those of an ipc namespace are its own root's, and
			// only that user's.
			err = sys.AsUser(root, write)
		}
		return err
	})
}
