// Package argv understands the command lines that engines use to call an OCI
// runtime: the flags of runc and crun, as conmon, go-runc (the containerd shim,
// dockerd) and people write them.
//
// Parse is a pure function. It never guesses in a way that could let a create
// pass for something else: a command line that it can't read with certainty and
// that may start a container is an error.
package argv

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrAmbiguous is returned for a command line that may or may not start a
// container.
var ErrAmbiguous = errors.New("can't tell whether this command line starts a container")

// Command is a parsed command line.
type Command struct {
	Verb   string // the subcommand, empty if there is none (--version, --help)
	ID     string // create, run: the container's id
	Bundle string // create, run: the bundle as given, empty for the working directory
	Config string // create, run: crun's --config, empty for config.json

	Root      string // where the runtime keeps its containers, empty for its default
	Log       string // the file that takes errors, empty for none
	LogFormat string // "json" or "text", empty for the runtime's default
	// CgroupManager is crun's --cgroup-manager, empty for its default.
	CgroupManager string

	RunDir      string // cloister's own --run-dir
	RuntimePath string // cloister's own --runtime-path

	// Args are the arguments for the low-level runtime: all but cloister's own.
	Args []string
}

// Starts reports whether the command line brings a container to life, so that
// its config must be rewritten first.
func (c *Command) Starts() bool { return c.Verb == "create" || c.Verb == "run" }

// The flags of runc 1.1 to 1.4 and crun 1.8 to 1.28. A runtime rejects the flags that
// it doesn't know, so one list can hold those of both.
var (
	// globalValues take a value, before the verb.
	globalValues = []string{"root", "log", "log-format", "log-level", "criu", "rootless", "cgroup-manager", ownRunDir, ownRuntimePath}
	// createValues take a value and createSwitches none, after create and run.
	createValues   = []string{"bundle", "b", "config", "f", "console-socket", "pidfd-socket", "pid-file", "preserve-fds"}
	createSwitches = []string{"", "detach", "d", "keep", "no-new-keyring", "no-pivot", "no-subreaper"}
	helpSwitches   = []string{"help", "h", "?", "usage"}
	verbs          = []string{"checkpoint", "create", "delete", "events", "exec", "features", "help", "init", "kill", "list", "mounts", "pause", "ps", "resume", "restore", "run", "spec", "start", "state", "update"}
	startingVerbs  = []string{"create", "run", "restore"}
)

const (
	ownRunDir      = "run-dir"
	ownRuntimePath = "runtime-path"
)

// Parse reads the arguments that follow the program's name.
func Parse(args []string) (*Command, error) {
	c := &Command{}
	verbAt, err := c.parseGlobal(args)
	if err != nil || verbAt == len(args) {
		return c, err
	}
	c.Verb = args[verbAt]
	rest := args[verbAt+1:]
	c.Args = append(c.Args, args[verbAt:]...)
	if !slices.Contains(verbs, c.Verb) {
		return c, rejectHidden(c.Verb, rest)
	}
	if !c.Starts() {
		return c, nil
	}
	return c, c.parseCreate(rest)
}

// parseGlobal reads the flags before the verb and returns the verb's position.
func (c *Command) parseGlobal(args []string) (int, error) {
	i := 0
	for i < len(args) {
		name, value, used, ok := flag(args[i:], globalValues)
		if !ok {
			break
		}
		switch name {
		case "root":
			c.Root = value
		case "log":
			c.Log = value
		case "log-format":
			c.LogFormat = value
		case "cgroup-manager":
			c.CgroupManager = value
		case ownRunDir:
			c.RunDir = value
		case ownRuntimePath:
			c.RuntimePath = value
		}
		if name != ownRunDir && name != ownRuntimePath {
			c.Args = append(c.Args, args[i:i+used]...)
		} else if value == "" {
			return 0, fmt.Errorf("flag --%s needs a value", name)
		}
		i += used
		if name == "" { // "--": what follows is the verb
			break
		}
	}
	return i, nil
}

// parseCreate reads what follows create and run. Whatever it does not know is an
// error: it may be how a newer runtime is told of another bundle.
func (c *Command) parseCreate(rest []string) error {
	i := 0
	for i < len(rest) {
		name, value, used, ok := flag(rest[i:], createValues)
		if !ok {
			break
		}
		switch {
		case slices.Contains(helpSwitches, name):
			c.Verb = "help" // which starts nothing
			return nil
		case name == "bundle" || name == "b":
			c.Bundle = value
		case name == "config" || name == "f":
			c.Config = value
		case !slices.Contains(createValues, name) && !slices.Contains(createSwitches, name):
			return fmt.Errorf("%s: cloister does not know the flag %s", c.Verb, rest[i])
		}
		i += used
		if name == "" { // "--": what follows is the id
			break
		}
	}
	rest = rest[i:]
	if len(rest) == 0 || rest[0] == "" {
		return fmt.Errorf("%s: container id is missing", c.Verb)
	}
	if len(rest) > 1 {
		return fmt.Errorf("%s: %q after the container id", c.Verb, rest[1:])
	}
	c.ID = rest[0]
	return nil
}

// flag reads one flag at the head of args: its name without dashes, its value if
// it is one of those that take one, and how many arguments it used. ok is false
// if the head is no flag. The name of "--" is empty.
func flag(args []string, values []string) (name, value string, used int, ok bool) {
	if len(args[0]) < 2 || args[0][0] != '-' {
		return "", "", 0, false
	}
	name = strings.TrimPrefix(strings.TrimPrefix(args[0], "-"), "-")
	name, value, inline := strings.Cut(name, "=")
	if inline || !slices.Contains(values, name) || len(args) == 1 {
		return name, value, 1, true
	}
	return name, args[1], 2, true
}

// rejectHidden refuses a line whose apparent verb is unknown while a verb that
// starts containers stands further on: the apparent one may be the value of a
// flag that this package has never heard of.
func rejectHidden(verb string, rest []string) error {
	for _, v := range startingVerbs {
		if slices.Contains(rest, v) {
			return fmt.Errorf("%q before %q: %w; put the runtime's flags in the form --flag=value", verb, v, ErrAmbiguous)
		}
	}
	return nil
}
