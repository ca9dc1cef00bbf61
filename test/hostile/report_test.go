//go:build hostile

package hostile

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// report collects what was answered, for docs/security.md.
var report = &results{}

type results struct{ lines []*line }

type line struct{ id, what, command, plain, ours string }

func (r *results) line(id, what string) *line {
	i := slices.IndexFunc(r.lines, func(l *line) bool { return l.id == id && l.what == what })
	if i < 0 {
		r.lines = append(r.lines, &line{id: id, what: what})
		i = len(r.lines) - 1
	}
	return r.lines[i]
}

func (r *results) ours(id, what, command, answer string) {
	l := r.line(id, what)
	l.command, l.ours = command, answer
}

func (r *results) plain(id, what, answer string) { r.line(id, what).plain = answer }

// TestRowsThatCannotRun names the threats that are not tried here.
func TestRowsThatCannotRun(t *testing.T) {
	for _, n := range notTried {
		t.Run(n.id, func(t *testing.T) { t.Skip(n.what + ": " + n.why) })
	}
}

// notTried are the threats without a test. T16 has more than a row: TestArgumentsThatChange.
var notTried = []struct{ id, what, why string }{
	{"T9", "CVE-2025-52565, /dev/pts/N is a symlink while it is bound to /dev/console", "takes two containers that race with the runtime; a volume on /dev, which it needs, is refused (T8)"},
	{"T23", "an allowed socket switches the protection off", "no container is given an engine's socket (T22)"},
	{"T25", "CVE-2023-0629, another socket of the engine", "the runtime protects, whichever socket the engine is asked by; there is no proxy to go around"},
	{"T27", "CVE-2025-10657, the list of commands is ignored", "there is no such list: no container is given a socket"},
	{"T28", "CVE-2025-9074, the engine's API by TCP", "the engine decides on what it listens"},
	{"T29", "CVE-2026-17106, docker cp leaves its destination", "the engine copies; no runtime takes part"},
}

// publish prints the table of attacks, and with -update writes it.
func (r *results) publish() error {
	if len(r.lines) == 0 {
		return nil
	}
	slices.SortStableFunc(r.lines, func(a, b *line) int { return cmp.Compare(number(a.id), number(b.id)) })
	table := r.table()
	fmt.Println(table)
	if !*update {
		return nil
	}
	if len(r.lines) != len(attacks)+len(scenes) {
		return errors.New("docs/security.md is not written, because some attacks were left out")
	}
	return os.WriteFile("../../docs/security.md", []byte(intro+table+r.outro()), 0o644)
}

func number(id string) int {
	n, _ := strconv.Atoi(strings.TrimPrefix(id, "T")) // all have one
	return n
}

func (r *results) table() string {
	var b strings.Builder
	b.WriteString("| | Attack | In the container | runc alone | cloister |\n|---|---|---|---|---|\n")
	for _, l := range r.lines {
		fmt.Fprintf(&b, "| %s | %s | `%s` | %s | %s |\n", l.id, l.what, l.command, short(l.plain), short(l.ours))
	}
	return b.String()
}

// missing names the rows that are about something that this kernel does not have.
func (r *results) missing() (all []string) {
	for _, l := range r.lines {
		has := func(answer string) bool { return answer != "ENOENT" && answer != "ENOSYS" }
		if !slices.ContainsFunc(strings.Split(l.plain, "; "), has) {
			all = append(all, fmt.Sprintf("%s (%s)", l.id, l.what))
		}
	}
	return all
}

// short leaves out what is another one on each host.
func short(answer string) string {
	words := strings.Split(answer, "; ")
	for i, w := range words {
		if _, err := strconv.Atoi(w); err == nil && w != memoryKiB && len(w) > 3 {
			words[i] = "the host's"
		} else if boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id"); err == nil && len(w) == len(boot)-1 {
			words[i] = "its own"
			if w == strings.TrimSpace(string(boot)) {
				words[i] = "the host's"
			}
		}
	}
	return strings.Join(words, "; ")
}
