//go:build root

package mounter_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/rs/zerolog"

	"cloister/internal/mounter"
	"cloister/internal/sys/systest"
)

func TestAFailedStartIsTriedAgain(t *testing.T) {
	views := filepath.Join(systest.Dir(t), "views")
	m := mounter.Keep(zerolog.New(zerolog.NewTestWriter(t)), views)
	if err := m.Started(); err == nil || !strings.Contains(err.Error(), views) {
		t.Errorf("got %v, want %s named", err, views)
	}
	if err := os.Mkdir(views, 0o755); err != nil {
		t.Fatal(err)
	}
	if a, err := m.Address(0); err != nil || a.PID == 0 {
		t.Errorf("once it can be started: got %+v, %v", a, err)
	}
	if err := m.Close(); err != nil {
		t.Error(err)
	}
}

// A mounter that has ended and can't be started again is closed like any other.
func TestCloseBetweenTwo(t *testing.T) {
	views := filepath.Join(systest.Dir(t), "views")
	if err := os.Mkdir(views, 0o755); err != nil {
		t.Fatal(err)
	}
	failed := make(chan struct{}, 100)
	log := zerolog.New(zerolog.NewTestWriter(t)).Hook(zerolog.HookFunc(func(_ *zerolog.Event, _ zerolog.Level, message string) {
		if strings.HasPrefix(message, "no container can start") {
			failed <- struct{}{}
		}
	}))
	m := mounter.Keep(log, views)
	if err := m.Started(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(views); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(m.Process().PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-failed
	if err := m.Close(); err != nil {
		t.Error(err)
	}
}
