//go:build e2e

package e2e

import (
	"strings"
	"testing"
)

func eachInner(t *testing.T, test func(t *testing.T, i *innerImage)) {
	for _, i := range innerImages {
		t.Run(i.suite, func(t *testing.T) { test(t, i) })
	}
}

// TestDockerInDocker uses docker in a container as its manual says.
func TestDockerInDocker(t *testing.T) {
	eachInner(t, func(t *testing.T, i *innerImage) {
		o := i.privileged(t, "dind")
		o.dockerd()
		o.printsAll(map[string]string{
			"docker info --format={{.Driver}}":                                         "overlay2",
			"docker run --rm small sh -c 'rm -r /pkg && mkdir /pkg && ls /pkg; id -u'": "0",
			"docker run --rm -m 64m small sh -c 'cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null || true'": "67108864",
			"docker run --rm --cpus=0.5 --pids-limit=50 --cpuset-cpus=0 small echo limited":                                                      "limited",
			"docker run --rm -v vol:/v small touch /v/f; docker run --rm -v vol:/v:ro small ls /v":                                               "f",
			"docker run --rm --init -v /etc:/e:ro small cat /proc/1/comm":                                                                        "docker-init",
			// Nodes in an image are left out where nobody can make them.
			"docker save small | docker load >/dev/null && docker run --rm small sh -c '[ ! -e /opt/disk ] && echo loaded'":                           "loaded",
			"printf 'FROM small\\nRUN echo built >/b && chown 1000 /b\\nCMD stat -c %%u /b' | docker build -q -t b - >/dev/null && docker run --rm b": "1000",
		})
		outside := o.sh("cat /proc/self/uid_map").out(t)
		o.sh("docker run --rm --network=host --pid=host small cat /proc/self/uid_map").prints(t, outside)
	})
}

// TestDockerInDockerNetworks has inner containers talk by name, and through a port of
// the outer one.
func TestDockerInDockerNetworks(t *testing.T) {
	eachInner(t, func(t *testing.T, i *innerImage) {
		o := i.privileged(t, "dindnet")
		o.dockerd()
		o.sh("docker network create net").ok(t)
		o.sh("docker run -d --name=web --network=net -p 8080:80 small sh -c 'echo hello >/var/index.html; exec httpd -f -h /var'").ok(t)
		o.sh("docker exec web cat /etc/hostname").ok(t)
		eventually(t, "the inner web server answers", func() bool {
			return o.sh("docker run --rm --network=net small wget -qO- http://web/index.html").stdout == "hello\n"
		})
		o.sh("/small/bin/busybox wget -qO- http://127.0.0.1:8080/index.html").prints(t, "hello")
	})
}

// TestDockerInDockerMemory looks from an inner container at the memory that it has.
func TestDockerInDockerMemory(t *testing.T) {
	eachInner(t, func(t *testing.T, i *innerImage) {
		o := i.privileged(t, "dindmem")
		o.dockerd()
		o.sh("free -m | awk '/^Mem/ {print $2}'").prints(t, "1024")
		o.sh("docker run --rm -m 64m --network=none small free -m | awk '/^Mem/ {print $2}'").prints(t, "64")
	})
}

// TestDaemonlessEnginesInDocker uses podman, buildah and containerd in a container.
func TestDaemonlessEnginesInDocker(t *testing.T) {
	eachInner(t, func(t *testing.T, i *innerImage) {
		o := i.privileged(t, "engines")
		const podman = "podman --cgroup-manager=cgroupfs --events-backend=none "
		o.sh("tar -C /small -c . | " + podman + "import - localhost/small:1").ok(t)
		o.sh("printf 'FROM localhost/small:1\\nRUN rm -r /pkg && mkdir /pkg && echo built >/pkg/b' >/root/Containerfile").ok(t)
		o.sh("buildah bud --network=none -f /root/Containerfile -t localhost/b:1 /root").ok(t)
		run := podman + "run --rm --network=none "
		o.printsAll(map[string]string{
			run + "localhost/small:1 echo hello":                "hello",
			run + "--runtime=runc localhost/small:1 echo hello": "hello",
			run + "localhost/b:1 ls /pkg":                       "b",
		})
		dk(t, "exec", "-d", o.name, "containerd").ok(t)
		eventually(t, "the inner containerd answers", func() bool { return o.sh("ctr version").status == 0 })
		o.sh(podman + "save localhost/small:1 >/root/small.tar && ctr images import /root/small.tar").ok(t)
		o.sh("ctr run --rm localhost/small:1 c echo hello").prints(t, "hello")
	})
}

// TestSystemdInDocker boots a system in a container.
func TestSystemdInDocker(t *testing.T) {
	i := innerImages[0] // newer ones want a host without cgroup v1
	i.start(t, "system", []string{"--privileged", "--tmpfs=/run"}, "/sbin/init")
	eventually(t, "the system has started", func() bool {
		state := strings.TrimSpace(dexec(t, "system", "systemctl is-system-running").stdout)
		return state == "running" || state == "degraded"
	})
	dexec(t, "system", "systemctl --failed --no-legend --plain").prints(t, "")
	dexec(t, "system", "systemctl start docker && docker info --format={{.Driver}}").prints(t, "overlay2")
	dexec(t, "system", "grep -o /system.slice/docker.service /proc/$(pidof dockerd)/cgroup | sort -u").prints(t, "/system.slice/docker.service")
}

// TestDockerInDockerWithoutPrivileges has no more than what docs/nesting.md says is needed.
func TestDockerInDockerWithoutPrivileges(t *testing.T) {
	i := innerImages[0]
	o := i.start(t, "few", []string{
		"--cap-add=SYS_ADMIN", "--cap-add=NET_ADMIN", "--security-opt=seccomp=unconfined", "--security-opt=systempaths=unconfined",
	}, "sleep", "1000")
	o.sh(ownCgroups).ok(t)
	o.dockerd()
	o.sh("docker run --rm -m 64m small id -u").prints(t, "0")
}

// ownCgroups mounts the container's cgroups anew, writable.
const ownCgroups = `grep ' - cgroup' /proc/self/mountinfo | while read -r _ _ _ _ dir _ line; do
	type=${line#*- } options=${line##* }
	umount "$dir" && mount -t "${type%% *}" -o "${options#rw,}" cgroup "$dir" || exit
done`
