package daemon

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/moby/sys/mountinfo"
	"github.com/rs/zerolog"

	"cloister/internal/api"
	"cloister/internal/bundle"
)

// trashPrefix begins the names of bundles that are to be removed. No container's
// name begins with a dot.
const trashPrefix = ".trash-"

// trash removes the bundles of `cloister run` whose containers have ended, and volumes that
// ended with theirs. There may be any number of files in one, so that is done one at a time beside all else,
// and goes on at the next start if the daemon stops meanwhile.
type trash struct {
	log     zerolog.Logger
	bundles string        // the directory of all bundles
	volumes string        // the directory of all volumes, in the same file system
	more    chan struct{} // holds a token if bundles were added
	stop    context.CancelFunc
	stopped chan struct{} // closed when nothing is removed any more
}

func newTrash(stateDir string, log zerolog.Logger) *trash {
	return &trash{
		log: log, bundles: api.BundlesDir(stateDir), volumes: api.VolumesDir(stateDir), more: make(chan struct{}, 1),
	}
}

// start begins to remove bundles, those first that an earlier daemon has left.
func (t *trash) start() {
	ctx, cancel := context.WithCancel(context.Background())
	t.stop, t.stopped = cancel, make(chan struct{})
	go func() {
		defer close(t.stopped)
		t.run(ctx)
	}()
}

// close stops the removal where it is.
func (t *trash) close() {
	t.stop()
	<-t.stopped
}

// add takes a container's bundle, whose name is free for another one then, or its volumes.
// It is an error if something is mounted there.
func (t *trash) add(bundle, key string) error {
	if parent := filepath.Dir(bundle); parent != t.bundles && parent != t.volumes {
		return fmt.Errorf("%s is not a bundle of `cloister run`", bundle)
	}
	mounts, err := mountinfo.GetMounts(mountinfo.PrefixFilter(bundle))
	if err != nil {
		return err
	}
	if len(mounts) > 0 {
		return fmt.Errorf("%s is not removed: %s is mounted there", bundle, mounts[0].Mountpoint)
	}
	if err := os.Rename(bundle, filepath.Join(t.bundles, trashPrefix+key)); err != nil {
		return ignoreMissing(err)
	}
	select {
	case t.more <- struct{}{}:
	default:
	}
	return nil
}

func (t *trash) run(ctx context.Context) {
	failed := map[string]bool{} // and not tried again before the next start
	for {
		for _, dir := range t.content() {
			if failed[dir] {
				continue
			}
			err := bundle.Remove(ctx, dir)
			if ctx.Err() != nil {
				return
			}
			if err != nil {
				failed[dir] = true
				t.log.Error().Err(briefly(err)).Msg("bundle can't be removed")
			}
		}
		select {
		case <-t.more:
		case <-ctx.Done():
			return
		}
	}
}

func (t *trash) content() (dirs []string) {
	entries, err := os.ReadDir(t.bundles)
	if err != nil {
		t.log.Error().Err(err).Msg("bundles can't be removed")
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), trashPrefix) {
			dirs = append(dirs, filepath.Join(t.bundles, e.Name()))
		}
	}
	return dirs
}

// briefError is an error whose text may hold names that a container has chosen.
type briefError struct{ error }

// briefly bounds an error's text, for the log.
func briefly(err error) error {
	if err == nil {
		return nil
	}
	return &briefError{err}
}

// maxErrorText is what is shown of an error, in bytes.
const maxErrorText = 1000

func (e *briefError) Error() string {
	text := e.error.Error()
	if len(text) <= maxErrorText {
		return text
	}
	return strings.ToValidUTF8(text[:maxErrorText], "") + " …"
}

func (e *briefError) Unwrap() error { return e.error }
