//go:build e2e

package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"cloister/test/lab"
)

// world is what all tests share.
var world *lab.Lab

func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == probeName {
		probe(os.Args[1:])
		return
	}
	status, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		status = 1
	}
	os.Exit(status)
}

// run makes the world, runs the tests in it and takes it away. The image has the probe,
// which tries what busybox has no command for.
func run(m *testing.M) (status int, err error) {
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	if world, err = lab.New(map[string]string{probeName: self}); err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, world.Close()) }()
	return m.Run(), nil
}
