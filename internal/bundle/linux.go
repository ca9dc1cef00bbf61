package bundle

import (
	"math"
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// cgroupPrefix begins the cgroups of `cloister run`. They have no parent of their
// own, which would stay when they are gone.
const cgroupPrefix = "/cloister-"

func linux(o *Options) *specs.Linux {
	l := &specs.Linux{
		CgroupsPath: cgroupPrefix + string(o.Name),
		Resources:   resources(o),
	}
	for _, kind := range []specs.LinuxNamespaceType{
		specs.MountNamespace, specs.NetworkNamespace, specs.UTSNamespace,
		specs.PIDNamespace, specs.IPCNamespace, specs.CgroupNamespace,
	} {
		if !slices.Contains(o.Host, kind) {
			l.Namespaces = append(l.Namespaces, specs.LinuxNamespace{Type: kind})
		}
	}
	if !o.Privileged {
		l.MaskedPaths = []string{
			"/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
			"/proc/sched_debug", "/proc/scsi", "/proc/timer_list", "/proc/timer_stats",
			"/sys/devices/virtual/powercap", "/sys/firmware",
		}
		l.ReadonlyPaths = []string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"}
	}
	return l
}

// resources are the limits. To a container that is not privileged, runtimes add
// the devices that every container may use.
func resources(o *Options) *specs.LinuxResources {
	return &specs.LinuxResources{
		Devices: []specs.LinuxDeviceCgroup{{Allow: o.Privileged, Access: "rwm"}},
		Memory:  o.Limits.memory(),
		CPU:     o.Limits.cpu(),
	}
}

func (l *Limits) cpu() *specs.LinuxCPU {
	c := &specs.LinuxCPU{Cpus: l.CPUSet.String()}
	if l.CPUs != 0 {
		quota, period := l.CPUs.quota(), cpuPeriod
		c.Quota, c.Period = &quota, &period
	}
	return c
}

// memory limits the swap to the size of the memory unless told otherwise, as docker
// does.
func (l *Limits) memory() *specs.LinuxMemory {
	if l.Memory == 0 {
		return nil
	}
	limit, swap := int64(l.Memory), int64(l.MemorySwap)
	if swap == 0 {
		swap = limit + min(limit, math.MaxInt64-limit)
	}
	return &specs.LinuxMemory{Limit: &limit, Swap: &swap}
}
