package daemon

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"cloister/cgroupview"
	"cloister/emul"
	"cloister/fs"
	"cloister/internal/api"
	"cloister/runtimehook/idrange"
)

// record is what is kept of a container on disk.
type record struct {
	api.Registration
	Slot   fs.Slot       `json:"slot"`
	BootID string        `json:"bootId"` // a record of an earlier boot is stale
	IDs    idrange.Range `json:"ids"`
	// ForeignIDs tells that the engine chose the ids and shifted the files.
	ForeignIDs bool `json:"foreignIds"`
	// OwnerPID is the init of the container whose user namespace is shared.
	OwnerPID  int       `json:"ownerPid"`
	CreatedAt time.Time `json:"createdAt"`
	Creator   process   `json:"creator"` // the process that becomes the runtime

	// From here on set by the prestart hook.

	Init process `json:"init"`
	// SharedPIDs tells that init is not the first process of its pid namespace.
	SharedPIDs bool `json:"sharedPids"`

	Cgroups  cgroupview.Paths `json:"cgroups"`
	Attached bool             `json:"attached"`
	Views    []string         `json:"views"`
	State    *emul.State      `json:"state,omitempty"` // counters that must not go back
}

// key names a registration.
func (r *record) key() string { return r.Slot.String() }

// store keeps records in a directory, one file each, and counts generations.
type store struct {
	dir      string
	counting sync.Mutex // held while a generation is counted
}

const (
	recordSuffix   = ".json"
	generationFile = "generation"
)

func openStore(stateDir string) (*store, error) {
	s := &store{dir: filepath.Join(stateDir, "containers")}
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return nil, fmt.Errorf("state directory: %w", err)
	}
	return s, nil
}

func (s *store) path(key string) string { return filepath.Join(s.dir, key+recordSuffix) }

// put writes a record: beside and renamed, so that a reader finds all of it or the
// one before. It is not forced to disk, since no container outlives a crash of the
// host.
func (s *store) put(r *record) error {
	if err := writeJSON(s.path(r.key()), r); err != nil {
		return fmt.Errorf("save the state of container %s: %w", r.ID, err)
	}
	return nil
}

func writeJSON(path string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	temp := path + ".new"
	if err := os.WriteFile(temp, data, 0o600); err != nil {
		return errors.Join(err, ignoreMissing(os.Remove(temp)))
	}
	return os.Rename(temp, path)
}

func (s *store) remove(key string) error { return ignoreMissing(os.Remove(s.path(key))) }

func ignoreMissing(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// load reads all records. Files that hold none are reported and left alone.
func (s *store) load() (records []*record, unreadable []error, err error) {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, nil, fmt.Errorf("state directory: %w", err)
	}
	for _, e := range entries {
		key, ok := strings.CutSuffix(e.Name(), recordSuffix)
		if !ok {
			continue
		}
		r, err := s.get(key)
		if err != nil {
			unreadable = append(unreadable, err)
			continue
		}
		records = append(records, r)
	}
	return records, unreadable, nil
}

func (s *store) get(key string) (*record, error) {
	path := s.path(key)
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	r := &record{}
	if err := json.Unmarshal(data, r); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if r.key() != key {
		return nil, fmt.Errorf("%s: it is the record of %s", path, r.key())
	}
	return r, nil
}

// nextGeneration returns a number that no slot had before, not even before a
// restart.
func (s *store) nextGeneration() (uint32, error) {
	s.counting.Lock()
	defer s.counting.Unlock()
	path := filepath.Join(s.dir, generationFile)
	var last uint32
	data, err := os.ReadFile(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
	case err != nil:
		return 0, fmt.Errorf("count generations: %w", err)
	default:
		if err := json.Unmarshal(data, &last); err != nil {
			return 0, fmt.Errorf("count generations: %s: %w", path, err)
		}
	}
	if err := writeJSON(path, last+1); err != nil {
		return 0, fmt.Errorf("count generations: %w", err)
	}
	return last + 1, nil
}
