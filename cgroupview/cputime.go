package cgroupview

import "fmt"

// CPUTime is CPU time used, in nanoseconds.
type CPUTime struct {
	User, System uint64
}

// cpuTimeV2 reads cpu.stat, whose time counters every cgroup2 cgroup has,
// whether or not the cpu controller is on.
type cpuTimeV2 struct{ stat *file }

func newCPUTimeV2(d *dir) reader {
	return &cpuTimeV2{stat: d.file(0, "cpu.stat")}
}

func (r *cpuTimeV2) read(buf *[]byte, u *Usage) (err error) {
	u.CPUTimeOwn, err = r.stat.parse(buf, func(b []byte) error { return parseCPUStat(b, &u.CPUTime) })
	return err
}

func (r *cpuTimeV2) close() { r.stat.close() }

// parseCPUStat parses v2's cpu.stat. Its user_usec includes nice_usec.
func parseCPUStat(b []byte, t *CPUTime) error {
	err := parseFlatKeyed(b, t.fieldV2)
	const nsPerUsec = 1000
	t.User *= nsPerUsec
	t.System *= nsPerUsec
	return err
}

func (t *CPUTime) fieldV2(key []byte) *uint64 {
	switch string(key) {
	case "user_usec":
		return &t.User
	case "system_usec":
		return &t.System
	}
	return nil
}

// cpuTimeV1 reads cpuacct.usage_all, or cpuacct.stat on older kernels.
type cpuTimeV1 struct{ usageAll, stat *file }

func newCPUTimeV1(d *dir) reader {
	return &cpuTimeV1{usageAll: d.file(0, "cpuacct.usage_all"), stat: d.file(0, "cpuacct.stat")}
}

func (r *cpuTimeV1) read(buf *[]byte, u *Usage) (err error) {
	u.CPUTimeOwn, err = r.usageAll.parse(buf, func(b []byte) (err error) {
		u.PerCPU, err = parseUsageAll(b, u.PerCPU)
		return err
	})
	if err != nil {
		return err
	}
	if u.CPUTimeOwn {
		for _, t := range u.PerCPU {
			u.CPUTime.User += t.User
			u.CPUTime.System += t.System
		}
		return nil
	}
	u.CPUTimeOwn, err = r.stat.parse(buf, func(b []byte) error { return parseCPUAcctStat(b, &u.CPUTime) })
	return err
}

func (r *cpuTimeV1) close() {
	r.usageAll.close()
	r.stat.close()
}

// parseUsageAll parses v1's cpuacct.usage_all into rows, by CPU number: a
// header "cpu user system", then the number of a possible CPU and its
// nanoseconds on each line.
func parseUsageAll(b []byte, rows []CPUTime) ([]CPUTime, error) {
	_, b = cutLine(b)
	for len(b) > 0 {
		var line []byte
		line, b = cutLine(b)
		cpu, rest := cutField(line)
		user, system := cutField(rest)
		n, err := parseCPU(cpu)
		if err != nil {
			return nil, fmt.Errorf("line %.60q: %w", line, err)
		}
		for n >= len(rows) {
			rows = append(rows, CPUTime{})
		}
		if rows[n].User, err = parseUint(user); err != nil {
			return nil, fmt.Errorf("line %.60q: %w", line, err)
		}
		if rows[n].System, err = parseUint(system); err != nil {
			return nil, fmt.Errorf("line %.60q: %w", line, err)
		}
	}
	return rows, nil
}

// parseCPUAcctStat parses v1's cpuacct.stat, which counts in USER_HZ.
func parseCPUAcctStat(b []byte, t *CPUTime) error {
	err := parseFlatKeyed(b, t.fieldV1)
	const nsPerTick = 1e9 / 100 // USER_HZ is 100 on every architecture we run on
	t.User *= nsPerTick
	t.System *= nsPerTick
	return err
}

func (t *CPUTime) fieldV1(key []byte) *uint64 {
	switch string(key) {
	case "user":
		return &t.User
	case "system":
		return &t.System
	}
	return nil
}
