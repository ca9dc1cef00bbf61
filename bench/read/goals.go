package read

import "slices"

// Goal is what reading should cost, and whether it does. The worst file counts.
type Goal struct {
	Name string `json:"name"`
	// Limit is the largest value that meets the goal, or the smallest if AtLeast is set.
	Limit   float64 `json:"limit"`
	AtLeast bool    `json:"atLeast,omitempty"`
	Unit    string  `json:"unit"`
	Value   float64 `json:"value"`
	// Worst is the file that the value is of.
	Worst string `json:"worst,omitempty"`
	Met   bool   `json:"met"`
}

// add takes another file's value.
func (g *Goal) add(file string, value float64) {
	worse := value > g.Value
	if g.AtLeast {
		worse = value < g.Value
	}
	if g.Worst == "" || worse {
		g.Worst, g.Value = file, value
		g.Met = value <= g.Limit
		if g.AtLeast {
			g.Met = value >= g.Limit
		}
	}
}

// goals judges a result. Goals of which nothing was measured are left out.
func goals(r *Result) []Goal {
	dynamic := &Goal{Name: "dynamic files, open, same CPU, to the kernel's own", Limit: 2.5, Unit: "×"}
	faster := &Goal{Name: "dynamic files, open, same CPU, faster than lxcfs", Limit: 10, AtLeast: true, Unit: "×"}
	still := &Goal{Name: "pushed files, open, same CPU, to the kernel's own", Limit: 0.6, Unit: "×"}
	cpu := &Goal{Name: "daemon's CPU for an open and read", Limit: 6, Unit: " µs"}
	scale := &Goal{Name: "4 threads on different files, open, to one thread", Limit: 2, AtLeast: true, Unit: "×"}
	tail := &Goal{Name: "p99 to p50, same CPU", Limit: 3, Unit: "×"}
	for _, m := range r.Cases {
		if m.Placement != Pinned {
			continue
		}
		file := m.Files[0]
		tail.add(file+" "+string(m.Op), m.Cloister.P99ToP50)
		if m.Op != Open {
			continue
		}
		cpu.add(file, m.Cloister.ServerCPU)
		if slices.Contains(pushed, file) {
			still.add(file, m.Cloister.ToKernel.Median)
			continue
		}
		dynamic.add(file, m.Cloister.ToKernel.Median)
		if m.LXCFSToCloister != nil {
			faster.add(file, m.LXCFSToCloister.Median)
		}
	}
	for _, s := range r.Scaling {
		if s.Op == Open {
			scale.add("all", s.Cloister.Median)
		}
	}
	var out []Goal
	for _, g := range []*Goal{dynamic, faster, still, cpu, scale, tail} {
		if g.Worst != "" {
			out = append(out, *g)
		}
	}
	return out
}
