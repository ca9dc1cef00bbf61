package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"cloister/bench/stand"
	"cloister/bench/syscalls"
)

// bench is a run of the benchmark: a container of each kind with a probe in it.
type bench struct {
	*options
	stand *stand.Stand

	plain, ours map[bool]*syscalls.Probe // by whether it has CAP_SYS_ADMIN
	running     []*container
}

// container is a container that runs until its input ends.
type container struct {
	cmd   *exec.Cmd
	stdin *os.File
}

func (b *bench) start() error {
	wrapper := filepath.Join(b.stand.Dir, "cloister-runtime")
	program, err := filepath.Abs(b.program)
	if err != nil {
		return err
	}
	if err := os.Symlink(program, wrapper); err != nil {
		return err
	}
	b.plain, b.ours = map[bool]*syscalls.Probe{}, map[bool]*syscalls.Probe{}
	for _, admin := range []bool{false, true} {
		if b.plain[admin], err = b.container("plain", admin, b.engine); err != nil {
			return err
		}
		if b.ours[admin], err = b.container("cloister", admin, wrapper, "--runtime-path", b.engine); err != nil {
			return err
		}
	}
	return nil
}

// container makes a bundle and starts it.
func (b *bench) container(kind string, admin bool, runtime ...string) (*syscalls.Probe, error) {
	name := fmt.Sprintf("%s-%d", kind, os.Getpid())
	if admin {
		name = fmt.Sprintf("%s-admin-%d", kind, os.Getpid())
	}
	dir, err := b.makeBundle(name, admin, kind == "plain")
	if err != nil {
		return nil, err
	}
	args := append(runtime[1:], "--root", filepath.Join(b.stand.Dir, "state-of-runtime"), "run", "--bundle", dir, name)
	cmd := b.stand.Own(exec.Command(runtime[0], args...))
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // it ends in turn, not by Ctrl-C
	in, stdin, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer in.Close()
	stdout, out, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, stdin.Close())
	}
	defer out.Close()
	cmd.Stdin, cmd.Stdout = in, out
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(err, stdin.Close(), stdout.Close())
	}
	b.running = append(b.running, &container{cmd, stdin})
	return syscalls.NewProbe(stdin, stdout), nil
}

// close ends the containers.
func (b *bench) close() error {
	var errs []error
	for _, c := range b.running {
		errs = append(errs, c.stdin.Close(), c.cmd.Wait())
	}
	return errors.Join(errs...)
}
