package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/opencontainers/runtime-spec/specs-go"

	"cloister/internal/api"
	"cloister/internal/bundle"
	"cloister/internal/sys"
	"cloister/runtimehook/wrapper"
)

type runCmd struct {
	Memory      bundle.Size     `short:"m" placeholder:"SIZE" help:"Memory limit, such as 256m or 1g."`
	MemorySwap  bundle.SwapSize `placeholder:"SIZE" help:"Limit of memory and swap together; --memory-swap=-1 for unlimited swap. Default: twice the memory."`
	CPUs        bundle.CPUs     `name:"cpus" placeholder:"N" help:"CPU limit, such as 0.5 or 2 CPUs."`
	CpusetCpus  bundle.CPUSet   `placeholder:"LIST" help:"CPUs that the container may use, such as 0 or 0-3."`
	Privileged  bool            `help:"Give the container all capabilities. They hold in the container only, not on the host."`
	Volume      []bundle.Volume `short:"v" sep:"none" placeholder:"SOURCE:TARGET[:ro]" help:"Show the host's SOURCE at TARGET, read-only with :ro. Can be repeated."`
	Rootfs      string          `type:"path" placeholder:"DIR" help:"Use DIR, instead of the host's /usr and empty directories, as the container's root. The container can write there."`
	PID         string          `name:"pid" default:"private" enum:"private,host" help:"Whose processes the container sees: ${enum}. The host's are refused."`
	Network     string          `default:"private" enum:"private,host" help:"Whose network the container has: ${enum}. The host's is refused."`
	Runtime     string          `placeholder:"runc|crun|PATH" help:"Low-level runtime. Without it, the daemon's."`
	Name        bundle.Name     `placeholder:"NAME" help:"Name and hostname of the container. Default: a generated name."`
	Interactive bool            `short:"i" help:"Let the command read from standard input."`
	TTY         bool            `name:"tty" short:"t" help:"Give the command a terminal."`

	Command []string `arg:"" optional:"" passthrough:"partial" help:"What to run, with its arguments. Without it, /bin/sh."`
}

// Help is what `cloister run --help` says besides.
func (c *runCmd) Help() string {
	return `The container has the programs of the host's /usr and nothing else of the host, no network but its own loopback, and is removed when the command ends:

  cloister run -m 256m --cpus 0.5 -- free -m
  cloister run -it -v /srv/data:/data:ro -- bash

The first process of a container ignores Ctrl-C and other signals that it has no handler for. To end it anyway:

  cloister-runtime kill NAME KILL
`
}

// Run becomes the low-level runtime that runs the container.
func (c *runCmd) Run(client *api.Client) error {
	if os.Geteuid() != 0 {
		return errors.New("only root can start a container; try `sudo cloister run …`")
	}
	o := c.options()
	if err := o.Validate(); err != nil {
		return err
	}
	if err := c.prepareStdin(); err != nil {
		return err
	}
	status, err := client.Status()
	if err != nil {
		return err
	}
	dir := filepath.Join(api.BundlesDir(status.StateDir), string(o.Name))
	if err := bundle.Create(dir, "/", o); err != nil {
		if errors.Is(err, bundle.ErrInUse) {
			err = fmt.Errorf("%w; if `cloister ps` does not show it, remove %s", err, dir)
		}
		return err
	}
	made, err := os.Open(dir)
	if err != nil {
		return err
	}
	// Main comes back only if it fails, and has said why.
	exit := wrapper.Main(c.wrapperArgs(status.RunDir, dir, string(o.Name)))
	if err := removeMade(dir, made); err != nil {
		return err
	}
	os.Exit(exit)
	return nil
}

// removeMade removes the bundle at dir if it is the one that was made. The daemon
// removes the bundle of a container that it has known, and then the name may be
// another container's already; that the directory is open keeps its inode number
// from being given to that one's.
func removeMade(dir string, made *os.File) error {
	defer made.Close()
	its, err := made.Stat()
	if err != nil {
		return err
	}
	now, err := os.Lstat(dir)
	if errors.Is(err, os.ErrNotExist) || err == nil && !os.SameFile(its, now) {
		return nil
	}
	if err != nil {
		return err
	}
	return os.RemoveAll(dir)
}

func (c *runCmd) options() *bundle.Options {
	command := c.Command
	if len(command) > 0 && command[0] == "--" {
		command = command[1:]
	}
	if len(command) == 0 {
		command = []string{"/bin/sh"}
	}
	name := c.Name
	if name == "" {
		name = bundle.NewName()
	}
	var host []specs.LinuxNamespaceType
	for kind, whose := range map[specs.LinuxNamespaceType]string{specs.PIDNamespace: c.PID, specs.NetworkNamespace: c.Network} {
		if whose == "host" {
			host = append(host, kind)
		}
	}
	return &bundle.Options{
		Name: name, Command: command, Rootfs: c.Rootfs, Volumes: c.Volume, Privileged: c.Privileged, Host: host,
		Limits:   bundle.Limits{Memory: c.Memory, MemorySwap: c.MemorySwap, CPUs: c.CPUs, CPUSet: c.CpusetCpus},
		Terminal: c.TTY, Term: os.Getenv("TERM"),
	}
}

func (c *runCmd) wrapperArgs(runDir, bundleDir, name string) []string {
	args := []string{"--run-dir", runDir}
	if c.Runtime != "" {
		args = append(args, "--runtime-path", c.Runtime)
	}
	return append(args, "run", "--bundle", bundleDir, name)
}

// prepareStdin makes sure that a terminal is there for a command that is to have
// one, and keeps a command that does not ask for input from its caller's.
func (c *runCmd) prepareStdin() error {
	if c.TTY {
		if !sys.IsTerminal(os.Stdin) {
			return errors.New("--tty: standard input is not a terminal; leave -t out")
		}
	}
	if c.TTY || c.Interactive {
		return nil
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		return err
	}
	defer null.Close()
	return sys.Replace(os.Stdin, null)
}
