// Package hook is what runs when a runtime or an engine calls one of cloister's
// hooks: prestart and poststop of the OCI runtime specification, and podman's
// precreate. A prestart or precreate hook that fails keeps the container from
// starting, so both fail when in doubt.
package hook

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"cloister/internal/api"
	"cloister/runtimehook/engine"
	"cloister/runtimehook/spec"
)

// maxState bounds what is read of a hook's input.
const maxState = 16 << 20

// state is the container's state as runtimes write it to the standard input of
// hooks (runtime-spec, "State"), and crun's own "root".
type state struct {
	ID     string `json:"id"`
	PID    int    `json:"pid"`
	Bundle string `json:"bundle"`
	Root   string `json:"root"`
}

func readState(r io.Reader) (*state, error) {
	s := &state{}
	if err := json.NewDecoder(io.LimitReader(r, maxState)).Decode(s); err != nil {
		return nil, fmt.Errorf("read the container's state from standard input: %w", err)
	}
	if s.ID == "" {
		return nil, errors.New("the container's state on standard input has no id")
	}
	return s, nil
}

// describe completes the state from the config of the bundle, as far as somebody
// needs to know: the path of the root, which runc leaves out, and, for a container
// without a registration, its name and engine. (The bundle's path in crun's state
// is not always right, so it is not looked at without need.)
func (s *state) describe(key string) (*api.Start, error) {
	start := &api.Start{ID: s.ID, PID: s.PID, Bundle: s.Bundle, Key: key}
	if key != "" && s.Root != "" {
		return start, nil
	}
	doc, err := s.config()
	if err != nil {
		return nil, err
	}
	if s.Root == "" {
		s.Root = doc.Spec.Root.Path
	}
	e := engine.Recognise(engine.Call{ID: s.ID, Bundle: s.Bundle, Root: doc.Spec.Root.Path, Spec: doc.Spec})
	start.Name, start.Engine, start.Nesting = e.ContainerName(), e.Name, doc.CanMount()
	return start, nil
}

// config reads the config of the state's bundle, as the runtime sees it.
func (s *state) config() (*spec.Document, error) {
	data, err := os.ReadFile(filepath.Join(s.Bundle, "config.json"))
	if err != nil {
		return nil, err
	}
	doc, err := spec.Parse(data)
	if err != nil {
		return nil, err
	}
	doc.MakeAbsolute(s.Bundle)
	return doc, nil
}
