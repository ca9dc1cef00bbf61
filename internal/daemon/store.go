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
	"cloister/internal/sealed"
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
	// Plan is what is over the container's proc and sysfs.
	Plan *sealed.Plan `json:"plan,omitempty"`
	// ProcReadOnly and SysReadOnly tell what its first ones are.
	ProcReadOnly bool        `json:"procReadOnly,omitempty"`
	SysReadOnly  bool        `json:"sysReadOnly,omitempty"`
	Nested       []nested    `json:"nested,omitempty"` // views of cgroups below its own
	State        *emul.State `json:"state,omitempty"`  // counters that must not go back
}

// key names a registration.
func (r *record) key() string { return r.Slot.String() }

// store keeps records in a directory, one file each, and counts generations.
type store struct {
	dir      string
	counting sync.Mutex // held while a generation is counted
	last     uint32     // the generation counted last; guarded by counting
}

const (
	recordSuffix   = ".json"
	tempSuffix     = ".new"
	generationFile = "generation"
)

// recordName is what the name of a record's file says: <key>.<boot>.json. That a
// record is of an earlier boot has to be known of one that can't be read as well,
// since a host that loses its power may leave empty files.
type recordName struct {
	slot fs.Slot
	boot string
}

func (r *record) name() recordName { return recordName{r.Slot, r.BootID} }

func (n recordName) file() string { return n.slot.String() + "." + n.boot + recordSuffix }

// parseRecordName reports whether it is the name of a record's file.
func parseRecordName(file string) (recordName, bool) {
	name, isRecord := strings.CutSuffix(file, recordSuffix)
	end := strings.LastIndexByte(name, '.') // a boot id has none
	if !isRecord || end < 0 {
		return recordName{}, false
	}
	slot, err := fs.ParseSlot(name[:end])
	return recordName{slot, name[end+1:]}, err == nil
}

// openStore opens the store that is, or will be, in a state directory.
func openStore(stateDir string) (*store, error) {
	s := &store{dir: filepath.Join(stateDir, "containers")}
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return nil, fmt.Errorf("state directory: %w", err)
	}
	names, err := s.names()
	if err != nil {
		return nil, err
	}
	if s.last, err = s.savedGeneration(); err != nil {
		return nil, err
	}
	for _, n := range names {
		s.last = max(s.last, n.slot.Generation)
	}
	return s, nil
}

// tidy removes what no container needs: files that were not written to the end,
// and records of earlier boots that can't be read. It returns what was wrong with
// these. Preconditions: no other daemon uses the store.
func (s *store) tidy(boot string) (lost []error, err error) {
	unfinished, err := filepath.Glob(filepath.Join(s.dir, "*"+tempSuffix))
	if err != nil {
		return nil, fmt.Errorf("state directory: %w", err)
	}
	for _, path := range unfinished {
		if err := ignoreMissing(os.Remove(path)); err != nil {
			return nil, fmt.Errorf("state directory: %w", err)
		}
	}
	names, err := s.names()
	if err != nil {
		return nil, err
	}
	for _, n := range names {
		if n.boot == boot {
			continue
		}
		if _, err := s.get(n); err != nil {
			lost = append(lost, errors.Join(err, ignoreMissing(os.Remove(s.path(n)))))
		}
	}
	return lost, nil
}

func (s *store) path(n recordName) string { return filepath.Join(s.dir, n.file()) }

// put writes a record. It is not forced to disk, since no container outlives a crash
// of the host.
func (s *store) put(r *record) error {
	if err := writeJSON(s.path(r.name()), r, false); err != nil {
		return fmt.Errorf("save the state of container %s: %w", r.ID, err)
	}
	return nil
}

// writeJSON writes a file beside and renames it, so that a reader finds all of it
// or the one before; if it is durable, also after a crash of the host.
func writeJSON(path string, v any, durable bool) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	temp := path + tempSuffix
	if err := writeFile(temp, data, durable); err != nil {
		return errors.Join(err, ignoreMissing(os.Remove(temp)))
	}
	if err := os.Rename(temp, path); err != nil {
		return err
	}
	if durable {
		return syncDir(filepath.Dir(path))
	}
	return nil
}

func writeFile(path string, data []byte, durable bool) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil && durable {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// syncDir forces to disk which names a directory has.
func syncDir(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func (s *store) remove(r *record) error { return ignoreMissing(os.Remove(s.path(r.name()))) }

func ignoreMissing(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// load reads all records. Files that hold none are reported and left alone.
func (s *store) load() (records []*record, unreadable []error, err error) {
	names, err := s.names()
	if err != nil {
		return nil, nil, err
	}
	for _, n := range names {
		r, err := s.get(n)
		if err != nil {
			unreadable = append(unreadable, err)
			continue
		}
		records = append(records, r)
	}
	return records, unreadable, nil
}

// names lists the files that are to hold records.
func (s *store) names() ([]recordName, error) {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, fmt.Errorf("state directory: %w", err)
	}
	var all []recordName
	for _, e := range entries {
		if n, ok := parseRecordName(e.Name()); ok {
			all = append(all, n)
		}
	}
	return all, nil
}

func (s *store) get(n recordName) (*record, error) {
	path := s.path(n)
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	r := &record{}
	if err := json.Unmarshal(data, r); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if r.name() != n {
		return nil, fmt.Errorf("%s: it is the record of %s of boot %q", path, r.key(), r.BootID)
	}
	return r, nil
}

// savedGeneration returns what the last daemon has counted to. A file that holds no
// number counts as 0: the records' names are there as well, and where a crash of
// the host has taken them too, it has ended all who could mix up two generations.
func (s *store) savedGeneration() (uint32, error) {
	data, err := os.ReadFile(filepath.Join(s.dir, generationFile))
	if err != nil {
		return 0, ignoreMissing(err)
	}
	var n uint32
	if err := json.Unmarshal(data, &n); err != nil {
		return 0, nil
	}
	return n, nil
}

// nextGeneration returns a number that no slot had before, not even before a
// restart.
func (s *store) nextGeneration() (uint32, error) {
	s.counting.Lock()
	defer s.counting.Unlock()
	next := s.last + 1
	if err := writeJSON(filepath.Join(s.dir, generationFile), next, true); err != nil {
		return 0, fmt.Errorf("count generations: %w", err)
	}
	s.last = next
	return next, nil
}
