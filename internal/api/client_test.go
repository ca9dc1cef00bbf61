package api

import (
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
)

// serve answers on the control socket of a new run directory with h.
func serve(t *testing.T, h http.HandlerFunc) *Client {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("the client takes only root for a daemon: run as root")
	}
	dir := t.TempDir()
	l, err := net.Listen("unix", SocketPath(dir))
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: h}
	go func() { _ = s.Serve(l) }() // ends with Close
	t.Cleanup(func() { _ = s.Close() })
	return NewClient(dir)
}

func answer(t *testing.T, w http.ResponseWriter, status int, body any) {
	t.Helper()
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(body); err != nil {
		t.Error(err)
	}
}

func TestClientSharedByMany(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, req *http.Request) {
		answer(t, w, http.StatusOK, Container{ID: strings.TrimPrefix(req.URL.Path, "/v1/containers/")})
	})
	var wg sync.WaitGroup
	for _, id := range []string{"a", "b", "with/slash", "with space", "ä", "..", "?x=1"} {
		wg.Go(func() {
			for range 20 {
				got, err := c.Container(id)
				if err != nil || got.ID != id {
					t.Errorf("asked for %q: got %+v, %v", id, got, err)
				}
			}
		})
	}
	wg.Wait()
	if c.DaemonPID() != os.Getpid() {
		t.Errorf("daemon's pid: got %d, want %d", c.DaemonPID(), os.Getpid())
	}
}

func TestClientErrors(t *testing.T) {
	tests := []struct {
		name    string
		handler http.HandlerFunc
		want    string
	}{
		{"the daemon's own", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusConflict)
			_, _ = w.Write([]byte(`{"error": "no ids are left"}`))
		}, "no ids are left"},
		{"without a reason", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }, "answered with status 502"},
		{"not JSON", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("hello")) }, "decode the daemon's answer"},
		{"cut off", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = w.Write([]byte("{"))
		}, "no answer from the cloister daemon"},
		{"hung up", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "no answer from the cloister daemon"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := serve(t, tt.handler)
			if _, err := c.Status(); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

// A daemon that was started anew has another connection.
func TestClientAfterAnError(t *testing.T) {
	first := true
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		if first {
			first = false
			panic(http.ErrAbortHandler)
		}
		answer(t, w, http.StatusOK, Status{Version: "2"})
	})
	if _, err := c.Status(); !errors.Is(err, ErrNoDaemon) {
		t.Fatalf("got %v, want ErrNoDaemon", err)
	}
	if s, err := c.Status(); err != nil || s.Version != "2" {
		t.Errorf("got %+v, %v, want the answer", s, err)
	}
}

func TestClientWithoutADaemon(t *testing.T) {
	dir := t.TempDir()
	_, err := NewClient(dir).Status()
	if !errors.Is(err, ErrNoDaemon) || !strings.Contains(err.Error(), "nothing is listening on "+SocketPath(dir)) {
		t.Errorf("got %v", err)
	}
}

// A daemon that accepts and says nothing is given up within the deadline.
func TestClientOfASilentDaemon(t *testing.T) {
	stop := make(chan struct{})
	c := serve(t, func(http.ResponseWriter, *http.Request) { <-stop })
	defer close(stop)
	_, err := c.Status()
	if !errors.Is(err, ErrNoDaemon) || !strings.Contains(err.Error(), "within 2s") {
		t.Errorf("got %v, want no answer within 2s", err)
	}
}
