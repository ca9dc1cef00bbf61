package cgroupview

import (
	"fmt"
	"math"
	"math/bits"
	"strconv"
	"time"
)

// Bandwidth is a CPU quota as an exact ratio: Quota µs of CPU time in each
// Period µs. A Period of 0 means no quota.
type Bandwidth struct {
	Quota, Period uint64
}

// Limited reports whether there is a quota.
func (b Bandwidth) Limited() bool { return b.Period != 0 }

// Less reports whether b allows less CPU time than c.
func (b Bandwidth) Less(c Bandwidth) bool {
	if !b.Limited() || !c.Limited() {
		return b.Limited()
	}
	bh, bl := bits.Mul64(b.Quota, c.Period)
	ch, cl := bits.Mul64(c.Quota, b.Period)
	return bh < ch || bh == ch && bl < cl
}

// CPUs returns the number of CPUs that the quota could keep busy, rounded up.
// Precondition: b is Limited.
func (b Bandwidth) CPUs() uint64 {
	n := b.Quota / b.Period
	if b.Quota%b.Period != 0 {
		n++
	}
	return n
}

// In returns the CPU time in nanoseconds that the quota allows in d, rounded
// down. Precondition: b is Limited and d is not negative.
func (b Bandwidth) In(d time.Duration) uint64 {
	hi, lo := bits.Mul64(b.Quota, uint64(d))
	if hi >= b.Period {
		return math.MaxUint64
	}
	v, _ := bits.Div64(hi, lo, b.Period)
	return v
}

// bandwidthV2 reads cpu.max of each level.
type bandwidthV2 []*file

func newBandwidthV2(d *dir) reader {
	r := make(bandwidthV2, d.levels)
	for i := range r {
		r[i] = d.file(i, "cpu.max")
	}
	return r
}

func (r bandwidthV2) read(buf *[]byte, u *Usage) error {
	for _, f := range r {
		var b Bandwidth
		_, err := f.parse(buf, func(text []byte) (err error) {
			b, err = parseCPUMax(text)
			return err
		})
		if err != nil {
			return err
		}
		if b.Less(u.Bandwidth) {
			u.Bandwidth = b
		}
	}
	return nil
}

func (r bandwidthV2) close() {
	for _, f := range r {
		f.close()
	}
}

// parseCPUMax parses v2's cpu.max: "QUOTA PERIOD" or "max PERIOD".
func parseCPUMax(text []byte) (Bandwidth, error) {
	quota, period := cutField(text)
	p, err := parsePeriod(period)
	if err != nil || string(quota) == "max" {
		return Bandwidth{}, err
	}
	q, err := parseUint(quota)
	if err != nil {
		return Bandwidth{}, err
	}
	return Bandwidth{Quota: q, Period: p}, nil
}

func parsePeriod(text []byte) (uint64, error) {
	p, err := parseUint(text)
	if err == nil && p == 0 {
		err = fmt.Errorf("period 0: %w", ErrFormat)
	}
	return p, err
}

// bandwidthV1 reads cpu.cfs_quota_us and cpu.cfs_period_us of each level.
type bandwidthV1 []bandwidthLevelV1

type bandwidthLevelV1 struct{ quota, period *file }

func newBandwidthV1(d *dir) reader {
	r := make(bandwidthV1, d.levels)
	for i := range r {
		r[i] = bandwidthLevelV1{quota: d.file(i, "cpu.cfs_quota_us"), period: d.file(i, "cpu.cfs_period_us")}
	}
	return r
}

func (r bandwidthV1) read(buf *[]byte, u *Usage) error {
	for _, level := range r {
		b, err := level.read(buf)
		if err != nil {
			return err
		}
		if b.Less(u.Bandwidth) {
			u.Bandwidth = b
		}
	}
	return nil
}

func (l bandwidthLevelV1) read(buf *[]byte) (b Bandwidth, err error) {
	limited, err := l.quota.parse(buf, func(text []byte) (err error) {
		b.Quota, err = parseQuotaV1(text)
		return err
	})
	if err != nil || !limited || b.Quota == NoLimit {
		return Bandwidth{}, err
	}
	_, err = l.period.parse(buf, func(text []byte) (err error) {
		b.Period, err = parsePeriod(text)
		return err
	})
	return b, err
}

func (r bandwidthV1) close() {
	for _, level := range r {
		level.quota.close()
		level.period.close()
	}
}

// parseQuotaV1 parses cpu.cfs_quota_us, in which -1 stands for no quota.
func parseQuotaV1(text []byte) (uint64, error) {
	line, _ := cutLine(text)
	v, err := strconv.ParseInt(string(line), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("quota %.40q: %w", text, ErrFormat)
	}
	if v < 0 {
		return NoLimit, nil
	}
	return uint64(v), nil
}
