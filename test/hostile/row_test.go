//go:build hostile

package hostile

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// row is what a container does, and the answers that it must get.
type row struct {
	name  string
	steps string // those of the probe, with "; " between them
	want  string // an answer for each, alternatives with "|" between them, "*" for any, "!" before one that it must not be
}

// ask has rows done in one container and returns the answers to each.
func ask(t *testing.T, e engine, k kind, all []row) []string {
	t.Helper()
	var in strings.Builder
	for i, r := range all {
		fmt.Fprintf(&in, "%d\t%s\n", i, r.steps)
	}
	out := strings.Split(strings.TrimSpace(probe(t, e, k, strings.NewReader(in.String()), "rows")), "\n")
	if len(out) != len(all) {
		t.Fatalf("%v, %s: %d answers to %d rows:\n%s", e, k, len(out), len(all), strings.Join(out, "\n"))
	}
	for i := range out {
		_, out[i], _ = strings.Cut(out[i], "\t")
	}
	return out
}

// matches compares answers with what is wanted.
func matches(got, want string) bool {
	g, w := strings.Split(got, "; "), strings.Split(want, "; ")
	return slices.EqualFunc(g, w, func(got, want string) bool {
		if other, ok := strings.CutPrefix(want, "!"); ok {
			return got != other
		}
		return want == "*" || slices.Contains(strings.Split(want, "|"), got)
	})
}

// holds fails the test for each row whose answers are not those that it wants.
func holds(t *testing.T, e engine, k kind, all []row) {
	t.Helper()
	for i, got := range ask(t, e, k, all) {
		if !matches(got, all[i].want) {
			t.Errorf("%s, %s\n%s\ngot  %s\nwant %s", k, all[i].name, all[i].steps, got, all[i].want)
		}
	}
}

var directory = regexp.MustCompile(`\b[PQ]\b`)

// inDirectories replaces single letters by directories.
func inDirectories(steps string) string {
	return directory.ReplaceAllStringFunc(steps, func(letter string) string { return "/tmp/" + strings.ToLower(letter) })
}

// withoutPivot leaves out rows that docker's profile allows to privileged containers alone.
func withoutPivot(all []row) []row {
	return slices.DeleteFunc(all, func(r row) bool { return strings.HasPrefix(r.steps, "enter pivot") })
}

// cutPlace takes the step off that must be the first.
func cutPlace(steps string) (place, rest string, ok bool) {
	if !strings.HasPrefix(steps, "enter ") {
		return "", steps, false
	}
	return strings.Cut(steps, "; ")
}
