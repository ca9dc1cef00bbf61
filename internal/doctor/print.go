package doctor

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// The width of the report: lines are wrapped here, but for those to be copied.
const width = 80

// Print writes a report for people: what is wrong first.
func Print(w io.Writer, all []Finding) error {
	subjects := 0
	for _, f := range all {
		subjects = max(subjects, len(f.Subject))
	}
	var b strings.Builder
	var counts []string
	for _, s := range []State{Fail, Warn, OK} {
		some := slices.DeleteFunc(slices.Clone(all), func(f Finding) bool { return f.State != s })
		if s == OK && b.Len() > 0 {
			b.WriteByte('\n')
		}
		for i := range some {
			some[i].print(&b, subjects)
		}
		counts = append(counts, fmt.Sprintf("%d %s", len(some), s))
	}
	fmt.Fprintf(&b, "\n%s\n", strings.Join(counts, ", "))
	_, err := io.WriteString(w, b.String())
	return err
}

func (f *Finding) print(b *strings.Builder, subjects int) {
	indent := strings.Repeat(" ", len("fail  ")+subjects+2)
	for i, line := range wrap(f.Detail, width-len(indent)) {
		if i == 0 {
			fmt.Fprintf(b, "%-4s  %-*s  %s\n", f.State, subjects, f.Subject, line)
		} else {
			fmt.Fprintf(b, "%s%s\n", indent, line)
		}
	}
	if f.Next == "" {
		return
	}
	first, rest, more := strings.Cut(f.Next, "\n")
	for i, line := range wrap(first, width-len(indent)-2) {
		mark := "→ "
		if i > 0 {
			mark = "  "
		}
		fmt.Fprintf(b, "%s%s%s\n", indent, mark, line)
	}
	if more { // to be copied
		for line := range strings.SplitSeq(rest, "\n") {
			fmt.Fprintf(b, "%s    %s\n", indent, line)
		}
	}
}

// wrap breaks text between words into lines of at most n characters, if it can.
func wrap(text string, n int) []string {
	lines := []string{""}
	for _, word := range strings.Fields(text) {
		last := &lines[len(lines)-1]
		switch {
		case *last == "":
			*last = word
		case len(*last)+1+len(word) <= n:
			*last += " " + word
		default:
			lines = append(lines, word)
		}
	}
	return lines
}
