//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// docker is a dockerd of the tests' own, started by the first test that needs it.
var docker dockerd

type dockerd struct {
	start sync.Once
	err   error
	stop  func() error
}

func (d *dockerd) dir(name string) string { return filepath.Join(world.dir, "d", name) }
func (d *dockerd) socket() string         { return d.dir("docker.sock") }

// client is the docker command of the same package as dockerd, which may not be the
// first in the path.
func dockerClient() string {
	if _, err := os.Stat("/usr/bin/docker"); err == nil {
		return "/usr/bin/docker"
	}
	return "docker"
}

// needDocker starts dockerd and loads the image. After the test nothing of its
// containers may be left.
func needDocker(t *testing.T) {
	t.Helper()
	t.Cleanup(func() { settled(t) })
	need(t, "dockerd", dockerClient())
	docker.start.Do(func() { docker.err = docker.run() })
	if docker.err != nil {
		t.Fatal(docker.err)
	}
}

func (d *dockerd) run() error {
	if err := os.MkdirAll(d.dir("x"), 0o755); err != nil {
		return err
	}
	config, err := json.Marshal(map[string]any{
		"data-root": d.dir("root"), "exec-root": d.dir("x"), "pidfile": d.dir("pid"),
		"hosts": []string{"unix://" + d.socket()}, "cgroup-parent": cgroupParent(),
		"iptables": false, "ip-masq": false, "ip-forward": false,
		"runtimes": map[string]any{
			"cloister":      map[string]any{"path": world.wrapper},
			"cloister-crun": map[string]any{"path": world.wrapper, "runtimeArgs": []string{"--runtime-path=crun"}},
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
	cmd := world.sandbox.command(context.Background(), "dockerd", "--config-file", d.dir("daemon.json"))
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if err := cmd.Start(); err != nil {
		return err
	}
	d.stop = sync.OnceValue(func() error { return d.end(cmd) })
	return d.ready(cmd)
}

// ready waits for dockerd and loads the image.
func (d *dockerd) ready(cmd *exec.Cmd) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for world.sandbox.command(ctx, dockerClient(), "version").Run() != nil {
		if ctx.Err() != nil {
			text, _ := os.ReadFile(d.dir("log"))
			return errors.Join(fmt.Errorf("dockerd does not come up:\n%s", text), d.stop())
		}
	}
	load := fmt.Sprintf("tar -C %s -c . | %s import - %s", world.rootfs, dockerClient(), imageName)
	if out, err := world.sandbox.command(ctx, "sh", "-c", load).CombinedOutput(); err != nil {
		return errors.Join(fmt.Errorf("load the image: %w\n%s", err, out), d.stop())
	}
	return nil
}

// end stops dockerd, and its containerd and shims with it. nsenter became dockerd,
// so its process is dockerd's.
func (d *dockerd) end(cmd *exec.Cmd) error {
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

// dockerRun makes the arguments of docker run and podman run.
func runArgs(o options, script string) []string {
	var args []string
	add := func(flag, value string) {
		if value != "" {
			args = append(args, "--"+flag+"="+value)
		}
	}
	add("memory", o.memory)
	add("cpus", o.cpus)
	add("cpuset-cpus", o.cpuset)
	add("user", o.user)
	if o.host == "network" {
		add("network", "host")
	} else {
		add("network", "none")
		if o.host != "" {
			add(o.host, "host")
		}
	}
	for _, v := range o.volumes {
		add("volume", v)
	}
	add("privileged", strconv.FormatBool(o.privileged))
	add("read-only", strconv.FormatBool(o.readOnly))
	return append(args, imageName, "sh", "-c", script)
}

// dockerEngine runs containers with docker run and a runtime of its config.
type dockerEngine struct{ runtime string }

func (e dockerEngine) run(t *testing.T, o options, script string) result {
	t.Helper()
	return dk(t, append([]string{"run", "--rm", "--runtime=" + e.runtime}, runArgs(o, script)...)...)
}

// dk runs a docker command.
func dk(t *testing.T, args ...string) result {
	t.Helper()
	return sh(t, dockerClient(), args...)
}

// dockerStart starts a container in the background and removes it after the test.
func dockerStart(t *testing.T, name string, args ...string) {
	t.Helper()
	dk(t, append([]string{"run", "-d", "--name", name, "--network=none", "--runtime=cloister"}, args...)...).ok(t)
	t.Cleanup(func() { dk(t, "rm", "-f", name) })
}

// dexec runs a shell script in a running container.
func dexec(t *testing.T, name, script string) result {
	t.Helper()
	return dk(t, "exec", name, "sh", "-c", script)
}

func diskOwners(t *testing.T, upper string) string {
	t.Helper()
	return strings.TrimSpace(sh(t, "find", upper, "-mindepth", "1", "-printf", "%P %U:%G\n").out(t))
}
