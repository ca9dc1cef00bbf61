package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"cloister/internal/api"
)

type psCmd struct {
	JSON bool `name:"json" help:"Print JSON."`
}

// Run prints a table of the containers.
func (c *psCmd) Run(client *api.Client) error {
	all, err := client.Containers()
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(all)
	}
	rows := [][]string{{"ID", "NAME", "PID", "UIDS", "ENGINE", "CREATED", "VIEWS"}}
	for _, c := range all {
		rows = append(rows, []string{
			short(c.ID), c.Name, pid(c.PID), ids(c.UIDStart, c.Size), c.Engine, ago(c.CreatedAt), fmt.Sprint(len(c.Views)),
		})
	}
	return table(os.Stdout, rows)
}

type inspectCmd struct {
	ID   string `arg:"" help:"The container's id, the beginning of it, or its name."`
	JSON bool   `name:"json" help:"Print JSON."`
}

// Run prints what the daemon knows of a container.
func (c *inspectCmd) Run(client *api.Client) error {
	d, err := client.Container(c.ID)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(d)
	}
	return table(os.Stdout, slices.Concat([][]string{
		{"id", d.ID},
		{"name", d.Name},
		{"state", d.State},
		{"pid", pid(d.PID)},
		{"user ids", ids(d.UIDStart, d.Size)},
		{"shares them with", join(d.SharesWith)},
		{"engine", d.Engine},
		{"runtime", d.Runtime},
		{"bundle", d.Bundle},
		{"cgroup", d.Cgroup},
		{"created", d.CreatedAt.Local().Format(time.DateTime)},
		{"views on the host", d.ViewsPath},
	}, wrapped("views", d.Views)))
}

func printJSON(v any) error {
	enc := json.NewEncoder(os.Stdout)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// table prints rows in columns.
func table(w io.Writer, rows [][]string) error {
	tw := tabwriter.NewWriter(w, 0, 8, 3, ' ', 0)
	for _, r := range rows {
		fmt.Fprintln(tw, strings.TrimRight(strings.Join(r, "\t"), "\t"))
	}
	return tw.Flush()
}

const shortID = 12

func short(id string) string {
	if len(id) == 64 { // an engine's
		return id[:shortID]
	}
	return id
}

func pid(n int) string {
	if n == 0 {
		return "-"
	}
	return fmt.Sprint(n)
}

func ids(start, size uint32) string {
	if size == 0 {
		return "-"
	}
	return fmt.Sprintf("%d-%d", start, uint64(start)+uint64(size)-1)
}

func join(words []string) string {
	if len(words) == 0 {
		return "-"
	}
	return strings.Join(words, " ")
}

// wrapWidth is how long a cell gets before it is continued in the next row.
const wrapWidth = 76

// wrapped returns rows with all words, in order.
func wrapped(name string, words []string) [][]string {
	rows := [][]string{{name, "-"}}
	for i, word := range slices.Sorted(slices.Values(words)) {
		switch last := rows[len(rows)-1]; {
		case i == 0:
			last[1] = word
		case len(last[1])+1+len(word) <= wrapWidth:
			last[1] += " " + word
		default:
			rows = append(rows, []string{"", word})
		}
	}
	return rows
}

func ago(t time.Time) string { return time.Since(t).Truncate(time.Second).String() + " ago" }
