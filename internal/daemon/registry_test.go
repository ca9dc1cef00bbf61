package daemon

import (
	"errors"
	"testing"

	"cloister/fs"
	"cloister/internal/api"
)

func TestFind(t *testing.T) {
	r := &registry{containers: map[string]*container{}}
	add := func(generation uint32, id, name string) {
		c := &container{record: record{
			Registration: api.Registration{ID: id, Name: name},
			Slot:         fs.Slot{Index: 0, Generation: generation},
		}}
		r.containers[c.key()] = c
	}
	// The names repeat what belongs to containers that were registered later.
	add(1, "mimic1", "0.4")
	add(2, "mimic2", "web5a")
	add(3, "mimic3", "db")
	add(4, "web5a", "web")
	add(5, "db6", "db")
	for name, want := range map[string]string{
		"0.4": "web5a", "web5a": "web5a", "web": "web5a", "web5": "web5a", "db": "mimic3", "db6": "db6", "0.5": "db6", "mimic2": "mimic2",
	} {
		c, err := r.find(name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if c.ID != want {
			t.Errorf("%s: got %s, want %s", name, c.ID, want)
		}
	}
	if _, err := r.find("mimic"); !errors.Is(err, errConflict) {
		t.Errorf("a beginning that three ids have: got %v", err)
	}
	if _, err := r.find("x"); !errors.Is(err, errNotFound) {
		t.Errorf("an unknown name: got %v", err)
	}
}
