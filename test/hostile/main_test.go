//go:build hostile

package hostile

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"cloister/test/lab"
)

var (
	full   = flag.Bool("full", false, "race and fuzz at full length, some minutes")
	update = flag.Bool("update", false, "write docs/security.md")
)

// world is what all tests share.
var world *lab.Lab

// probeName is what the attackers' program is called in the image.
const probeName = "probe"

func TestMain(m *testing.M) {
	flag.Parse()
	status, err := runTests(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "hostile:", err)
		status = 1
	}
	os.Exit(status)
}

func runTests(m *testing.M) (status int, err error) {
	dir, err := os.MkdirTemp("", "cloister-probe-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	probe := filepath.Join(dir, probeName)
	if err := lab.Build(probe, "cloister/test/hostile/probe", "CLOISTER_PROBE"); err != nil {
		return 0, err
	}
	if world, err = lab.New(map[string]string{probeName: probe}); err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, closeSandboxes(), world.Close()) }()
	if err := errors.Join(makeVolumes(), nameSocket()); err != nil {
		return 0, err
	}
	return m.Run(), report.publish()
}

// nameSocket tells the daemon where the engine's socket is, which is no usual place.
func nameSocket() error {
	if err := world.Daemon.Stop(); err != nil {
		return err
	}
	text := fmt.Sprintf(`{"cloister": {"engineSockets": [%q]}}`, world.Docker.Socket())
	return errors.Join(os.WriteFile(world.Daemon.Settings, []byte(text), 0o600), world.Daemon.Start())
}
