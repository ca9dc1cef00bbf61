package daemon

import (
	"errors"
	"testing"
	"time"
)

func TestBackgroundReportsErrors(t *testing.T) {
	b := newBackground(1, time.Hour)
	defer b.close()
	failed, done := errors.New("failed"), make(chan error)
	b.start(func() error { return failed }, func(err error) { done <- err })
	if err := <-done; !errors.Is(err, failed) {
		t.Errorf("got %v, want the work's error", err)
	}
}

func TestBackgroundGivesUpOnEndlessWork(t *testing.T) {
	b := newBackground(1, time.Millisecond)
	defer b.close()
	forever := make(chan struct{})
	defer close(forever)
	for range 3 {
		done := make(chan error)
		b.start(func() error { <-forever; return nil }, func(err error) { done <- err })
		if err := <-done; err == nil {
			t.Error("endless work has ended")
		}
	}
	began := make(chan struct{})
	b.start(func() error { close(began); return nil }, func(error) {})
	<-began
}

func TestBackgroundClosesDuringEndlessWork(t *testing.T) {
	b := newBackground(1, time.Hour)
	began, forever := make(chan struct{}), make(chan struct{})
	defer close(forever)
	told := func(err error) { t.Errorf("told of %v", err) }
	b.start(func() error { close(began); <-forever; return nil }, told)
	<-began
	b.start(func() error { t.Error("began without a place"); return nil }, told)
	b.close()
}
