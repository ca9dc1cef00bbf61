//go:build e2e

package e2e

import (
	"path/filepath"
	"testing"

	"cloister/test/lab"
)

// volumePaths are where a container that can have containers gets volumes.
var volumePaths = []string{"/var/lib/docker", "/var/lib/containerd", "/var/lib/containers", "/var/lib/buildkit", "/var/lib/kubelet"}

// TestImplicitVolumes follows the volumes of a container through its life.
func TestImplicitVolumes(t *testing.T) {
	needDocker(t)
	dockerStart(t, "vol", "--cap-add=SYS_ADMIN", lab.ImageName, "sleep", "1000")
	for _, path := range volumePaths {
		dexec(t, "vol", "echo kept >"+path+"/f; stat -c %u:%g "+path+" "+path+"/f").prints(t, "0:0\n0:0")
	}
	upper := dk(t, "inspect", "--format={{.GraphDriver.Data.UpperDir}}", "vol").out(t)
	volumes := filepath.Join(filepath.Dir(upper), "volumes.cloister")
	check(t, filepath.Join(volumes, "var-lib-docker/f"), "kept\n")
	check(t, filepath.Join(volumes, "var-lib-kubelet/f"), "kept\n")
	dk(t, "restart", "-t=0", "vol").ok(t)
	dexec(t, "vol", "cat /var/lib/docker/f").prints(t, "kept")
	dk(t, "stop", "-t=0", "vol").ok(t)
	dk(t, "start", "vol").ok(t)
	dexec(t, "vol", "cat /var/lib/docker/f").prints(t, "kept")
	dk(t, "rm", "-f", "vol").ok(t)
	if left, err := filepath.Glob(filepath.Dir(volumes) + "*"); err != nil || left != nil {
		t.Errorf("left of the container: %v, %v", left, err)
	}
}

func TestNoImplicitVolumes(t *testing.T) {
	needDocker(t)
	const mounted = "grep -o ' /var/lib/[a-z]* ' /proc/self/mountinfo | sort | tr -d '\\n '"
	run := func(args ...string) result {
		return dk(t, append(append([]string{"run", "--rm", "--network=none", "--runtime=cloister"}, args...), lab.ImageName, "sh", "-c", mounted)...)
	}
	run().prints(t, "")
	run("--cap-add=SYS_ADMIN", "--tmpfs=/var/lib").prints(t, "")
	run("--cap-add=SYS_ADMIN", "-v=/var/lib/docker/x", "--tmpfs=/var/lib/kubelet").
		prints(t, "/var/lib/buildkit/var/lib/containerd/var/lib/containers/var/lib/kubelet")
}

// Where the root file system has no layer for changes, the volumes end with the
// container's processes.
func TestBundleImplicitVolumes(t *testing.T) {
	eachRuntime(t, func(t *testing.T, e bundleEngine) {
		r := e.run(t, options{privileged: true}, "echo x >/var/lib/docker/f; grep -c ' /var/lib/docker ' /proc/self/mountinfo")
		r.prints(t, "1")
		dir := filepath.Join(world.Daemon.StateDir, "volumes")
		eventually(t, "the volumes are removed", func() bool { return len(names(t, dir)) == 0 })
	})
}

func TestPodmanImplicitVolumes(t *testing.T) {
	need(t, "runc")
	e := newPodman(t, wrapped("runc")...)
	e.podman(lasting("pvol", "--cap-add=SYS_ADMIN", lab.ImageName, "sleep", "1000")...).ok(t)
	t.Cleanup(func() { e.podman("rm", "-f", "-t=0", "pvol") })
	e.podman("exec", "pvol", "sh", "-c", "echo kept >/var/lib/containers/f").ok(t)
	e.podman("stop", "-t=0", "pvol").ok(t)
	e.podman("start", "pvol").ok(t)
	e.podman("exec", "pvol", "cat", "/var/lib/containers/f").prints(t, "kept")
	e.podman("rm", "-f", "-t=0", "pvol").ok(t)
	if left, err := filepath.Glob(podmanDir("root/overlay/*/volumes.cloister")); err != nil || left != nil {
		t.Errorf("left of the container: %v, %v", left, err)
	}
}

// divideCgroup divides a container's cgroup from inside, where its limits are not to be
// changed.
const divideCgroup = `
	cd /sys/fs/cgroup; [ -d memory ] && cd memory
	mkdir -p a/b && echo made
	sh -c 'echo $$ >a/b/cgroup.procs && cat /proc/self/cgroup' | grep -q /a/b && echo moved
	for limit in memory.limit_in_bytes memory.max notify_on_release cgroup.max.descendants; do
		[ -e $limit ] && echo 1 >$limit && echo changed $limit
	done 2>/dev/null
	mkdir ../../x 2>/dev/null; echo end`

// TestBundleDelegatedCgroups: what a container puts into a part of its cgroup, in a pid
// namespace of its own, has the part's limits, also for the views.
func TestBundleDelegatedCgroups(t *testing.T) {
	eachRuntime(t, func(t *testing.T, e bundleEngine) {
		r := e.run(t, options{privileged: true, memory: "64m"}, divideCgroup+`
			mkdir main && echo $$ >main/cgroup.procs
			if [ -e cgroup.controllers ]; then
				echo +memory >cgroup.subtree_control && echo +memory >a/cgroup.subtree_control
				echo 32M >a/b/memory.max
			else
				echo 32M >a/b/memory.limit_in_bytes
			fi
			echo 'grep MemTotal /proc/meminfo; free -k | awk "/^Mem/ {print \$2}"; echo $$' >/inner
			sh -c 'echo $$ >a/b/cgroup.procs; exec unshare -mpf --mount-proc sh /inner'
			grep MemTotal /proc/meminfo`)
		r.prints(t, "made\nmoved\nend\nMemTotal:          32768 kB\n32768\n1\nMemTotal:          65536 kB")
	})
}

func TestDelegatedCgroups(t *testing.T) {
	needDocker(t)
	for runtime, program := range map[string]string{"cloister": "runc", "cloister-crun": "crun"} {
		t.Run(program, func(t *testing.T) {
			need(t, program)
			r := dk(t, "run", "--rm", "--network=none", "--runtime="+runtime, "--privileged", "-m=64m", lab.ImageName, "sh", "-c", divideCgroup)
			r.prints(t, "made\nmoved\nend")
		})
	}
	// A container that can't mount has no cgroups to divide.
	dk(t, "run", "--rm", "--network=none", "--runtime=cloister", lab.ImageName, "sh", "-c",
		"cd /sys/fs/cgroup; [ -d memory ] && cd memory; mkdir a 2>/dev/null || echo no").prints(t, "no")
}

// The kernel's log is the host's: a container that wants it gets an empty device.
func TestKernelLogOfAContainer(t *testing.T) {
	needDocker(t)
	for _, flag := range []string{"--privileged", "--device=/dev/kmsg"} {
		dk(t, "run", "--rm", "--network=none", "--runtime=cloister", flag, lab.ImageName, "sh", "-c",
			"head -c 1 /dev/kmsg | wc -c; echo x >/dev/kmsg; stat -c %t:%T /dev/kmsg").prints(t, "0\n1:3")
	}
}
