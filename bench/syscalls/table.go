package syscalls

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// Print writes a result for people.
func (r *Result) Print(w io.Writer) error {
	fmt.Fprintf(w, "Linux %s, %d CPUs, %s; median of %d rounds\n\n", r.Kernel, r.CPUs, r.Runtime, r.Rounds)
	tw := tabwriter.NewWriter(w, 0, 0, 3, ' ', tabwriter.AlignRight|tabwriter.TabIndent)
	const name = 26
	fmt.Fprintf(tw, "%-*s\tplain\tcloister\tratio\tmiddle half\tgoal\tmet\tviews\tSysbox\t\n", name, "")
	for _, m := range r.Parts {
		goal, met := m.goal(), "yes"
		switch {
		case goal == "":
			met = ""
		case !m.Met:
			met = "no"
		}
		fmt.Fprintf(tw, "%-*s\t%s\t%s\t%s\t%s to %s\t%s\t%s\t%d\t%s\t\n", name, m.Name, duration(m.Plain), duration(m.Cloister),
			times(m.Ratio.Median), times(m.Ratio.Low), times(m.Ratio.High), goal, met, m.Views, m.Sysbox.cell())
	}
	return tw.Flush()
}

// goal is the column of that name.
func (p *Part) goal() string {
	switch {
	case p.Limit > 0:
		return duration(p.Limit)
	case p.Goal > 0:
		return times(p.Goal)
	}
	return ""
}

// cell is the column of Sysbox, empty where it was not measured.
func (r *Reference) cell() string {
	if r == nil {
		return ""
	}
	return times(r.Ratio())
}

// duration writes microseconds.
func duration(µs float64) string {
	switch {
	case µs >= 1e6:
		return fmt.Sprintf("%.2f s", µs/1e6)
	case µs >= 1e3:
		return fmt.Sprintf("%.2f ms", µs/1e3)
	case µs >= 100:
		return fmt.Sprintf("%.0f µs", µs)
	}
	return fmt.Sprintf("%.2f µs", µs)
}

func times(ratio float64) string {
	if ratio >= 10 {
		return fmt.Sprintf("%.0f×", ratio)
	}
	return fmt.Sprintf("%.2f×", ratio)
}
