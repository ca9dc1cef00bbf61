//go:build e2e

package e2e

import (
	"strconv"
	"strings"
	"testing"

	"cloister/test/lab"
)

// needDocker starts dockerd and loads the image. After the test nothing of its
// containers may be left.
func needDocker(t *testing.T) {
	t.Helper()
	t.Cleanup(func() { settled(t) })
	need(t, "dockerd", lab.DockerClient())
	if err := world.Docker.Start(); err != nil {
		t.Fatal(err)
	}
}

// runArgs makes the arguments of docker run and podman run.
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
	return append(args, lab.ImageName, "sh", "-c", script)
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
	return sh(t, lab.DockerClient(), args...)
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
