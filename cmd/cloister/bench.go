package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"cloister/bench/read"
	"cloister/internal/api"
)

type benchCmd struct {
	Read benchReadCmd `cmd:"" help:"Measure what reading a container's views costs, beside the kernel's own files."`
}

type benchReadCmd struct {
	Container string        `arg:"" optional:"" help:"The container's id, the beginning of it, or its name. Not needed if there is only one."`
	Duration  time.Duration `default:"2m" placeholder:"TIME" help:"How long to measure (${default})."`
	Files     []string      `placeholder:"PATH" help:"Which files to read. Default: those that lxcfs has as well."`
	LXCFS     string        `name:"lxcfs" type:"existingdir" placeholder:"DIR" help:"Measure lxcfs too, which is mounted there."`
	JSON      bool          `name:"json" help:"Print JSON."`
}

// Help is what `cloister bench read --help` says besides.
func (*benchReadCmd) Help() string {
	return `The command runs in the container's cgroup meanwhile: it takes of the CPUs, up to four, that the container may use, and a quota of less than one CPU shows in the figures. For half of the time the daemon's threads are on one CPU.
`
}

// minDuration is enough for a round or two.
const minDuration = time.Second

// Validate refuses what can't be measured.
func (c *benchReadCmd) Validate() error {
	if c.Duration < minDuration {
		return fmt.Errorf("--duration: %v is too short, give %v or more", c.Duration, minDuration)
	}
	return nil
}

// Run measures and prints a table or JSON.
func (c *benchReadCmd) Run(client *api.Client) error {
	if os.Geteuid() != 0 {
		return errors.New("only root can read a container's views from outside; try `sudo cloister bench read`")
	}
	o, err := c.options(client)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	r, err := read.Run(ctx, *o)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(r)
	}
	return r.Print(os.Stdout)
}

func (c *benchReadCmd) options(client *api.Client) (*read.Options, error) {
	status, err := client.Status()
	if err != nil {
		return nil, err
	}
	d, err := c.container(client)
	if err != nil {
		return nil, err
	}
	o := &read.Options{
		PID: d.PID, Cgroups: d.Cgroups, Files: read.Files(), Duration: c.Duration,
		Cloister: read.Server{PID: status.WorkerPID, Version: status.Version},
	}
	if c.Files != nil {
		o.Files = c.Files
	}
	for _, file := range o.Files {
		if !isView(d.Views, file) {
			return nil, fmt.Errorf("%s is no view in container %s; `cloister inspect %s` lists those that can be read, with --files", file, d.ID, d.ID)
		}
	}
	if c.LXCFS == "" {
		return o, nil
	}
	o.LXCFSDir = c.LXCFS
	if o.LXCFS, err = read.FindLXCFS(c.LXCFS); err != nil {
		return nil, err
	}
	o.LXCFS.Version = versionOf(o.LXCFS.PID)
	return o, nil
}

// container asks for the container to measure.
func (c *benchReadCmd) container(client *api.Client) (*api.ContainerDetails, error) {
	id := c.Container
	if id == "" {
		all, err := client.Containers()
		if err != nil {
			return nil, err
		}
		if len(all) == 0 {
			return nil, errors.New("there is no container to measure; `sudo cloister run --name bench -- sleep 1h` starts one")
		}
		if len(all) > 1 {
			return nil, fmt.Errorf("there are %d containers; name one that `cloister ps` shows", len(all))
		}
		id = all[0].ID
	}
	d, err := client.Container(id)
	if err != nil {
		return nil, err
	}
	if d.PID == 0 {
		return nil, fmt.Errorf("container %s does not run yet", id)
	}
	return d, nil
}

// isView reports whether a file is one of the views or in one that is a directory.
func isView(views []string, file string) bool {
	return slices.ContainsFunc(views, func(view string) bool {
		return file == view || strings.HasPrefix(file, view+"/")
	})
}

// versionOf asks the program of a process for its version.
func versionOf(pid int) string {
	path, err := os.Readlink(filepath.Join("/proc", fmt.Sprint(pid), "exe"))
	if err != nil {
		return "unknown"
	}
	out, err := exec.Command(path, "--version").CombinedOutput() // lxcfs prints it, quoted, to stderr
	if err != nil {
		return "unknown"
	}
	return strings.Trim(string(out), "\"\n ")
}
