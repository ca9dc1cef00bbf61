package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"github.com/rs/zerolog"

	"cloister/internal/api"
	"cloister/internal/daemon"
	"cloister/internal/feature"
	"cloister/internal/keeper"
)

type daemonCmd struct {
	StateDir  string        `env:"CLOISTER_STATE_DIR" type:"path" default:"${stateDir}" placeholder:"DIR" help:"Where the daemon keeps what it must know after a restart (${default})."`
	Settings  string        `env:"CLOISTER_SETTINGS" type:"path" default:"${settings}" placeholder:"FILE" help:"The administrator's settings (${default}); without the file the defaults hold."`
	LogLevel  string        `default:"info" enum:"debug,info,warn,error" help:"Minimum level to log: ${enum}."`
	LogFormat string        `default:"text" enum:"text,json" help:"Log format: ${enum}."`
	Watchdog  time.Duration `default:"2s" placeholder:"TIME" help:"Kill and replace the process that serves the views when it hangs for so long, or up to twice as long (${default})."`
	Upgrade   string        `placeholder:"PROGRAM" type:"existingfile" help:"Start no daemon, but have the running one go on as PROGRAM, another version of cloister. Containers go on, and reads wait for a moment."`
	Metrics   string        `name:"metrics-address" env:"CLOISTER_METRICS_ADDRESS" placeholder:"IP:PORT" help:"Serve /metrics there as well as on the control socket: an address of the loopback interface, for example 127.0.0.1:9477."`
}

// Help is what `cloister daemon --help` says besides.
func (*daemonCmd) Help() string {
	return `The daemon is two processes: a keeper, whose pid "cloister status" shows, and a worker that serves. When the worker is killed or hangs, the keeper starts another one, which goes on where that was.

SIGHUP to the keeper goes on with the program that is at its path by now, as --upgrade does. SIGTERM ends the daemon, and reads of views fail until the next one. When systemd restarts it, they wait instead.
`
}

// minWatchdog leaves a worker that is not at fault time to say that it works.
const minWatchdog = 500 * time.Millisecond

// Validate refuses what can't work.
func (c *daemonCmd) Validate() error {
	if c.Watchdog < minWatchdog {
		return fmt.Errorf("--watchdog: %v is too short, give %v or more", c.Watchdog, minWatchdog)
	}
	return nil
}

// Run keeps a worker going until it is told to stop, or is that worker.
func (c *daemonCmd) Run(client *api.Client) error {
	if c.Upgrade != "" {
		return upgrade(client, c.Upgrade)
	}
	kept, err := keeper.Connect()
	if err != nil {
		return err
	}
	stopped := []os.Signal{syscall.SIGTERM, syscall.SIGINT}
	if kept != nil { // of a terminal's interrupt the keeper tells the worker
		signal.Ignore(syscall.SIGINT, syscall.SIGHUP)
		stopped = stopped[:1]
	}
	ctx, stop := signal.NotifyContext(context.Background(), stopped...)
	defer stop()
	if kept == nil {
		return c.keep(ctx, client.RunDir())
	}
	err = daemon.Run(ctx, daemon.Config{
		RunDir: client.RunDir(), StateDir: c.StateDir, SettingsPath: c.Settings,
		Version: version, Log: c.logger(), Keeper: kept,
		MetricsAddress: c.Metrics,
		Features:       func() map[string]bool { return feature.Map(feature.Probe(c.StateDir)) },
	})
	if err != nil {
		_ = kept.Failed(err) // it is printed, too
	}
	return err
}

// keep starts the worker, and another one when that ends.
func (c *daemonCmd) keep(ctx context.Context, runDir string) error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(runDir, 0o711); err != nil {
		return err
	}
	err = keeper.Run(ctx, keeper.Config{
		Args: os.Args[1:], Executable: program, Watchdog: c.Watchdog,
		StatusPath: api.KeeperPath(runDir), Log: c.logger(),
	})
	var exit *exec.ExitError
	if errors.As(err, &exit) { // the worker has said why
		os.Exit(max(1, exit.ExitCode()))
	}
	return err
}

// timeFormat is RFC 3339 with milliseconds.
const timeFormat = "2006-01-02T15:04:05.000Z07:00"

func (c *daemonCmd) logger() zerolog.Logger {
	zerolog.TimeFieldFormat = timeFormat
	level, err := zerolog.ParseLevel(c.LogLevel)
	if err != nil {
		level = zerolog.InfoLevel // kong has checked it
	}
	var log zerolog.Logger
	if c.LogFormat == "json" {
		log = zerolog.New(os.Stderr)
	} else {
		log = zerolog.New(zerolog.ConsoleWriter{Out: os.Stderr, TimeFormat: timeFormat, NoColor: true})
	}
	return log.Level(level).With().Timestamp().Logger()
}
