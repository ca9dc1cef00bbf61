package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"cloister/internal/sys"
)

// Timeout bounds every call: an engine must hear soon that the daemon is stuck.
const Timeout = 2 * time.Second

// ErrNoDaemon is wrapped by the errors that mean that no daemon answers.
var ErrNoDaemon = errors.New("no answer from the cloister daemon")

// Client calls the daemon of a run directory.
type Client struct {
	runDir    string
	http      *http.Client
	daemonPID atomic.Int64
}

// NewClient returns a client; it connects at the first call.
func NewClient(runDir string) *Client {
	c := &Client{runDir: runDir}
	c.http = &http.Client{Timeout: Timeout, Transport: &http.Transport{DialContext: c.dial}}
	return c
}

// dial connects to the control socket and makes sure that root listens there.
func (c *Client) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "unix", SocketPath(c.runDir))
	if err != nil {
		return nil, err
	}
	peer, err := sys.PeerCredentials(conn.(*net.UnixConn))
	if err == nil && peer.UID != 0 {
		err = fmt.Errorf("user %d and not root listens on %s", peer.UID, SocketPath(c.runDir))
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	c.daemonPID.Store(int64(peer.PID))
	return conn, nil
}

// RunDir returns the run directory of the daemon.
func (c *Client) RunDir() string { return c.runDir }

// DaemonPID returns the process that listens on the socket; a call must have
// succeeded before.
func (c *Client) DaemonPID() int { return int(c.daemonPID.Load()) }

// Status asks for the daemon's status.
func (c *Client) Status() (*Status, error) { return get[Status](c, "status") }

// Containers lists the containers.
func (c *Client) Containers() ([]Container, error) {
	all, err := get[[]Container](c, "containers")
	if err != nil {
		return nil, err
	}
	return *all, nil
}

// Container describes a container, named by id, unique beginning of the id, name
// or key.
func (c *Client) Container(name string) (*ContainerDetails, error) {
	return get[ContainerDetails](c, "containers/"+url.PathEscape(name))
}

// Rules asks for what a container's config has to comply with.
func (c *Client) Rules() (*Rules, error) { return get[Rules](c, "rules") }

// Register announces a container.
func (c *Client) Register(r *Registration) (*Grant, error) {
	return call[Grant](c, http.MethodPost, "containers", r)
}

// Promise tells what the prestart hook shall find.
func (c *Client) Promise(key string, p *Promise) error {
	_, err := call[struct{}](c, http.MethodPut, "containers/"+url.PathEscape(key)+"/promise", p)
	return err
}

// Start reports that a container is about to start, and asks for its views.
func (c *Client) Start(s *Start) (*Views, error) {
	return call[Views](c, http.MethodPost, "start", s)
}

// Attached reports that a container has its views.
func (c *Client) Attached(key string, a *Attached) error {
	_, err := call[struct{}](c, http.MethodPut, "containers/"+url.PathEscape(key)+"/attached", a)
	return err
}

// Refused tells the daemon, for its log, why a container was not started. Engines
// pass on such reasons only in part.
func (c *Client) Refused(r *Refusal) error {
	_, err := call[struct{}](c, http.MethodPost, "refusals", r)
	return err
}

// Release ends a registration. It is no error if there is none.
func (c *Client) Release(key string) error {
	_, err := call[struct{}](c, http.MethodDelete, "containers/"+url.PathEscape(key), nil)
	return err
}

func get[T any](c *Client, path string) (*T, error) { return call[T](c, http.MethodGet, path, nil) }

// call sends one request and decodes the answer.
func call[T any](c *Client, method, path string, body any) (*T, error) {
	data, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("encode request: %w", err)
	}
	req, err := http.NewRequest(method, "http://cloister/"+Version+"/"+path, bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.explain(err)
	}
	defer resp.Body.Close()
	dec := json.NewDecoder(resp.Body)
	if resp.StatusCode >= http.StatusBadRequest {
		e := &Error{}
		if err := dec.Decode(e); err != nil || e.Message == "" {
			e.Message = "the cloister daemon answered " + resp.Status
		}
		return nil, e
	}
	out := new(T)
	if resp.StatusCode == http.StatusNoContent {
		return out, nil
	}
	if err := dec.Decode(out); err != nil {
		return nil, fmt.Errorf("decode the daemon's answer: %w", err)
	}
	return out, nil
}

// explain says what to do about a call that did not get through.
func (c *Client) explain(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err // without the made-up URL
	}
	socket := SocketPath(c.runDir)
	switch {
	case errors.Is(err, os.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%w: nobody listens on %s; start it with `systemctl start cloister` or `cloister daemon`", ErrNoDaemon, socket)
	case errors.Is(err, os.ErrPermission):
		return fmt.Errorf("%w: only root may use %s", ErrNoDaemon, socket)
	case errors.Is(err, context.DeadlineExceeded), os.IsTimeout(err):
		return fmt.Errorf("%w on %s within %v; see its log", ErrNoDaemon, socket, Timeout)
	}
	return fmt.Errorf("%w on %s: %w", ErrNoDaemon, socket, err)
}
