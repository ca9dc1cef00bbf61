package api

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"sync"
	"syscall"
	"time"

	"cloister/internal/sys"
)

// Timeout bounds every call: an engine must hear soon that the daemon is stuck. It is
// longer than the keeper takes to replace a worker that hangs, which is 2 to 4 s.
const Timeout = 5 * time.Second

// ErrNoDaemon is wrapped by the errors that mean that no daemon answers.
var ErrNoDaemon = errors.New("no answer from the cloister daemon")

// Client calls the daemon of a run directory, over one connection and one call at a
// time. (A transport of net/http would cost each hook and each start of a container
// milliseconds.)
type Client struct {
	runDir string

	mu     sync.Mutex // held during a call
	conn   *net.UnixConn
	reader *bufio.Reader
}

// NewClient returns a client; it connects at the first call.
func NewClient(runDir string) *Client { return &Client{runDir: runDir} }

// connect opens the connection, if it is not open, and makes sure that root listens
// at the other end. Preconditions: c.mu is held.
func (c *Client) connect() error {
	if c.conn != nil {
		return nil
	}
	conn, err := net.DialTimeout("unix", SocketPath(c.runDir), Timeout)
	if err != nil {
		return err
	}
	unix := conn.(*net.UnixConn)
	peer, err := sys.PeerCredentials(unix)
	if err == nil && peer.UID != 0 {
		err = fmt.Errorf("user %d and not root listens on %s", peer.UID, SocketPath(c.runDir))
	}
	if err != nil {
		return errors.Join(err, conn.Close())
	}
	c.conn, c.reader = unix, bufio.NewReader(conn)
	return nil
}

// RunDir returns the run directory of the daemon.
func (c *Client) RunDir() string { return c.runDir }

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

// Start reports that a container is about to start, and asks for its views.
func (c *Client) Start(s *Start) (*Views, error) {
	return call[Views](c, http.MethodPost, "start", s)
}

// Attached reports that a container has its views.
func (c *Client) Attached(key string, a *Attached) error {
	_, err := call[struct{}](c, http.MethodPut, "containers/"+url.PathEscape(key)+"/attached", a)
	return err
}

// Nest makes views of a cgroup below that of a running container. They last until
// Unnest or the end of the container, whichever is first.
func (c *Client) Nest(key string, n *Nested) (*Views, error) {
	return call[Views](c, http.MethodPost, "containers/"+url.PathEscape(key)+"/views", n)
}

// Unnest takes views back by their key. It is no error if there are none.
func (c *Client) Unnest(key, nested string) error {
	_, err := call[struct{}](c, http.MethodDelete, "containers/"+url.PathEscape(key)+"/views/"+url.PathEscape(nested), nil)
	return err
}

// Refused tells the daemon, for its log, why a container was not started. Engines
// pass on such reasons only in part.
func (c *Client) Refused(r *Refusal) error {
	_, err := call[struct{}](c, http.MethodPost, "refusals", r)
	return err
}

// Upgrade has the daemon go on as another program.
func (c *Client) Upgrade(u UpgradeRequest) error {
	_, err := call[struct{}](c, http.MethodPost, "upgrade", u)
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
	c.mu.Lock()
	defer c.mu.Unlock()
	status, answer, err := c.insist(method, path, data)
	if err != nil {
		return nil, c.explain(err)
	}
	if status >= http.StatusBadRequest {
		e := &Error{}
		if err := json.Unmarshal(answer, e); err != nil || e.Message == "" {
			e.Message = fmt.Sprintf("the cloister daemon answered with status %d", status)
		}
		return nil, e
	}
	out := new(T)
	if status == http.StatusNoContent {
		return out, nil
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return nil, fmt.Errorf("decode the daemon's answer: %w", err)
	}
	return out, nil
}

// insist makes a call again if the daemon is replaced in the middle of it: every call
// may be made twice, and a connection to a daemon that is not there yet waits for it.
// Preconditions: c.mu is held.
func (c *Client) insist(method, path string, data []byte) (status int, answer []byte, err error) {
	for deadline := time.Now().Add(Timeout); ; {
		req, err := http.NewRequest(method, "http://cloister/"+Version+"/"+path, bytes.NewReader(data))
		if err != nil {
			return 0, nil, err
		}
		status, answer, err = c.exchange(req)
		if !replaced(err) || time.Now().After(deadline) {
			return status, answer, err
		}
	}
}

// replaced reports whether an error is that of a connection whose other end is gone.
func replaced(err error) bool {
	for _, gone := range []error{io.EOF, io.ErrUnexpectedEOF, syscall.ECONNRESET, syscall.EPIPE} {
		if errors.Is(err, gone) {
			return true
		}
	}
	return false
}

// exchange sends a request and reads the whole answer. After an error the connection
// is of no more use. Preconditions: c.mu is held.
func (c *Client) exchange(req *http.Request) (status int, answer []byte, err error) {
	if err := c.connect(); err != nil {
		return 0, nil, err
	}
	defer func() {
		if err != nil {
			_ = c.conn.Close()
			c.conn = nil
		}
	}()
	if err := c.conn.SetDeadline(time.Now().Add(Timeout)); err != nil {
		return 0, nil, err
	}
	if err := req.Write(c.conn); err != nil {
		return 0, nil, err
	}
	resp, err := http.ReadResponse(c.reader, req)
	if err != nil {
		return 0, nil, err
	}
	answer, err = io.ReadAll(resp.Body)
	return resp.StatusCode, answer, errors.Join(err, resp.Body.Close())
}

// explain says what to do about a call that did not get through.
func (c *Client) explain(err error) error {
	socket := SocketPath(c.runDir)
	switch {
	case errors.Is(err, os.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%w: nothing is listening on %s; start it with `systemctl start cloister` or `cloister daemon`", ErrNoDaemon, socket)
	case errors.Is(err, os.ErrPermission):
		return fmt.Errorf("%w: only root may use %s", ErrNoDaemon, socket)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("%w on %s within %v; see its log", ErrNoDaemon, socket, Timeout)
	}
	return fmt.Errorf("%w on %s: %w", ErrNoDaemon, socket, err)
}
