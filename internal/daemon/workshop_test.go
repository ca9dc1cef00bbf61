package daemon

import (
	"errors"
	"testing"

	"cloister/fs"
	"cloister/internal/api"
	"cloister/internal/sealed"
)

// The end of a container takes its lock, on the goroutine that watches all of them.
func TestWhoWaitsForAWorkshopHoldsNoLock(t *testing.T) {
	c := &container{record: record{Registration: api.Registration{ID: "web"}, Slot: fs.Slot{Index: 1, Generation: 1}}, phase: running}
	errNone := errors.New("no workshop")
	asked, answer := make(chan struct{}), make(chan error)
	r := &registry{containers: map[string]*container{c.key(): c}, workshop: func(int) (sealed.Address, error) {
		asked <- struct{}{}
		return sealed.Address{}, <-answer
	}}
	for what, ask := range map[string]func() error{
		"start": func() error { _, err := r.start(api.Start{Key: c.key(), ID: c.ID}); return err },
		"nest":  func() error { _, err := r.nest(c.key(), api.Nested{}); return err },
	} {
		done := make(chan error)
		go func() { done <- ask() }()
		<-asked
		if !c.mu.TryLock() {
			t.Errorf("%s: the container is locked", what)
		} else {
			c.mu.Unlock()
		}
		answer <- errNone
		if err := <-done; !errors.Is(err, errNone) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
