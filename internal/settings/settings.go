// Package settings reads the administrator's settings file.
//
// The file is strict: a key that is not known or a value of the wrong type is an
// error, never ignored, and a missing file means the defaults, which are strict.
package settings

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// Path is where the settings are unless the daemon is told otherwise.
const Path = "/etc/cloister/admin-settings.json"

// Settings is the content of the file.
type Settings struct {
	// ConfigurationFileVersion is 2, the version of Docker's schema.
	ConfigurationFileVersion int `json:"configurationFileVersion"`

	EnhancedContainerIsolation Isolation `json:"enhancedContainerIsolation"`

	Cloister Cloister `json:"cloister"`
}

// Isolation is the part of Docker's schema that turns isolation on. It can't be
// turned off here: to run a container without it, choose another runtime in the
// engine.
type Isolation struct {
	Value bool `json:"value"`
	// Locked is accepted, as every file of Docker's may have it, and means
	// nothing: there are no settings of users that it could lock.
	Locked bool `json:"locked"`
}

// Cloister is what a plain Linux host needs besides.
type Cloister struct {
	// RestrictedHostPaths are the host's files and directories that no container
	// may mount, nor anything below or above them. Patterns as in path.Match.
	RestrictedHostPaths []string `json:"restrictedHostPaths"`
	// AllowedHostPaths are exceptions from RestrictedHostPaths: these and what is
	// below them may be mounted. Patterns as in path.Match.
	AllowedHostPaths []string `json:"allowedHostPaths"`
	// EngineSockets are the sockets that give control over a container engine.
	EngineSockets []string `json:"engineSockets"`
	// Devices are the host's device nodes that a container may be given besides
	// the harmless ones, for instance /dev/fuse.
	Devices []string `json:"devices"`
	// IDRegion is the range of host user and group ids that containers get theirs
	// from.
	IDRegion IDRegion `json:"idRegion"`
	// Runtimes are the low-level runtimes, by name or path; the first that is
	// installed is used.
	Runtimes []string `json:"runtimes"`
	// Serving is how views are served.
	Serving Serving `json:"serving"`
	// Views switches views of /proc and /sys on and off, by their paths.
	Views Views `json:"views"`
	// Syscalls is which system calls show what the container has.
	Syscalls Syscalls `json:"syscalls"`
}

// Syscalls switches on what is not done for every container.
type Syscalls struct {
	// CPUAffinity lets sched_getaffinity, and with it nproc, show as many CPUs as the
	// container's quota is worth. A program may not expect that of a call which names
	// the CPUs it can run on.
	CPUAffinity bool `json:"cpuAffinity"`
}

// IDRegion is a range of ids of the host.
type IDRegion struct {
	Start uint32 `json:"start"`
	Size  uint32 `json:"size"`
}

// Default returns the settings that hold without a file.
func Default() *Settings {
	return &Settings{
		ConfigurationFileVersion:   2,
		EnhancedContainerIsolation: Isolation{Value: true},
		Cloister: Cloister{
			RestrictedHostPaths: []string{
				"/", "/etc", "/boot", "/dev", "/proc", "/sys", "/root", "/run", "/var/run",
				"/var/lib/docker", "/var/lib/containers", "/var/lib/containerd", "/var/lib/kubelet", "/var/lib/cloister",
				"/usr", "/lib*", "/bin", "/sbin",
			},
			EngineSockets: []string{
				"/run/docker.sock", "/run/containerd/containerd.sock", "/run/podman/podman.sock", "/run/crio/crio.sock",
				"/run/docker/containerd/containerd.sock",
			},
			AllowedHostPaths: []string{},
			Devices:          []string{},
			IDRegion:         IDRegion{Start: 100000, Size: 4096 * 65536},
			Runtimes:         []string{"runc", "crun"},
		},
	}
}

// Load reads the file at path over the defaults: a list in the file replaces the
// default list. A missing file is no error.
func Load(path string) (*Settings, error) {
	text, err := Read(path)
	if err != nil {
		return nil, err
	}
	return Parse(path, text)
}

// Read returns the text of the file at path, that of settings without a key if there is
// none.
func Read(path string) ([]byte, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return []byte("{}"), nil
	}
	if err != nil {
		return nil, fmt.Errorf("read settings: %w", err)
	}
	return text, nil
}

// Parse is Load of the text of a file.
func Parse(path string, text []byte) (*Settings, error) {
	s, err := parse(text)
	if err != nil {
		return nil, fmt.Errorf("settings %s: %w", path, err)
	}
	return s, nil
}

func parse(data []byte) (*Settings, error) {
	s := Default()
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(s); err != nil {
		return nil, locate(data, err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: data after the end of the settings", position(data, dec.InputOffset()))
	}
	return s, s.validate()
}

// locate adds line and column to the errors that know them.
func locate(data []byte, err error) error {
	var syntax *json.SyntaxError
	var typ *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return fmt.Errorf("%s: %w", position(data, syntax.Offset), err)
	case errors.As(err, &typ):
		return fmt.Errorf("%s: %w", position(data, typ.Offset), err)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%s: %w", position(data, int64(len(data))), err)
	}
	return err
}

func position(data []byte, offset int64) string {
	before := data[:min(int(offset), len(data))]
	line := bytes.Count(before, []byte("\n")) + 1
	column := len(before) - bytes.LastIndexByte(before, '\n')
	return fmt.Sprintf("line %d, column %d", line, column)
}

// minIDs is the number of ids of one container.
const minIDs = 65536

func (s *Settings) validate() error {
	c := &s.Cloister
	if s.ConfigurationFileVersion != 2 {
		return fmt.Errorf("configurationFileVersion is %d, only 2 is known", s.ConfigurationFileVersion)
	}
	if !s.EnhancedContainerIsolation.Value {
		return errors.New("enhancedContainerIsolation.value is false, but isolation can't be switched off here; give the container another runtime instead")
	}
	if c.IDRegion.Start < minIDs {
		return fmt.Errorf("cloister.idRegion.start is %d: ids below %d belong to the host's users", c.IDRegion.Start, minIDs)
	}
	if c.IDRegion.Size < minIDs || uint64(c.IDRegion.Start)+uint64(c.IDRegion.Size) > 1<<32-1 {
		return fmt.Errorf("cloister.idRegion: %d ids from %d on do not fit: at least %d are needed and the last is 4294967294", c.IDRegion.Size, c.IDRegion.Start, minIDs)
	}
	for name, paths := range map[string][]string{
		"restrictedHostPaths": c.RestrictedHostPaths, "allowedHostPaths": c.AllowedHostPaths,
		"engineSockets": c.EngineSockets, "devices": c.Devices,
	} {
		if paths == nil {
			return fmt.Errorf("cloister.%s is null; write [] for an empty list", name)
		}
		for _, p := range paths {
			if _, err := filepath.Match(p, "/"); err != nil || !strings.HasPrefix(p, "/") {
				return fmt.Errorf("cloister.%s: %q is not an absolute path", name, p)
			}
		}
	}
	if len(c.Runtimes) == 0 {
		return errors.New("cloister.runtimes is empty")
	}
	return c.Views.validate()
}
