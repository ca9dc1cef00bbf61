package main

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/opencontainers/runtime-spec/specs-go"

	"cloister/internal/bundle"
)

// shift is where the ids of the containers without cloister begin.
const shift = 1_900_000_000

// makeBundle makes a bundle with the host's programs, the probe and Go's toolchain. Its
// files are shifted for the containers that have no cloister to do it.
func (b *bench) makeBundle(name string, admin, shifted bool) (dir string, err error) {
	probe, err := filepath.Abs(b.probe)
	if err != nil {
		return "", err
	}
	o := &bundle.Options{
		Name: bundle.Name(name), Command: []string{"/probe"}, Privileged: admin,
		Volumes: []bundle.Volume{
			{Source: probe, Target: "/probe", ReadOnly: true},
			{Source: b.goroot, Target: "/go", ReadOnly: true},
		},
		// A quota, which sched_getaffinity goes by, that stops nothing.
		Limits: bundle.Limits{CPUs: bundle.CPUs(1000 * runtime.NumCPU())},
	}
	dir = filepath.Join(b.stand.Dir, "bundle-"+name)
	if err := bundle.Create(dir, "/", o); err != nil {
		return "", err
	}
	config := bundle.Spec(o)
	if !admin {
		if config.Linux.Seccomp, err = b.engineProfile(); err != nil {
			return "", err
		}
	}
	if shifted {
		config.Linux.Namespaces = append(config.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace})
		config.Linux.UIDMappings = []specs.LinuxIDMapping{{ContainerID: 0, HostID: shift, Size: 65536}}
		config.Linux.GIDMappings = config.Linux.UIDMappings
		if err := shiftOwners(dir); err != nil {
			return "", err
		}
	}
	text, err := json.Marshal(config)
	if err != nil {
		return "", err
	}
	return dir, os.WriteFile(filepath.Join(dir, "config.json"), text, 0o600)
}

// engineProfile is the profile of a config that an engine wrote. What it has no rule for,
// as it depends on the architecture, is allowed as well: no program starts without it.
func (b *bench) engineProfile() (*specs.LinuxSeccomp, error) {
	text, err := os.ReadFile(b.profile)
	if err != nil {
		return nil, err
	}
	var config specs.Spec
	if err := json.Unmarshal(text, &config); err != nil {
		return nil, fmt.Errorf("%s: %w", b.profile, err)
	}
	if config.Linux == nil || config.Linux.Seccomp == nil {
		return nil, fmt.Errorf("%s has no seccomp profile", b.profile)
	}
	p := config.Linux.Seccomp
	p.Architectures = nil // the machine's
	p.Syscalls = append(p.Syscalls, specs.LinuxSyscall{Names: []string{"arch_prctl", "clone", "clone3"}, Action: specs.ActAllow})
	return p, nil
}

// shiftOwners gives the files of a bundle to the container's root.
func shiftOwners(dir string) error {
	if err := os.Chmod(dir, 0o755); err != nil {
		return err
	}
	return filepath.WalkDir(filepath.Join(dir, "rootfs"), func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, shift, shift)
	})
}
