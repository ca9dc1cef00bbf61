package emul

import (
	"fmt"
	"math"
	"time"
)

// Sysinfo is what sysinfo(2) reports in a container. Sizes are in bytes; the
// fields about high memory are 0.
type Sysinfo struct {
	Uptime    int64     // seconds, rounded up
	Loads     [3]uint64 // 1, 5 and 15 minutes, with SI_LOAD_SHIFT (16) fractional bits
	TotalRAM  uint64
	FreeRAM   uint64
	SharedRAM uint64
	BufferRAM uint64
	TotalSwap uint64
	FreeSwap  uint64
	Procs     uint16 // as many as fit
}

// Sysinfo returns the container's sysinfo(2), from the sample that its files are
// rendered from: its figures are those of meminfo, loadavg and uptime. Errors are
// those of Render.
func (c *Container) Sysinfo() (Sysinfo, error) {
	now := c.host.now()
	if err := c.refresh(now); err != nil {
		return Sysinfo{}, fmt.Errorf("sysinfo: %w", err)
	}
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.view.sysinfo(max(now, c.view.at)), nil
}

// sysinfo follows do_sysinfo in kernel/sys.c.
func (v *view) sysinfo(now time.Duration) Sysinfo {
	const siLoadShift = 16 // include/uapi/linux/sysinfo.h
	s := Sysinfo{
		Uptime:    int64((v.clock.uptime(now) + time.Second - 1) / time.Second),
		TotalRAM:  v.memory.total,
		FreeRAM:   v.memory.free,
		SharedRAM: v.memory.stat.Shmem,
		TotalSwap: v.memory.swapTotal,
		FreeSwap:  v.memory.swapFree,
		Procs:     uint16(min(v.tasks(), math.MaxUint16)),
	}
	for i, a := range v.load.Avenrun {
		s.Loads[i] = a << (siLoadShift - loadShift)
	}
	return s
}
