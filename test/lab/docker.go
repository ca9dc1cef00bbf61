package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// Docker is a dockerd of the lab's own, which is started when it is needed. Its runtimes
// are cloister, cloister-crun and, as everywhere, runc.
type Docker struct {
	lab  *Lab
	once sync.Once
	err  error
	stop func() error
}

func (d *Docker) dir(name string) string { return filepath.Join(d.lab.Dir, "d", name) }

// Socket is where its API is.
func (d *Docker) Socket() string { return d.dir("docker.sock") }

// DockerClient is the docker command of the same package as dockerd, which may not be the
// first in the path.
func DockerClient() string {
	if _, err := os.Stat("/usr/bin/docker"); err == nil {
		return "/usr/bin/docker"
	}
	return "docker"
}

// Start starts dockerd and loads the image, the first time.
func (d *Docker) Start() error {
	d.once.Do(func() { d.err = d.run() })
	return d.err
}

// Stop ends it, if it was started.
func (d *Docker) Stop() error {
	if d.stop == nil {
		return nil
	}
	return d.stop()
}

func (d *Docker) run() error {
	if err := os.MkdirAll(d.dir("x"), 0o755); err != nil {
		return err
	}
	config, err := json.Marshal(map[string]any{
		"data-root": d.dir("root"), "exec-root": d.dir("x"), "pidfile": d.dir("pid"),
		"hosts": []string{"unix://" + d.Socket()}, "cgroup-parent": d.lab.CgroupParent(),
		"iptables": false, "ip-masq": false, "ip-forward": false,
		"runtimes": map[string]any{
			"cloister":      map[string]any{"path": d.lab.Wrapper},
			"cloister-crun": map[string]any{"path": d.lab.Wrapper, "runtimeArgs": []string{"--runtime-path=crun"}},
		},
	})
	if err != nil {
		return err
	}
	if err := os.WriteFile(d.dir("daemon.json"), config, 0o600); err != nil {
		return err
	}
	log, err := os.Create(d.dir("log"))
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := d.lab.Command(context.Background(), "dockerd", "--config-file", d.dir("daemon.json"))
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if err := cmd.Start(); err != nil {
		return err
	}
	d.stop = sync.OnceValue(func() error { return d.end(cmd) })
	return d.ready()
}

// ready waits for dockerd and loads the image.
func (d *Docker) ready() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for d.lab.Command(ctx, DockerClient(), "version").Run() != nil {
		if ctx.Err() != nil {
			text, _ := os.ReadFile(d.dir("log"))
			return errors.Join(fmt.Errorf("dockerd does not come up:\n%s", text), d.stop())
		}
	}
	load := fmt.Sprintf("tar -C %s -c . | %s import - %s", d.lab.Rootfs, DockerClient(), ImageName)
	if out, err := d.lab.Command(ctx, "sh", "-c", load).CombinedOutput(); err != nil {
		return errors.Join(fmt.Errorf("load the image: %w\n%s", err, out), d.stop())
	}
	return nil
}

// end stops dockerd, and its containerd and shims with it. nsenter became dockerd,
// so its process is dockerd's.
func (d *Docker) end(cmd *exec.Cmd) error {
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	err := cmd.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		err = nil // its status says nothing
	}
	return err
}
