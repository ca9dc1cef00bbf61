// Package lab is what tests of the whole program run in: a copy of the program, a daemon, a
// small image, engines and a mount and network namespace for them, all of its own. An
// engine of the system is never touched, and everything is gone when the lab is closed,
// which fails if something was left on the host.
package lab

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/moby/sys/mountinfo"
)

// Lab is a directory with all that belongs to it.
type Lab struct {
	Dir      string
	Cloister string // the program
	Wrapper  string // the same under the name of the runtime
	Rootfs   string // a directory with a small system in it
	Sandbox  *Sandbox
	Daemon   *Daemon
	Docker   *Docker // started by Docker.Start
}

// New makes a lab and starts its daemon. Programs are added to the image, by the names
// that they get in /bin.
func New(programs map[string]string) (l *Lab, err error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("these tests need root")
	}
	l = &Lab{}
	// A container's cgroup is called after it, so the name is a short one.
	if l.Dir, err = os.MkdirTemp("", "ce2e-"); err != nil {
		return nil, err
	}
	l.Docker = &Docker{lab: l}
	if err := errors.Join(os.Chmod(l.Dir, 0o755), l.fill(programs)); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

func (l *Lab) fill(programs map[string]string) (err error) {
	if err := l.build(); err != nil {
		return err
	}
	if err := l.makeRootfs(programs); err != nil {
		return fmt.Errorf("make an image: %w", err)
	}
	if l.Sandbox, err = NewSandbox(""); err != nil {
		return err
	}
	l.Daemon, err = startDaemon(l)
	return err
}

// build makes the program that is tested.
func (l *Lab) build() error {
	bin := filepath.Join(l.Dir, "bin")
	if err := os.Mkdir(bin, 0o755); err != nil {
		return err
	}
	l.Cloister, l.Wrapper = filepath.Join(bin, "cloister"), filepath.Join(bin, "cloister-runtime")
	if err := Build(l.Cloister, "cloister/cmd/cloister", "CLOISTER_BIN"); err != nil {
		return err
	}
	return os.Symlink("cloister", l.Wrapper)
}

// Build makes a static program of one of this module's packages, unless a variable of the
// environment names one that is made already.
func Build(path, pkg, variable string) error {
	if given := os.Getenv(variable); given != "" {
		program, err := os.ReadFile(given)
		if err != nil {
			return err
		}
		return os.WriteFile(path, program, 0o755)
	}
	cmd := exec.Command("go", "build", "-trimpath", "-o", path, pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w\n%s", pkg, err, out)
	}
	return nil
}

// Close ends what runs and removes everything.
func (l *Lab) Close() error {
	errs := []error{l.Docker.Stop()}
	if l.Daemon != nil {
		errs = append(errs, l.Daemon.Stop())
	}
	if l.Sandbox != nil {
		errs = append(errs, l.Sandbox.Close())
	}
	errs = append(errs, l.nothingMounted(), l.removeCgroups())
	if errors.Join(errs...) == nil {
		errs = append(errs, os.RemoveAll(l.Dir)) // only where nothing is mounted
	}
	return errors.Join(errs...)
}

// nothingMounted makes sure that the tests left no mount on the host.
func (l *Lab) nothingMounted() error {
	mounts, err := mountinfo.GetMounts(mountinfo.PrefixFilter(l.Dir))
	if err != nil {
		return err
	}
	var errs []error
	for _, m := range mounts {
		errs = append(errs, fmt.Errorf("%s is still mounted", m.Mountpoint))
	}
	return errors.Join(errs...)
}
