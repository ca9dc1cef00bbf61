// Command cloister isolates containers: the daemon, the OCI runtime (under the name
// cloister-runtime), the hooks and the command line are this one program.
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/alecthomas/kong"
	kongcompletion "github.com/jotaen/kong-completion"

	"cloister/internal/api"
	"cloister/internal/settings"
	"cloister/runtimehook/wrapper"
)

// version is set by the linker.
var version = "unknown"

// runtimeName is the name under which the program is an OCI runtime.
const runtimeName = "cloister-runtime"

func init() {
	// The wrapper and the hooks change namespaces and credentials of the thread
	// that runs main, which has to be the process's first.
	runtime.LockOSThread()
}

func main() {
	if filepath.Base(os.Args[0]) == runtimeName {
		os.Exit(wrapper.Main(os.Args[1:]))
	}
	os.Exit(command())
}

// globals are the flags of every command.
type globals struct {
	RunDir string `name:"run-dir" env:"CLOISTER_RUN_DIR" type:"path" default:"${runDir}" placeholder:"DIR" help:"Run directory of the daemon (${default})."`
}

// cli is the command line.
type cli struct {
	globals

	Run     runCmd     `cmd:"" help:"Run a command in a container, without an engine or an image."`
	Ps      psCmd      `cmd:"" help:"List the containers."`
	Inspect inspectCmd `cmd:"" help:"Describe a container."`
	Status  statusCmd  `cmd:"" help:"Describe the daemon."`
	Doctor  doctorCmd  `cmd:"" help:"Check the host: what is fine, what is missing, what to do."`
	Bench   benchCmd   `cmd:"" help:"Measure what cloister costs on this host."`
	Daemon  daemonCmd  `cmd:"" help:"Serve the containers of this host."`
	Hook    hookCmd    `cmd:"" help:"Act as a hook of an OCI runtime or of podman."`
	Version versionCmd `cmd:"" help:"Print the version."`

	Completion kongcompletion.Completion `cmd:"" help:"Print the code that completes cloister's arguments in your shell."`
}

// hookCLI is the part of it that runtimes use: they wait for the hook, and the whole
// takes longer to build than a hook needs to verify a container.
type hookCLI struct {
	globals

	Hook hookCmd `cmd:"" help:"Act as a hook of an OCI runtime or of podman."`
}

// usageExit is the status of a command line that can't be understood.
const usageExit = 2

func command() int {
	if len(os.Args) > 1 && os.Args[1] == "hook" {
		c := &hookCLI{}
		return execute(c, &c.globals)
	}
	c := &cli{}
	return execute(c, &c.globals)
}

// execute parses the command line into grammar, of which g is a part, and runs it.
func execute(grammar any, g *globals) int {
	parser := kong.Must(grammar,
		kong.Name("cloister"),
		kong.Description("cloister gives every container of this host a user namespace and ids of its own and a view of its own resources, with the container engine and the runc or crun that are already there."),
		kong.WithHyphenPrefixedParameters(true), // --memory-swap -1
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.Vars{
			"runDir": api.DefaultRunDir, "stateDir": api.DefaultStateDir, "settings": settings.Path, "version": version,
		},
	)
	kongcompletion.Register(parser)
	ctx, err := parser.Parse(os.Args[1:])
	if err != nil {
		fmt.Fprintf(os.Stderr, "cloister: %v\n", err)
		var parse *kong.ParseError
		if errors.As(err, &parse) && parse.Context != nil && parse.Context.Command() != "" {
			fmt.Fprintf(os.Stderr, "Try `cloister %s --help`.\n", strings.Fields(parse.Context.Command())[0])
		} else {
			fmt.Fprintln(os.Stderr, "Try `cloister --help`.")
		}
		return usageExit
	}
	if err := ctx.Run(api.NewClient(g.RunDir)); err != nil {
		fmt.Fprintf(os.Stderr, "cloister: %v\n", strings.ReplaceAll(err.Error(), "\n", "\ncloister: "))
		return 1
	}
	return 0
}

type versionCmd struct{}

// Run prints the version.
func (versionCmd) Run() error {
	_, err := fmt.Printf("cloister %s\n", version)
	return err
}
