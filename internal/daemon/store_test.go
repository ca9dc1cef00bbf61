package daemon

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cloister/fs"
	"cloister/internal/api"
	"cloister/runtimehook/idrange"
)

func newStore(t *testing.T) *store {
	t.Helper()
	s, err := openStore(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func sample(index, generation uint32) *record {
	return &record{
		Registration: api.Registration{ID: "c", Engine: "docker"},
		Slot:         fs.Slot{Index: index, Generation: generation},
		IDs:          idrange.Range{Start: 100000 + index*65536, Size: 65536},
		BootID:       "boot",
	}
}

func TestStoreRoundTrip(t *testing.T) {
	s := newStore(t)
	want := sample(3, 7)
	if err := s.put(want); err != nil {
		t.Fatal(err)
	}
	records, unreadable, err := s.load()
	if err != nil || len(unreadable) != 0 || len(records) != 1 {
		t.Fatalf("got %d records, %v, %v", len(records), unreadable, err)
	}
	if diff := cmp.Diff(want, records[0]); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for range 2 { // removing twice is no error
		if err := s.remove(want.key()); err != nil {
			t.Fatal(err)
		}
	}
	if records, _, _ := s.load(); len(records) != 0 {
		t.Errorf("got %d records after the removal", len(records))
	}
}

func TestStoreReportsWhatItCantRead(t *testing.T) {
	s := newStore(t)
	if err := s.put(sample(1, 1)); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"2.2.json": "", "3.3.json": "{", "4.4.json": `{"slot":{"Index":9}}`, "5.5.json.new": "{"} {
		if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	records, unreadable, err := s.load()
	if err != nil || len(records) != 1 || len(unreadable) != 3 {
		t.Errorf("got %d records, %d unreadable ones, %v, want 1 and 3", len(records), len(unreadable), err)
	}
}

func TestStoreOnAFullDisk(t *testing.T) {
	s := newStore(t)
	s.dir = filepath.Join(s.dir, "gone")
	if err := s.put(sample(1, 1)); err == nil || !strings.Contains(err.Error(), "container c") {
		t.Errorf("got %v, want an error that names the container", err)
	}
	if _, err := s.nextGeneration(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want the reason", err)
	}
}

func TestGenerationsGoOnAfterARestart(t *testing.T) {
	s := newStore(t)
	for want := range uint32(3) {
		if got, err := (&store{dir: s.dir}).nextGeneration(); err != nil || got != want+1 {
			t.Errorf("got %d, %v, want %d", got, err, want+1)
		}
	}
	if err := os.WriteFile(filepath.Join(s.dir, generationFile), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.nextGeneration(); err == nil {
		t.Error("a broken count begins anew instead of failing")
	}
}

func TestPeersDontShareIDs(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "peers")
	stateA, stateB := t.TempDir(), t.TempDir()
	a, b := join(t, dir, stateA), join(t, dir, stateB)
	storeA, err := openStore(stateA)
	if err != nil {
		t.Fatal(err)
	}
	self, err := identify(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	alive, dead, earlier := sample(0, 1), sample(1, 2), sample(2, 3)
	alive.Creator, dead.Creator, earlier.Creator = self, process{PID: self.PID, Start: self.Start + 1}, self
	earlier.BootID = "earlier boot"
	for _, r := range []*record{alive, dead, earlier} {
		if err := storeA.put(r); err != nil {
			t.Fatal(err)
		}
	}
	check := func(p *peers, want ...idrange.Range) {
		t.Helper()
		got, err := p.claims()
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("claims (-want +got):\n%s", diff)
		}
	}
	// B has no containers, but its directory must exist for A.
	if _, err := openStore(stateB); err != nil {
		t.Fatal(err)
	}
	check(b, alive.IDs)
	check(a)

	if err := os.RemoveAll(stateA); err != nil {
		t.Fatal(err)
	}
	check(b) // and forgets A
	for _, p := range []*peers{a, b} {
		if err := p.leave(); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the last daemon leaves the common directory behind: %v", err)
	}
}

func TestPeersFailClosed(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "peers")
	state := t.TempDir()
	join(t, dir, state)
	b := join(t, dir, t.TempDir())
	s, err := openStore(state)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.path("1.1"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := b.claims(); err == nil || !strings.Contains(err.Error(), state) {
		t.Errorf("got %v, want an error that names the other daemon's directory", err)
	}
}

func join(t *testing.T, dir, state string) *peers {
	t.Helper()
	p, err := joinPeers(dir, state, "boot")
	if err != nil {
		t.Fatal(err)
	}
	return p
}
