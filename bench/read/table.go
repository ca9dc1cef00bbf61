package read

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// Print writes a result for people.
func (r *Result) Print(w io.Writer) error {
	fmt.Fprintf(w, "cloister %s, %sLinux %s, %d CPUs (%s), cgroups %s\n", r.Cloister, r.peer(), r.Kernel, r.CPUs, r.CPU, r.Cgroups)
	fmt.Fprintf(w, "µs a read, and × the kernel's own; median of %d rounds\n", r.Rounds)
	for _, f := range r.Empty {
		fmt.Fprintf(w, "%s is empty and was left out\n", f)
	}
	fmt.Fprintln(w)
	for _, p := range []Placement{Pinned, Free} {
		if err := r.printLatencies(w, p); err != nil {
			return err
		}
	}
	if err := r.printThroughput(w); err != nil {
		return err
	}
	return r.printGoals(w)
}

func (r *Result) peer() string {
	if r.LXCFS == "" {
		return ""
	}
	return "lxcfs " + r.LXCFS + ", "
}

// rows are the lines of a table: names and operation at the left, figures at the right.
type rows [][]string

func (all *rows) add(cells ...string) { *all = append(*all, cells) }

// print writes the rows: two columns aligned at the left, and the others at the right.
func (all rows) print(w io.Writer) error {
	var width [2]int
	for _, row := range all {
		for i := range width {
			width[i] = max(width[i], len([]rune(row[i])))
		}
	}
	tw := tabwriter.NewWriter(w, 0, 0, 3, ' ', tabwriter.AlignRight|tabwriter.TabIndent)
	for _, row := range all {
		fmt.Fprintf(tw, "%-*s  %-*s\t%s\t\n", width[0], row[0], width[1], row[1], strings.Join(row[2:], "\t"))
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintln(w)
	return err
}

// titles say how the placements are called.
var titles = map[Placement]string{Pinned: "same CPU", Free: "any CPU"}

func (r *Result) printLatencies(w io.Writer, p Placement) error {
	var all rows
	all.add(titles[p], "", "kernel", "cloister", "", "lxcfs", "", "p99/p50", "daemon's CPU")
	last := ""
	for _, m := range r.Cases {
		if m.Placement != p || len(m.Files) > 1 {
			continue
		}
		name := shortName(m.Files[0])
		if name == last {
			name = ""
		} else {
			last = name
		}
		row := []string{name, string(m.Op), µs(m.Kernel.P50), µs(m.Cloister.P50), times(m.Cloister.ToKernel)}
		row = append(row, m.LXCFS.cells()...)
		all.add(append(row, fmt.Sprintf("%.1f", m.Cloister.P99ToP50), µs(m.Cloister.ServerCPU))...)
	}
	return all.print(w)
}

// cells are the columns of lxcfs, empty without it.
func (f *Figures) cells() []string {
	if f == nil {
		return []string{"-", ""}
	}
	return []string{µs(f.P50), times(f.ToKernel)}
}

func (r *Result) printThroughput(w io.Writer) error {
	var all rows
	all.add("reads a second", "", "kernel", "cloister", "to 1 thread", "lxcfs", "daemon's CPU")
	for _, m := range r.Cases {
		if len(m.Files) == 1 {
			continue
		}
		peer := "-"
		if m.LXCFS != nil {
			peer = thousands(m.LXCFS.OpsPerSecond)
		}
		all.add(m.threads(), string(m.Op), thousands(m.Kernel.OpsPerSecond), thousands(m.Cloister.OpsPerSecond),
			r.scale(m.Case), peer, µs(m.Cloister.ServerCPU))
	}
	return all.print(w)
}

// threads says who reads what.
func (c Case) threads() string {
	what := fmt.Sprintf("%d files", len(slices.Compact(slices.Sorted(slices.Values(c.Files)))))
	if what == "1 files" {
		what = shortName(c.Files[0])
	}
	if c.Threads == 1 {
		return "1 thread, " + what
	}
	return fmt.Sprintf("%d threads, %s", c.Threads, what)
}

// scale returns the scaling of a case with many threads on different files.
func (r *Result) scale(c Case) string {
	if c.Threads == 1 || c.Files[0] == c.Files[len(c.Files)-1] {
		return ""
	}
	for _, s := range r.Scaling {
		if s.Op == c.Op {
			return times(&s.Cloister)
		}
	}
	return ""
}

func (r *Result) printGoals(w io.Writer) error {
	var all rows
	all.add("goal", "", "limit", "measured", "met", "worst")
	for _, g := range r.Goals {
		sign, met := "≤", "yes"
		if g.AtLeast {
			sign = "≥"
		}
		if !g.Met {
			met = "no"
		}
		all.add(g.Name, "", fmt.Sprintf("%s %.3g%s", sign, g.Limit, g.Unit), fmt.Sprintf("%.3g%s", g.Value, g.Unit), met, shortName(g.Worst))
	}
	return all.print(w)
}

// shortName is how a file is called in a table.
func shortName(file string) string {
	for _, dir := range []string{"/proc/", "/sys/devices/system/"} {
		if rest, ok := strings.CutPrefix(file, dir); ok {
			return rest
		}
	}
	return file
}

func µs(v float64) string {
	if v >= 100 {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

func times(s *Spread) string {
	switch {
	case s == nil:
		return ""
	case s.Median >= 10:
		return fmt.Sprintf("%.0f×", s.Median)
	}
	return fmt.Sprintf("%.2f×", s.Median)
}

func thousands(v float64) string {
	if v < 1e4 {
		return fmt.Sprintf("%.1f k", v/1e3)
	}
	return fmt.Sprintf("%.0f k", v/1e3)
}
