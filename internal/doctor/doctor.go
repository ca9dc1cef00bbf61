// Package doctor looks a host over for `cloister doctor`: what is there, what is
// missing, and what to do about it.
//
// Checks leave nothing behind. The files of the host are below an injected root, and
// what can't be read from files (the kernel's features, the daemon) is asked
// through the functions of Host, so that each check runs on a made-up host as well.
package doctor

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"cloister/internal/api"
	"cloister/internal/feature"
	"cloister/internal/settings"
)

// Root is the directory under which the host's / is seen.
type Root string

// Path returns where a file of the host is.
func (r Root) Path(path string) string { return filepath.Join("/", string(r), path) }

// Host is the host to look at, and how to ask it.
type Host struct {
	Root         Root
	UID          int // of the caller
	RunDir       string
	StateDir     string
	SettingsPath string
	Version      string // of this program
	Wrapper      string // where cloister-runtime is, for engines to be told

	Features     func(dir string) []feature.Feature
	Capabilities func() (map[string]bool, error) // of root
	Status       func() (*api.Status, error)     // of the daemon
	// Output runs a program and returns what it prints.
	Output func(path string, args ...string) (string, error)
	// Stat asks the server of the file system that is mounted at a path.
	Stat func(path string) error
}

// State is how good a finding is.
type State string

// The states.
const (
	OK   State = "ok"
	Warn State = "warn" // works, but not all of it, or not for long
	Fail State = "fail" // containers can't be started
)

// Finding is a line of the report.
type Finding struct {
	State   State  `json:"state"`
	Subject string `json:"subject"`
	Detail  string `json:"detail"`
	// Next is what to do about it, "" if there is nothing. Lines after the first
	// are to be copied.
	Next string `json:"next,omitempty"`
}

func ok(detail string, args ...any) []Finding {
	return []Finding{{State: OK, Detail: fmt.Sprintf(detail, args...)}}
}

func warn(next, detail string, args ...any) []Finding {
	return []Finding{{State: Warn, Detail: fmt.Sprintf(detail, args...), Next: next}}
}

func fail(next, detail string, args ...any) []Finding {
	return []Finding{{State: Fail, Detail: fmt.Sprintf(detail, args...), Next: next}}
}

// check is one question to the host. A check that finds nothing to say says
// nothing.
type check struct {
	subject string
	root    bool // only root can answer it
	find    func(*Host) []Finding
}

// checks are all checks, in the order of the report.
var checks = []check{
	{"root", true, privileges},
	{"kernel", true, kernel},
	{"/dev/fuse", true, fuseDevice},
	{"cgroups", false, cgroups},
	{"runtime", false, lowLevelRuntime},
	{"docker", false, docker},
	{"podman", false, podman},
	{"cri-o", false, crio},
	{"containerd", false, containerd},
	{"user ids", false, subordinateIDs},
	{"kubelet", false, kubelet},
	{"settings", false, settingsFile},
	{"daemon", true, daemon},
	{"run directory", false, runDirectory},
	{"stale mounts", false, staleMounts},
}

// Examine runs all checks.
func Examine(h *Host) []Finding {
	var all []Finding
	var skipped []string
	for _, c := range checks {
		if c.root && h.UID != 0 {
			skipped = append(skipped, c.subject)
			continue
		}
		for _, f := range c.find(h) {
			f.Subject = c.subject
			all = append(all, f)
		}
	}
	if len(skipped) > 0 {
		f := warn("sudo cloister doctor", "not run as root, so these were not checked: %s", strings.Join(skipped[1:], ", "))[0]
		f.Subject = skipped[0]
		all = slices.Insert(all, 0, f)
	}
	return all
}

// settings returns the administrator's settings, or the defaults where they can't
// be read, which a check of its own reports.
func (h *Host) settings() settings.Cloister {
	s, err := settings.Load(h.Root.Path(h.SettingsPath))
	if err != nil {
		s = settings.Default()
	}
	return s.Cloister
}

// programDirs are where programs are looked for.
var programDirs = []string{"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"}

// program returns the path of the first of some programs, given by name or path,
// that is installed, or "".
func (h *Host) program(names ...string) string {
	for _, name := range names {
		candidates := []string{name}
		if !strings.Contains(name, "/") {
			candidates = nil
			for _, dir := range programDirs {
				candidates = append(candidates, filepath.Join(dir, name))
			}
		}
		for _, path := range candidates {
			if info, err := os.Stat(h.Root.Path(path)); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
				return path
			}
		}
	}
	return ""
}

// read returns the content of a file, nil if there is none.
func (h *Host) read(path string) ([]byte, error) {
	data, err := os.ReadFile(h.Root.Path(path))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	return data, err
}
