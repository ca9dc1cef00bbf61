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
		if err := s.remove(want); err != nil {
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
	for name, text := range map[string]string{
		"2.2.boot.json": "", "3.3.boot.json": "{", "4.4.boot.json": `{"slot":{"Index":9}}`,
		"5.5.boot.json": `{"slot":{"Index":5,"Generation":5},"bootId":"other"}`, "6.6.boot.json.new": "{",
	} {
		if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	records, unreadable, err := s.load()
	if err != nil || len(records) != 1 || len(unreadable) != 4 {
		t.Errorf("got %d records, %d unreadable ones, %v, want 1 and 4", len(records), len(unreadable), err)
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
	state := t.TempDir()
	next := func() uint32 {
		t.Helper()
		s, err := openStore(state)
		if err != nil {
			t.Fatal(err)
		}
		n, err := s.nextGeneration()
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	for want := range uint32(3) {
		if got := next(); got != want+1 {
			t.Errorf("got %d, want %d", got, want+1)
		}
	}
	// A crash of the host may leave the count empty, or an old one.
	s, err := openStore(state)
	if err != nil {
		t.Fatal(err)
	}
	earlier := sample(0, 17)
	earlier.BootID = "earlier boot"
	if err := s.put(earlier); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"", "x", "3"} {
		if err := os.WriteFile(filepath.Join(s.dir, generationFile), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := next(); got != 18 {
			t.Errorf("with the count %q: got %d, want 18, since a container has 17", text, got)
		}
	}
}

func TestStoreIsTidiedUp(t *testing.T) {
	s := newStore(t)
	now, earlier := sample(1, 1), sample(2, 2)
	earlier.BootID = "earlier boot"
	for _, r := range []*record{now, earlier} {
		if err := s.put(r); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"3.3.boot.json", "4.4.earlier boot.json", "5.5.boot.json.new", "generation.new"} {
		if err := os.WriteFile(filepath.Join(s.dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	lost, err := s.tidy("boot")
	if err != nil || len(lost) != 1 || !strings.Contains(lost[0].Error(), "4.4.earlier boot.json") {
		t.Errorf("got %v, %v, want that the one of the earlier boot was lost", lost, err)
	}
	var left []string
	entries, err := os.ReadDir(s.dir)
	for _, e := range entries {
		left = append(left, e.Name())
	}
	want := []string{"1.1.boot.json", "2.2.earlier boot.json", "3.3.boot.json"}
	if diff := cmp.Diff(want, left); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
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
	alive, ended, earlier := sample(0, 1), sample(1, 2), sample(2, 3)
	// Who shares the pid namespace of another outlives the end of its init.
	alive.Init, ended.Init, earlier.Init = self, process{PID: self.PID, Start: self.Start + 1}, self
	ended.SharedPIDs = true
	earlier.BootID = "earlier boot"
	for _, r := range []*record{alive, ended, earlier} {
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
	check(b, alive.IDs, ended.IDs)
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
	if got, err := b.claimsBehind(a.link); err != nil || len(got) != 0 {
		t.Errorf("a link that was there a moment ago: got %v, %v", got, err)
	}
}

// The directory is what is locked: another one in its place would be another lock.
func TestPeersKeepTheirDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "peers")
	if err := join(t, dir, t.TempDir()).leave(); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("got %v, %v, want the empty directory", left, err)
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
	earlier, now := sample(1, 1), sample(2, 2)
	earlier.BootID = "earlier boot"
	if err := os.WriteFile(s.path(earlier.name()), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if claims, err := b.claims(); err != nil || len(claims) != 0 {
		t.Errorf("a broken record of an earlier boot: got %v, %v", claims, err)
	}
	if err := os.WriteFile(s.path(now.name()), nil, 0o600); err != nil {
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
