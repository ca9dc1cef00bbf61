package hook

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"cloister/internal/api"
	"cloister/internal/sys"
	"cloister/runtimehook/contain"
	"cloister/runtimehook/engine"
	"cloister/runtimehook/spec"
)

// Precreate rewrites the config that podman is about to give to its runtime: from
// standard input to standard output. Podman does not say which container it is, so
// that is told from the config. It must be called on a locked thread.
func Precreate(client *api.Client, stdin io.Reader, stdout io.Writer) error {
	id, err := precreate(client, stdin, stdout)
	if err != nil {
		_ = client.Refused(&api.Refusal{ID: id, By: "precreate hook", Reason: err.Error()})
		tellEngine(err)
	}
	return err
}

func precreate(client *api.Client, stdin io.Reader, stdout io.Writer) (id string, err error) {
	config, err := io.ReadAll(io.LimitReader(stdin, maxState))
	if err != nil {
		return "", fmt.Errorf("read the config from standard input: %w", err)
	}
	doc, err := spec.Parse(config)
	if err != nil {
		return "", err
	}
	id, bundle, err := engine.PodmanContainer(doc.Spec)
	if err != nil {
		return "", err
	}
	if doc.Spec.Linux.CgroupsPath == "" { // podman always names one, if there is to be one
		return id, contain.ErrNoCgroup
	}
	self, err := os.Executable()
	if err != nil {
		return id, err
	}
	if err := sys.UnshareFS(); err != nil { // for the working directory that staging needs
		return id, err
	}
	prepared, err := contain.Prepare(client, contain.Call{
		ID: id, Bundle: bundle, Config: config, Hook: self, PID: os.Getppid(),
	})
	if err != nil {
		return id, err
	}
	if _, err := stdout.Write(prepared.Config); err != nil {
		return id, errors.Join(fmt.Errorf("write the config: %w", err), prepared.Abandon(client))
	}
	return id, nil
}

// tellEngine writes a reason to the standard error of the engine itself: podman
// shows only the exit status of a precreate hook. One that has closed its own is
// not told.
func tellEngine(reason error) {
	_ = sys.WriteTo(os.Getppid(), 2, fmt.Sprintf("cloister: %s\n", strings.ReplaceAll(reason.Error(), "\n", "; ")))
}
