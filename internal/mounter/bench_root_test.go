//go:build root

package mounter_test

import (
	"fmt"
	"os"
	"strconv"
	"testing"

	"cloister/internal/sealed"
)

// BenchmarkMount mounts, and unmounts, in the container. Its proc has as many views as a
// real one.
func BenchmarkMount(b *testing.B) {
	views := 0
	c := newContainer(b, func(c *container) {
		f := c.facts
		source := f.Plan.Views[0].Source
		for _, dir := range []string{"", "sys/kernel/", "sys/vm/", "sys/fs/"} {
			files, err := os.ReadDir("/proc/" + dir)
			if err != nil {
				b.Fatal(err)
			}
			for _, file := range files {
				if file.Type().IsRegular() && views < 60 {
					f.Plan.Views = append(f.Plan.Views, sealed.View{Source: source, Path: "proc/" + dir + file.Name()})
					views++
				}
			}
		}
	})
	for _, bench := range []struct{ name, call string }{
		{"proc", "M proc /mnt/a proc"},
		{"sysfs", "M sysfs /mnt/a sysfs"},
		{"tmpfs", "M tmpfs /mnt/a tmpfs"},
		{"bindOfProc", "M /proc /mnt/a '' 4096"},
		{"bindOfOther", "M /usr /mnt/a '' 4096"},
	} {
		b.Run(bench.name, func(b *testing.B) {
			out := c.sh(fmt.Sprintf("export COUNT=%d; %s", b.N, bench.call))
			nanos, err := strconv.ParseFloat(out, 64)
			if err != nil {
				b.Fatal(out)
			}
			b.ReportMetric(nanos/float64(b.N), "ns/op")
		})
	}
}
