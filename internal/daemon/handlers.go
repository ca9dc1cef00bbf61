package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"

	"cloister/internal/api"
	"cloister/internal/sys"
)

// maxBody bounds a request's body.
const maxBody = 1 << 20

// handler returns the control socket's routes.
func (d *Daemon) handler() http.Handler {
	mux := http.NewServeMux()
	route := func(pattern string, h func(*http.Request) (any, error)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, req *http.Request) { d.serve(w, req, h) })
	}
	route("GET /v1/status", func(*http.Request) (any, error) { return d.status(), nil })
	route("GET /v1/rules", func(*http.Request) (any, error) { return d.rules(), nil })
	route("GET /v1/containers", func(*http.Request) (any, error) { return d.registry.list(), nil })
	route("GET /v1/containers/{key}", func(req *http.Request) (any, error) {
		return d.registry.details(req.PathValue("key"))
	})
	route("POST /v1/containers", withBody(func(_ *http.Request, reg api.Registration) (any, error) {
		return d.registry.register(reg)
	}))
	route("POST /v1/start", withBody(func(_ *http.Request, s api.Start) (any, error) {
		return d.registry.start(s)
	}))
	route("PUT /v1/containers/{key}/attached", withBody(func(req *http.Request, a api.Attached) (any, error) {
		return nil, d.registry.attached(req.PathValue("key"), a)
	}))
	route("POST /v1/containers/{key}/views", withBody(func(req *http.Request, n api.Nested) (any, error) {
		return d.registry.nest(req.PathValue("key"), n)
	}))
	route("DELETE /v1/containers/{key}/views/{nested}", func(req *http.Request) (any, error) {
		return nil, d.registry.unnest(req.PathValue("key"), req.PathValue("nested"))
	})
	route("POST /v1/refusals", withBody(func(_ *http.Request, r api.Refusal) (any, error) {
		d.refusals.Add(1)
		d.log.Warn().Str("cid", r.ID).Str("by", r.By).Str("reason", r.Reason).Msg("container refused")
		return nil, nil
	}))
	route("POST /v1/upgrade", withBody(func(_ *http.Request, u api.UpgradeRequest) (any, error) {
		return nil, d.upgrade(u)
	}))
	route("DELETE /v1/containers/{key}", func(req *http.Request) (any, error) {
		return nil, d.registry.end(req.PathValue("key"))
	})
	d.observe(mux)
	return mux
}

// withBody decodes the request's body. Unknown fields are an error: both sides are
// the same program.
func withBody[T any](h func(*http.Request, T) (any, error)) func(*http.Request) (any, error) {
	return func(req *http.Request) (any, error) {
		var body T
		dec := json.NewDecoder(http.MaxBytesReader(nil, req.Body, maxBody))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&body); err != nil {
			return nil, fmt.Errorf("%w: %w", errBadRequest, err)
		}
		return h(req, body)
	}
}

var errBadRequest = errors.New("request can't be read")

// serve answers one request with what the handler returns.
func (d *Daemon) serve(w http.ResponseWriter, req *http.Request, h func(*http.Request) (any, error)) {
	answer, err := h(req)
	w.Header().Set("Content-Type", "application/json")
	switch {
	case err != nil:
		d.log.Debug().Str("request", req.Method+" "+req.URL.Path).Err(err).Msg("request failed")
		w.WriteHeader(statusCode(err))
		answer = &api.Error{Message: err.Error()}
	case answer == nil:
		w.WriteHeader(http.StatusNoContent)
		return
	}
	if err := json.NewEncoder(w).Encode(answer); err != nil {
		d.log.Debug().Err(err).Msg("answer not sent")
	}
}

func statusCode(err error) int {
	switch {
	case errors.Is(err, errBadRequest):
		return http.StatusBadRequest
	case errors.Is(err, errNotFound):
		return http.StatusNotFound
	case errors.Is(err, errConflict):
		return http.StatusConflict
	}
	return http.StatusInternalServerError
}

// peerKey is the key of a connection's peer in its context.
type peerKey struct{}

// withPeer notes who is at the other end of a connection.
func withPeer(ctx context.Context, conn net.Conn) context.Context {
	unix, ok := conn.(*net.UnixConn)
	if !ok {
		return ctx
	}
	peer, err := sys.PeerCredentials(unix)
	if err != nil {
		return ctx
	}
	return context.WithValue(ctx, peerKey{}, peer)
}

// onlyRoot refuses everybody but the host's root. The socket's mode does so as
// well; this holds if somebody changes it.
func onlyRoot(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if peer, ok := req.Context().Value(peerKey{}).(sys.Credentials); !ok || peer.UID != 0 {
			w.WriteHeader(http.StatusForbidden)
			_ = json.NewEncoder(w).Encode(&api.Error{Message: "only root may use the control socket"})
			return
		}
		next.ServeHTTP(w, req)
	})
}

// upgrade has the keeper go on as another program.
func (d *Daemon) upgrade(u api.UpgradeRequest) error {
	if d.Keeper == nil {
		return fmt.Errorf("%w: the daemon has no keeper that could start another program", errBadRequest)
	}
	if !filepath.IsAbs(u.Program) {
		return fmt.Errorf("%w: %q is no absolute path", errBadRequest, u.Program)
	}
	return d.Keeper.Upgrade(u.Program)
}
