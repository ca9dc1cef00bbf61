package lab

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"cloister/internal/api"
)

// Daemon is a running cloister daemon.
type Daemon struct {
	RunDir, StateDir, Settings, Log string
	Client                          *api.Client
	Cmd                             *exec.Cmd
	program                         string
}

// startDaemon starts a daemon with directories below the lab's.
func startDaemon(l *Lab) (*Daemon, error) {
	d := &Daemon{
		RunDir: filepath.Join(l.Dir, "run"), StateDir: filepath.Join(l.Dir, "state"),
		Settings: filepath.Join(l.Dir, "settings.json"), Log: filepath.Join(l.Dir, "daemon.log"),
		program: l.Cloister,
	}
	d.Client = api.NewClient(d.RunDir)
	return d, d.Start()
}

// Start starts it, the first time or after Stop.
func (d *Daemon) Start() error {
	log, err := os.OpenFile(d.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	d.Cmd = exec.Command(d.program, "daemon", "--run-dir", d.RunDir, "--state-dir", d.StateDir, "--settings", d.Settings, "--log-level", "debug")
	d.Cmd.Stdout, d.Cmd.Stderr = log, log
	d.Cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if err := d.Cmd.Start(); err != nil {
		return err
	}
	deadline := time.Now().Add(time.Minute)
	for {
		_, err := d.Client.Status()
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) || d.Cmd.Process.Signal(syscall.Signal(0)) != nil {
			text, _ := os.ReadFile(d.Log)
			return fmt.Errorf("the daemon does not come up: %w\n%s", err, text)
		}
	}
}

// Stop ends it, which must go without an error.
func (d *Daemon) Stop() error {
	if err := d.Cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	if err := d.Cmd.Wait(); err != nil {
		text, _ := os.ReadFile(d.Log)
		return fmt.Errorf("the daemon did not stop cleanly: %w\n%s", err, text)
	}
	return nil
}

// Worker returns the process that serves.
func (d *Daemon) Worker() (*os.Process, error) {
	s, err := d.Client.Status()
	if err != nil {
		return nil, err
	}
	return os.FindProcess(s.WorkerPID)
}
