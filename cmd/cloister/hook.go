package main

import (
	"os"

	"cloister/internal/api"
	"cloister/internal/daemon"
	"cloister/internal/mounter"
	"cloister/runtimehook/hook"
)

type hookCmd struct {
	Prestart  prestartCmd  `cmd:"" help:"Verify a container and attach its views; the container's state is on standard input."`
	Poststop  poststopCmd  `cmd:"" help:"Release a container; its state is on standard input."`
	Precreate precreateCmd `cmd:"" help:"Rewrite podman's config.json from standard input to standard output."`
	Reattach  reattachCmd  `cmd:"" hidden:"" help:"Attach a running container's views again, for the daemon."`
	Mounter   mounterCmd   `cmd:"" hidden:"" help:"Keep the workshop for mounts, for the daemon."`
}

type prestartCmd struct {
	Key     string `hidden:"" help:"Registration of the container."`
	Promise string `hidden:"" help:"What was promised for the container."`
}

func (c *prestartCmd) Run(client *api.Client) error {
	return hook.Prestart(client, c.Key, c.Promise, os.Stdin)
}

type poststopCmd struct{}

func (poststopCmd) Run(client *api.Client) error {
	return hook.Poststop(client, os.Stdin)
}

type precreateCmd struct{}

func (precreateCmd) Run(client *api.Client) error {
	return hook.Precreate(client, os.Stdin, os.Stdout)
}

type reattachCmd struct{}

func (reattachCmd) Run() error { return daemon.Reattach(os.Stdin) }

type mounterCmd struct{}

// Run ends with the thread in the workshop.
func (mounterCmd) Run() error { return mounter.Main() }
