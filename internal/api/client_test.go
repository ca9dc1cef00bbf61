package api

import (
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
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
}

// A daemon that is killed in the middle of a call is replaced, and asked again.
func TestClientAsksAgain(t *testing.T) {
	var asked atomic.Int32
	c := serve(t, func(w http.ResponseWriter, req *http.Request) {
		if asked.Add(1) < 3 {
			panic(http.ErrAbortHandler)
		}
		var reg Registration
		if err := json.NewDecoder(req.Body).Decode(&reg); err != nil || reg.ID != "web" {
			t.Errorf("got %+v, %v", reg, err)
		}
		answer(t, w, http.StatusOK, Grant{Key: "1.2"})
	})
	grant, err := c.Register(&Registration{ID: "web"})
	if err != nil || grant.Key != "1.2" || asked.Load() != 3 {
		t.Errorf("got %+v, %v after %d calls", grant, err, asked.Load())
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
	if !errors.Is(err, ErrNoDaemon) || !strings.Contains(err.Error(), "within 5s") {
		t.Errorf("got %v, want no answer within 5s", err)
	}
}
