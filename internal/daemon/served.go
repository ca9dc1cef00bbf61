package daemon

import (
	"time"

	"cloister/fs"
	"cloister/internal/api"
)

// served adds up what was done with all view files.
func (v *views) served() api.ServedStats {
	s := api.ServedStats{Since: v.since}
	var latency fs.Histogram
	for _, t := range v.trees {
		stats := t.server.Stats()
		for i := range stats.Files {
			f := &stats.Files[i]
			s.Opens += f.Opens()
			s.Reads += f.Reads
			s.Bytes += f.Bytes
			s.Errors += f.Errors
			latency.Add(&f.Latency)
		}
	}
	s.P50Micros = micros(latency.Quantile(0.5))
	s.P99Micros = micros(latency.Quantile(0.99))
	return s
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
