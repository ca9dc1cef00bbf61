// Package stand is what benchmarks and the chaos suite run on: a daemon of its own, and
// containers, in a mount namespace of its own and below a directory that is removed at the
// end.
package stand

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/moby/sys/mountinfo"

	"cloister/internal/api"
	"cloister/internal/sys"
)

// Stand is a directory, a mount namespace and what runs there.
type Stand struct {
	Dir     string
	Client  *api.Client // of the daemon
	program string
	runtime string
	running []*Child
}

// New makes a stand for the program cloister and a low-level runtime. The calling thread
// must be locked and be the one that starts children.
func New(program, runtime string) (*Stand, error) {
	if err := Unshare(); err != nil {
		return nil, err
	}
	return Here(program, runtime)
}

// Unshare gives the calling thread, which must be locked, a mount namespace of its own.
func Unshare() error {
	if os.Geteuid() != 0 {
		return errors.New("only root can start containers; try it with sudo")
	}
	if err := sys.UnshareMounts(); err != nil {
		return err
	}
	return sys.MakeRecursiveSlave("/")
}

// Here makes a stand in the mount namespace of the process, which is its own already.
func Here(program, runtime string) (*Stand, error) {
	program, err := filepath.Abs(program)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("/var/tmp", "cloister-bench.") // not on tmpfs, which old kernels can't id-map
	if err != nil {
		return nil, err
	}
	s := &Stand{Dir: dir, program: program, runtime: runtime}
	s.Client = api.NewClient(s.runDir())
	if err := os.Chmod(dir, 0o755); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Close ends what runs, the last that was started first, and removes the directory.
func (s *Stand) Close() error {
	var errs []error
	for len(s.running) > 0 {
		errs = append(errs, s.running[len(s.running)-1].end())
		s.running = s.running[:len(s.running)-1]
	}
	return errors.Join(append(errs, s.unmount(), os.RemoveAll(s.Dir))...)
}

// unmount takes away what a daemon that was killed has left mounted below the directory.
func (s *Stand) unmount() error {
	mounts, err := mountinfo.GetMounts(mountinfo.PrefixFilter(s.Dir))
	if err != nil {
		return err
	}
	var errs []error
	for _, m := range slices.Backward(mounts) { // the last that was mounted first
		errs = append(errs, sys.Detach(m.Mountpoint))
	}
	return errors.Join(errs...)
}

func (s *Stand) runDir() string { return filepath.Join(s.Dir, "run") }

// Command is a call of cloister with the stand's daemon.
func (s *Stand) Command(ctx context.Context, out io.Writer, args ...string) *exec.Cmd {
	cmd := s.Own(exec.CommandContext(ctx, s.program, args...))
	cmd.Stdout, cmd.Stderr = out, os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) } // `bench read` has affinities to undo
	return cmd
}

// Own has a command that is cloister, by whatever name, use the stand's daemon.
func (s *Stand) Own(cmd *exec.Cmd) *exec.Cmd {
	cmd.Env = append(os.Environ(), "CLOISTER_RUN_DIR="+s.runDir(),
		"CLOISTER_STATE_DIR="+filepath.Join(s.Dir, "state"), "CLOISTER_SETTINGS="+filepath.Join(s.Dir, "settings.json"))
	return cmd
}

// Daemon starts the daemon, with the given flags.
func (s *Stand) Daemon(ctx context.Context, flags ...string) error {
	c, err := s.Start("daemon", s.Command(context.Background(), nil, append([]string{"daemon"}, flags...)...))
	if err != nil {
		return err
	}
	return s.Ready(ctx, c, func() error {
		_, err := s.Client.Status()
		return err
	})
}

// Container starts a container with the given flags of `cloister run`, which does nothing.
func (s *Stand) Container(ctx context.Context, name string, flags ...string) (d *api.ContainerDetails, err error) {
	args := append([]string{"run", "--runtime", s.runtime, "--name", name}, flags...)
	c, err := s.Start("container-"+name, s.Command(context.Background(), nil, append(args, "--", "sleep", "infinity")...))
	if err != nil {
		return nil, err
	}
	c.Stop = func() error { return s.kill(name) }
	err = s.Ready(ctx, c, func() error {
		d, err = s.Client.Container(name)
		if err == nil && len(d.Views) == 0 {
			err = errors.New("the container has no views yet")
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	c.Stop = func() error { return syscall.Kill(d.PID, syscall.SIGKILL) } // the daemon may be gone by then
	return d, nil
}

// kill ends a container's first process, which other signals don't reach.
func (s *Stand) kill(name string) error {
	d, err := s.Client.Container(name)
	if err != nil {
		return err
	}
	if d.PID == 0 {
		return errors.New("container " + name + " has not started")
	}
	return syscall.Kill(d.PID, syscall.SIGKILL)
}
