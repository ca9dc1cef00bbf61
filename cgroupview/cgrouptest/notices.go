package cgrouptest

import (
	"testing"
	"time"
)

// noticesLimit is for a call that never comes. A machine under load needs a hundredth.
const noticesLimit = 30 * time.Second

// Notices are the calls of a function that tells of a change. Some that come before the
// last is waited for are one.
type Notices chan struct{}

// NewNotices returns those of which none has come.
func NewNotices() Notices { return make(Notices, 1) }

// Call is the function.
func (n Notices) Call() {
	select {
	case n <- struct{}{}:
	default:
	}
}

// Wait waits for a call.
func (n Notices) Wait(t *testing.T, what string) {
	t.Helper()
	select {
	case <-n:
	case <-time.After(noticesLimit):
		t.Fatalf("%s: not called", what)
	}
}

// Until looks again after each call, until what has changed is seen.
func (n Notices) Until(t *testing.T, what string, seen func() bool) {
	t.Helper()
	deadline := time.After(noticesLimit)
	for !seen() {
		select {
		case <-n:
		case <-deadline:
			t.Fatalf("%s: not noticed", what)
		}
	}
}
