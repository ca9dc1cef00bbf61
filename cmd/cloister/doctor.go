package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"cloister/internal/api"
	"cloister/internal/doctor"
	"cloister/internal/feature"
	"cloister/internal/sys"
)

type doctorCmd struct {
	StateDir string `env:"CLOISTER_STATE_DIR" default:"${stateDir}" placeholder:"DIR" help:"State directory of the daemon (${default})."`
	Settings string `env:"CLOISTER_SETTINGS" default:"${settings}" placeholder:"FILE" help:"The administrator's settings (${default})."`
	JSON     bool   `name:"json" help:"Print JSON."`
}

// Run prints what is right and wrong with this host. It exits with status 1 if
// something is wrong.
func (c *doctorCmd) Run(client *api.Client) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	findings := doctor.Examine(&doctor.Host{
		Root: "/", UID: os.Geteuid(), Version: version,
		RunDir: client.RunDir(), StateDir: c.StateDir, SettingsPath: c.Settings,
		Wrapper:  filepath.Join(filepath.Dir(self), runtimeName),
		Features: feature.Probe, Capabilities: sys.Capabilities, Status: client.Status,
		Output: output, Stat: statMount,
	})
	if c.JSON {
		err = printJSON(findings)
	} else {
		err = doctor.Print(os.Stdout, findings)
	}
	if err != nil {
		return err
	}
	if slices.ContainsFunc(findings, func(f doctor.Finding) bool { return f.State == doctor.Fail }) {
		os.Exit(1)
	}
	return nil
}

// patience bounds each question of the doctor's to a program or a file system.
const patience = 2 * time.Second

func output(path string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	out, err := exec.CommandContext(ctx, path, args...).Output()
	return string(out), err
}

// statMount asks the file system at path, whose server may be stuck.
func statMount(path string) error {
	done := make(chan error, 1)
	go func() {
		_, err := sys.MountRestrictions(path)
		done <- err
	}()
	select {
	case err := <-done:
		return err
	case <-time.After(patience):
		return errors.New("no answer")
	}
}
