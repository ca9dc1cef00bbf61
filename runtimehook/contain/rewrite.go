package contain

import (
	"fmt"
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"

	"cloister/internal/api"
	"cloister/internal/sys"
	"cloister/runtimehook/spec"
)

// hookTimeout bounds the hook, in seconds: engines wait without a limit.
const hookTimeout = 10

// rewrite makes all changes except those of stage. It can't fail: everything that
// can fail has been done before.
func (j *job) rewrite() {
	j.userNamespace()
	j.doc.SetNamespace(specs.CgroupNamespace, "")
	j.promise.Namespaces = append(j.promise.Namespaces, "cgroup")
	j.timeNamespace()
	j.doc.KeepCapabilities(func(name string) bool { return j.capabilities[name] })
	if !j.capabilities["CAP_SYS_RESOURCE"] {
		j.doc.CapRlimits(sys.HardLimit)
	}
	devices := j.policy.Devices(&j.request)
	j.doc.KeepDevices(devices.Keep)
	if devices.Rules != nil {
		j.doc.SetDeviceRules(devices.Rules)
	}
	j.promise.Masked, j.promise.ReadOnly = j.doc.TakePaths(j.views)
	j.lockReadOnly()
	j.promise.Sysctls = j.doc.TakeSysctls()
	j.doc.TrapSyscalls(spec.Traps{
		Listener: api.ListenerPath(j.client.RunDir()), Key: j.grant.Key,
		CPUAffinity: j.affinity, WaitKillable: j.grant.Runtime.WaitKillable,
	})
	j.hook()
}

func (j *job) userNamespace() {
	if !j.ownIDs() {
		return
	}
	path := ""
	if j.grant.OwnerPID != 0 {
		path = fmt.Sprintf("/proc/%d/ns/user", j.grant.OwnerPID)
	}
	j.doc.SetNamespace(specs.UserNamespace, path)
	j.doc.SetIDMappings(j.grant.IDs.Start, j.grant.IDs.Size)
}

// timeNamespace lets the container's clocks since boot begin now, so that its
// uptime, the boot time in its /proc/stat and the start times of its processes
// agree. A container that shares namespaces with another stays with the host's
// clocks, as the other may have been there before.
func (j *job) timeNamespace() {
	if !j.grant.Runtime.TimeNamespace || j.sharing.owner != nil || j.doc.Namespace(specs.TimeNamespace) != nil {
		return
	}
	back := specs.LinuxTimeOffset{Secs: -int64(sys.BootTime().Seconds())}
	j.doc.SetNamespace(specs.TimeNamespace, "")
	j.doc.SetTimeOffsets(map[string]specs.LinuxTimeOffset{"boottime": back, "monotonic": back})
	j.promise.Namespaces = append(j.promise.Namespaces, "time")
}

// lockReadOnly has the mounts that are read-only from the beginning stay so. A runtime
// may make them so after the hook. Those of files of the host and the root are locked when
// they are staged.
func (j *job) lockReadOnly() {
	for i := range j.doc.Spec.Mounts {
		m := &j.doc.Spec.Mounts[i]
		if slices.Contains(m.Options, "ro") && !spec.IsBind(m) {
			j.promise.Locked = append(j.promise.Locked, m.Destination)
		}
	}
}

// hook adds the prestart hook. The end of the container needs none: the daemon
// watches its processes.
func (j *job) hook() {
	timeout := hookTimeout
	j.doc.AddHook("prestart", specs.Hook{
		Path: j.Hook,
		Args: []string{
			"cloister", "hook", "prestart",
			"--run-dir=" + j.client.RunDir(), "--key=" + j.grant.Key, "--promise=" + j.promise.String(),
		},
		Timeout: &timeout,
		Env:     []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
	})
}
