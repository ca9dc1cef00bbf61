package metrics

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"cloister/fs"
)

// everything is a snapshot in which nothing is missing.
var everything = Snapshot{
	Superblocks: []Superblock{
		{Name: "exact", Stats: fs.Stats{
			Requests: map[string]uint64{"OPEN": 3, "READ": 4}, Slow: 1, Notifications: 2, Sweeps: 3,
			Files: []fs.FileStats{
				{Path: "proc/meminfo", Direct: 1, Leased: 2, Reads: 4, Bytes: 5000, Renewed: 6, Errors: 7},
				{Path: "proc/uptime"},
			},
		}},
		{Name: "writable", Stats: fs.Stats{
			Requests: map[string]uint64{"OPEN": 1},
			Files:    []fs.FileStats{{Path: "proc/pressure/io", Direct: 1}},
		}},
	},
	Listeners: 3, RefusedListeners: 1,
	Containers: 2, Registrations: 10, Refusals: 5, IDsUsed: 131072, IDs: 65536000,
	Worker: &Worker{Restarts: 4, Kills: 1},
}

// gather returns our own metrics, from a registry that verifies what it gets.
func gather(t *testing.T, s Snapshot) []*dto.MetricFamily {
	t.Helper()
	r := prometheus.NewPedanticRegistry()
	calls := NewSyscalls()
	calls.Count("mount", "continued", 3*time.Millisecond)
	r.MustRegister(collector(func() Snapshot { return s }), calls, buildInfo("1.2"))
	all, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestNamesFollowConventions(t *testing.T) {
	problems, err := promlint.NewWithMetricFamilies(gather(t, everything)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

func TestText(t *testing.T) {
	var text strings.Builder
	for _, f := range gather(t, everything) {
		if _, err := expfmt.MetricFamilyToText(&text, f); err != nil {
			t.Fatal(err)
		}
	}
	lines := slices.Collect(strings.SplitSeq(text.String(), "\n"))
	for _, want := range []string{
		`cloister_view_opens_total{file="/proc/meminfo",protocol="direct"} 1`,
		`cloister_view_opens_total{file="/proc/meminfo",protocol="leased"} 2`,
		`cloister_view_reads_total{file="/proc/meminfo"} 4`,
		`cloister_view_read_bytes_total{file="/proc/meminfo"} 5000`,
		`cloister_view_renewals_total{file="/proc/meminfo"} 6`,
		`cloister_view_errors_total{file="/proc/meminfo"} 7`,
		`cloister_view_errors_total{file="/proc/uptime"} 0`,
		`cloister_view_opens_total{file="/proc/pressure/io",protocol="direct"} 1`,
		`cloister_fuse_requests_total{opcode="OPEN",superblock="exact"} 3`,
		`cloister_fuse_requests_total{opcode="OPEN",superblock="writable"} 1`,
		`cloister_fuse_slow_requests_total{superblock="exact"} 1`,
		`cloister_fuse_notifications_total{superblock="exact"} 2`,
		`cloister_fuse_sweeps_total{superblock="exact"} 3`,
		`cloister_containers 2`,
		`cloister_syscall_listeners 3`,
		`cloister_syscall_listeners_refused_total 1`,
		`cloister_syscalls_total{call="mount",outcome="continued"} 1`,
		`cloister_syscall_duration_seconds_bucket{call="mount",le="0.008192"} 1`,
		`cloister_syscall_duration_seconds_count{call="mount"} 1`,
		`cloister_container_registrations_total 10`,
		`cloister_container_refusals_total 5`,
		`cloister_id_region_used 131072`,
		`cloister_id_region_size 6.5536e+07`,
		`cloister_worker_restarts_total 4`,
		`cloister_worker_watchdog_kills_total 1`,
	} {
		if !slices.Contains(lines, want) {
			t.Errorf("no line %s", want)
		}
	}
	if t.Failed() {
		t.Log(text.String())
	}
}

// Every member of a series is counted as one file, and no label is other than these:
// the number of time series does not grow with the containers.
func TestLabels(t *testing.T) {
	allowed := []string{fileLabel, protocolLabel, superblockLabel, opcodeLabel, callLabel, outcomeLabel, "version", "goversion"}
	for _, f := range gather(t, everything) {
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if !slices.Contains(allowed, l.GetName()) {
					t.Errorf("%s has the label %s", f.GetName(), l.GetName())
				}
			}
		}
	}
}

func TestWithoutWorker(t *testing.T) {
	for _, f := range gather(t, Snapshot{}) {
		if strings.HasPrefix(f.GetName(), "cloister_worker_") {
			t.Errorf("%s is shown although nothing restarts the daemon", f.GetName())
		}
	}
}

// A file's buckets reach from a microsecond to seconds, and are not too many.
func TestDuration(t *testing.T) {
	var m dto.Metric
	if err := duration(&fs.Histogram{}, "/proc/stat").Write(&m); err != nil {
		t.Fatal(err)
	}
	buckets := m.GetHistogram().GetBucket()
	if first, last := buckets[0].GetUpperBound(), buckets[len(buckets)-1].GetUpperBound(); first != 1024e-9 || last < 17 || last > 18 {
		t.Errorf("the buckets go from %v to %v", first, last)
	}
	if len(buckets) > 20 {
		t.Errorf("%d buckets for each file are too many", len(buckets))
	}
}

// The runtime's and the process's own are there as well.
func TestCollectors(t *testing.T) {
	all, err := NewRegistry("1.2", func() Snapshot { return Snapshot{} }, NewSyscalls()).Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"cloister_build_info", "go_goroutines", "process_resident_memory_bytes"} {
		if !slices.ContainsFunc(all, func(f *dto.MetricFamily) bool { return f.GetName() == name }) {
			t.Errorf("no %s", name)
		}
	}
}
