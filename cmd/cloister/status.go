package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"time"

	"cloister/internal/api"
)

type statusCmd struct {
	JSON bool `name:"json" help:"Print JSON."`
}

// Run prints what the daemon says of itself.
func (c *statusCmd) Run(client *api.Client) error {
	s, err := client.Status()
	if errors.Is(err, api.ErrNoDaemon) {
		return c.withoutWorker(client.RunDir(), err)
	}
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(s)
	}
	r := s.IDRegion
	rows := [][]string{
		{"version", s.Version},
		{"pid", fmt.Sprint(s.PID)},
		{"worker's pid", fmt.Sprint(s.WorkerPID)},
		{"up for", since(s.Since)},
		{"restarts", restarts(s)},
		{"memory", size(s.Memory)},
		{"containers", fmt.Sprint(s.Containers)},
		{"run directory", s.RunDir},
		{"state directory", s.StateDir},
		{"user ids", fmt.Sprintf("%s, %d of %d in use", ids(r.Start, r.Size), r.Used, r.Size)},
		{"runtime", s.Runtime.Path + " (" + s.Runtime.Version + ")"},
		{"served", served(&s.Served)},
		{"rendering requests", latency(&s.Served)},
		{"system calls", fmt.Sprintf("%d answered, from %d listeners", s.Syscalls.Served, s.Syscalls.Listeners)},
	}
	if s.SettingsError != "" {
		rows = append(rows, []string{"settings", "those of before are in force: " + s.SettingsError})
	}
	if s.Upgrade != nil {
		rows = append(rows, []string{"last upgrade", upgraded(s.Upgrade)})
	}
	rows = append(rows, wrapped("views", s.Views)...)
	for _, name := range slices.Sorted(maps.Keys(s.Features)) {
		rows = append(rows, []string{name, yes(s.Features[name])})
	}
	return table(os.Stdout, rows)
}

// since returns how long ago something was, "-" if that is not known.
func since(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return time.Since(t).Truncate(time.Second).String()
}

// restarts says how often the worker was replaced, and why the last time.
func restarts(s *api.Status) string {
	switch {
	case s.Restarts == 0:
		return "0"
	case s.LastExit == "":
		return fmt.Sprintf("%d, the last %s ago", s.Restarts, since(s.Served.Since))
	}
	return fmt.Sprintf("%d, the last %s ago: %s", s.Restarts, since(s.Served.Since), s.LastExit)
}

// upgraded says how an upgrade went.
func upgraded(u *api.Upgrade) string {
	switch {
	case !u.Done:
		return "to " + u.To + ", is under way"
	case u.Error != "":
		return fmt.Sprintf("to %s, failed %s: %s", u.To, ago(u.Time), u.Error)
	}
	return fmt.Sprintf("to %s, %s", u.To, ago(u.Time))
}

// served says what was done since the worker was started.
func served(s *api.ServedStats) string {
	return fmt.Sprintf("%d opens, %d reads of %s, %d errors", s.Opens, s.Reads, size(s.Bytes), s.Errors)
}

// latency says how long what was rendered took.
func latency(s *api.ServedStats) string {
	if s.P99Micros == 0 {
		return "-"
	}
	return fmt.Sprintf("half within %.0f µs, 99 %% within %.0f µs", s.P50Micros, s.P99Micros)
}

// size returns a number of bytes in the largest unit that it fills.
func size(bytes uint64) string {
	n, units := float64(bytes), []string{"B", "KiB", "MiB", "GiB", "TiB"}
	for n >= 1024 && len(units) > 1 {
		n, units = n/1024, units[1:]
	}
	return fmt.Sprintf("%.4g %s", n, units[0])
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
