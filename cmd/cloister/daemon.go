package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/rs/zerolog"

	"cloister/internal/api"
	"cloister/internal/daemon"
	"cloister/internal/feature"
)

type daemonCmd struct {
	StateDir  string `env:"CLOISTER_STATE_DIR" type:"path" default:"${stateDir}" placeholder:"DIR" help:"Where the daemon keeps what it must know after a restart (${default})."`
	Settings  string `env:"CLOISTER_SETTINGS" type:"path" default:"${settings}" placeholder:"FILE" help:"The administrator's settings (${default}); without the file the defaults hold."`
	LogLevel  string `default:"info" enum:"debug,info,warn,error" help:"Minimum level to log: ${enum}."`
	LogFormat string `default:"text" enum:"text,json" help:"Log format: ${enum}."`
}

// Run serves until it is told to stop.
func (c *daemonCmd) Run(client *api.Client) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	return daemon.Run(ctx, daemon.Config{
		RunDir: client.RunDir(), StateDir: c.StateDir, SettingsPath: c.Settings,
		Version: version, Log: c.logger(),
		Features: func() map[string]bool { return feature.Map(feature.Probe(c.StateDir)) },
	})
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
