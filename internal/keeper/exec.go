package keeper

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"cloister/internal/sys"
)

// state is what a keeper leaves to the program that it executes in its own place.
// It may be read by an older or a newer version.
type state struct {
	Stored     map[string]int `json:"stored"`               // numbers of descriptors
	Executable string         `json:"executable,omitempty"` // to which SIGHUP upgrades
	Worker     *workerState   `json:"worker,omitempty"`     // nil: one is to be started
	Unreaped   []int          `json:"unreaped,omitempty"`   // workers that were killed and have not ended yet
	Status     *Status        `json:"status,omitempty"`
}

// workerState is a worker that is ready.
type workerState struct {
	PID    int `json:"pid"`
	Socket int `json:"socket"` // number of the descriptor
}

// stateEnv holds the number of the descriptor with the state.
const stateEnv = "CLOISTER_KEEPER_STATE"

// exec executes program, under the name argv[0], as the keeper that goes on with the
// state. It returns only if that fails; then nothing has changed.
func (s *state) exec(program string, argv []string) (err error) {
	data, err := json.Marshal(s)
	if err != nil {
		return err
	}
	memfd, err := sys.NewMemfd("keeper")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, memfd.Close()) }()
	if _, err := memfd.Write(data); err != nil {
		return err
	}
	syscall.ForkLock.Lock() // no other program is to get what this one does
	defer func() {
		err = errors.Join(err, s.inherit(false))
		syscall.ForkLock.Unlock()
	}()
	if err := errors.Join(s.inherit(true), memfd.SetInherit(true)); err != nil {
		return err
	}
	env := append(os.Environ(), stateEnv+"="+strconv.Itoa(memfd.Int()))
	return &os.PathError{Op: "execve", Path: program, Err: syscall.Exec(program, argv, env)}
}

// inherit says whether the descriptors survive execve.
func (s *state) inherit(inherit bool) error {
	var errs []error
	for _, fd := range s.fds() {
		errs = append(errs, sys.NewFD(fd).SetInherit(inherit))
	}
	return errors.Join(errs...)
}

func (s *state) fds() []int {
	var fds []int
	for _, fd := range s.Stored {
		fds = append(fds, fd)
	}
	if s.Worker != nil {
		fds = append(fds, s.Worker.Socket)
	}
	return fds
}

// readState returns what the program before this one has left, or nil.
func readState() (*state, error) {
	number := os.Getenv(stateEnv)
	if number == "" {
		return nil, nil
	}
	if err := os.Unsetenv(stateEnv); err != nil {
		return nil, err
	}
	fd, err := strconv.Atoi(number)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", stateEnv, err)
	}
	memfd := sys.NewFD(fd)
	defer memfd.Close() // only read from
	data, err := os.ReadFile(memfd.ProcPath())
	if err != nil {
		return nil, fmt.Errorf("what the keeper has left: %w", err)
	}
	s := &state{}
	if err := json.Unmarshal(data, s); err != nil {
		return nil, fmt.Errorf("what the keeper has left: %w", err)
	}
	return s, s.inherit(false)
}

// nameProcess sets the name that ps shows: that of a program which was executed
// through a link in /proc is the link's.
func nameProcess() {
	_ = os.WriteFile("/proc/self/comm", []byte(filepath.Base(os.Args[0])), 0) // only for people
}
