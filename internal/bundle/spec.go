package bundle

import (
	"cmp"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// Spec returns the config of a container.
func Spec(o *Options) *specs.Spec {
	return &specs.Spec{
		Version:  "1.0.2", // nothing newer is used, and old runtimes refuse newer ones
		Root:     root(o),
		Process:  process(o),
		Hostname: string(o.Name),
		Mounts:   append(mounts(o), volumes(o)...),
		Linux:    linux(o),
	}
}

func root(o *Options) *specs.Root {
	if o.Rootfs != "" {
		return &specs.Root{Path: o.Rootfs}
	}
	return &specs.Root{Path: rootfsDir}
}

const searchPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

func process(o *Options) *specs.Process {
	env := []string{"PATH=" + searchPath, "HOME=/root", "HOSTNAME=" + string(o.Name)}
	if o.Terminal {
		env = append(env, "TERM="+cmp.Or(o.Term, "xterm"))
	}
	return &specs.Process{
		Terminal:     o.Terminal,
		Args:         o.Command,
		Env:          env,
		Cwd:          "/",
		Capabilities: capabilities(o.Privileged),
	}
}

// mounts returns what every container of docker's has, and the host's /usr for one
// that has no programs of its own.
func mounts(o *Options) []specs.Mount {
	sys := []string{"nosuid", "noexec", "nodev", "ro"}
	if o.Privileged {
		sys = sys[:3]
	}
	all := []specs.Mount{
		{Destination: "/proc", Type: "proc", Source: "proc", Options: []string{"nosuid", "noexec", "nodev"}},
		{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "strictatime", "mode=755", "size=65536k"}},
		{Destination: "/dev/pts", Type: "devpts", Source: "devpts", Options: []string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"}},
		{Destination: "/sys", Type: "sysfs", Source: "sysfs", Options: sys},
		{Destination: "/sys/fs/cgroup", Type: "cgroup", Source: "cgroup", Options: sys},
		{Destination: "/dev/mqueue", Type: "mqueue", Source: "mqueue", Options: []string{"nosuid", "noexec", "nodev"}},
		{Destination: "/dev/shm", Type: "tmpfs", Source: "shm", Options: []string{"nosuid", "noexec", "nodev", "mode=1777", "size=65536k"}},
	}
	if o.Rootfs == "" {
		// rro: what is mounted below /usr must not be writable either.
		all = append(all, specs.Mount{
			Destination: "/usr", Type: "bind", Source: "/usr",
			Options: []string{"rbind", "rprivate", "ro", "rro", "nosuid", "nodev"},
		})
	}
	return all
}

// volumes returns the mounts of the volumes, those on top of others last.
func volumes(o *Options) []specs.Mount {
	var all []specs.Mount
	for _, v := range o.Volumes {
		options := []string{"rbind", "rprivate", "rw"}
		if v.ReadOnly {
			options = []string{"rbind", "rprivate", "ro", "rro"}
		}
		all = append(all, specs.Mount{Destination: v.Target, Type: "bind", Source: v.Source, Options: options})
	}
	slices.SortStableFunc(all, func(a, b specs.Mount) int {
		return strings.Count(a.Destination, "/") - strings.Count(b.Destination, "/")
	})
	return all
}
