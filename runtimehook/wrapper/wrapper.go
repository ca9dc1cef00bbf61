// Package wrapper is cloister-runtime, the OCI runtime that engines call. It
// prepares the containers that are created or run and gives everything, these as
// well, to the low-level runtime by exec: the process that the engine started
// becomes the runtime, so pid, console, standard streams and pid file are as the
// engine expects.
package wrapper

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"cloister/internal/api"
	"cloister/internal/sys"
	"cloister/runtimehook/argv"
	"cloister/runtimehook/contain"
	"cloister/runtimehook/lowlevel"
	"cloister/runtimehook/stage"
)

// RunDirEnv names the run directory for the wrapper and the hooks.
const RunDirEnv = "CLOISTER_RUN_DIR"

// RunDir returns the run directory: the given one, else the environment's, else
// the default.
func RunDir(given string) string {
	if given == "" {
		given = os.Getenv(RunDirEnv)
	}
	if given == "" {
		given = api.DefaultRunDir
	}
	return given
}

// Main runs the wrapper with the arguments that follow the program's name. It
// returns only an exit status for a failure; otherwise the process is the
// low-level runtime. It must be called on the main thread, locked.
func Main(args []string) int {
	cmd, err := argv.Parse(args)
	if err == nil {
		err = handOver(cmd)
	}
	report(cmd, err)
	return 1
}

// handOver becomes the low-level runtime. It returns an error or not at all.
func handOver(cmd *argv.Command) error {
	runDir := RunDir(cmd.RunDir)
	if cmd.Verb == "restore" {
		return errors.New("cloister can't restore a container from a checkpoint: a checkpoint holds the ids of a user namespace that is gone")
	}
	if !cmd.Starts() {
		path, err := lowlevel.FindFor(cmd.Args, cmd.RuntimePath, cmd.Root, runDir)
		if err != nil {
			return err
		}
		return become(path, cmd.Args)
	}
	if cmd.CgroupManager == "disabled" { // podman run --cgroups=disabled
		return contain.ErrNoCgroup
	}
	path, err := lowlevel.Find(cmd.RuntimePath, runDir)
	if err != nil {
		return err
	}
	call, config, err := newCall(cmd, path)
	if err != nil {
		return err
	}
	client := api.NewClient(runDir)
	if err := stage.EnterPrivate(); err != nil {
		return err
	}
	prepared, err := contain.Prepare(client, *call)
	if err != nil {
		// The reason is on its way to the engine; the daemon's log is the second
		// place for it, and may not be there.
		_ = client.Refused(&api.Refusal{ID: cmd.ID, By: "runtime", Reason: err.Error()})
		return err
	}
	err = useConfig(prepared, config)
	if err == nil {
		err = become(path, cmd.Args)
	}
	return errors.Join(err, prepared.Abandon(client))
}

// become replaces this process.
func become(path string, args []string) error {
	if err := syscall.Exec(path, append([]string{path}, args...), os.Environ()); err != nil {
		return fmt.Errorf("start %s: %w", path, err)
	}
	return nil
}

// newCall reads the bundle that the command line names.
func newCall(cmd *argv.Command, runtime string) (call *contain.Call, configPath string, err error) {
	bundle, err := filepath.Abs(cmd.Bundle)
	if err != nil {
		return nil, "", err
	}
	configPath = cmd.Config
	if configPath == "" {
		configPath = "config.json"
	}
	if !filepath.IsAbs(configPath) {
		configPath = filepath.Join(bundle, configPath)
	}
	config, err := os.ReadFile(configPath)
	if err != nil {
		return nil, "", fmt.Errorf("bundle %s: %w", bundle, err)
	}
	self, err := os.Executable()
	if err != nil {
		return nil, "", err
	}
	return &contain.Call{
		ID: cmd.ID, Bundle: bundle, Config: config, Hook: self,
		Runtime: runtime, RuntimeRoot: cmd.Root, PID: os.Getpid(), PrivateMounts: true,
	}, configPath, nil
}

// useConfig lets the runtime find the new config in place of the engine's, which
// stays as it is on the host: the new one is mounted over it, in the mount
// namespace that only the runtime lives in.
func useConfig(p *contain.Prepared, configPath string) error {
	path := filepath.Join(p.Grant.Dir, "config.json")
	if err := os.WriteFile(path, p.Config, 0o600); err != nil {
		return fmt.Errorf("write the container's config: %w", err)
	}
	return sys.BindOnto(path, configPath)
}
