package main

import (
	"fmt"
	"maps"
	"os"
	"slices"

	"cloister/internal/api"
)

type statusCmd struct {
	JSON bool `name:"json" help:"Print JSON."`
}

// Run prints what the daemon says of itself.
func (c *statusCmd) Run(client *api.Client) error {
	s, err := client.Status()
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
		{"containers", fmt.Sprint(s.Containers)},
		{"run directory", s.RunDir},
		{"state directory", s.StateDir},
		{"user ids", fmt.Sprintf("%s, %d of %d in use", ids(r.Start, r.Size), r.Used, r.Size)},
		{"runtime", s.Runtime.Path + " (" + s.Runtime.Version + ")"},
		{"views", join(s.Views)},
	}
	for _, name := range slices.Sorted(maps.Keys(s.Features)) {
		rows = append(rows, []string{name, yes(s.Features[name])})
	}
	return table(os.Stdout, rows)
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
