package engine

import (
	"errors"
	"path/filepath"
	"regexp"

	"github.com/opencontainers/runtime-spec/specs-go"
)

var (
	// storageFile is a file of a container in containers/storage.
	storageFile = regexp.MustCompile(`^(/.+/([a-z0-9-]+-containers)/([0-9a-f]{64})/userdata)/`)
	// storageRoot is a root file system there.
	storageRoot = regexp.MustCompile(`^(/.+)/([a-z0-9-]+)/(?:dir/)?[0-9a-f]{64}(?:/merged)?$`)
)

// PodmanContainer tells from a config of podman's which container it is of, and
// which bundle it will be in. Every container of podman's has a mount of its own
// at /run/.containerenv.
func PodmanContainer(config *specs.Spec) (id, bundle string, err error) {
	for _, m := range config.Mounts {
		f := storageFile.FindStringSubmatch(m.Source)
		if f == nil || filepath.Clean(m.Destination) != "/run/.containerenv" {
			continue
		}
		bundle, id = f[1], f[3]
		if root := storageRoot.FindStringSubmatch(config.Root.Path); root != nil {
			// That mount is in the run root, the bundle in the graph root.
			bundle = filepath.Join(root[1], f[2], id, "userdata")
		}
		return id, bundle, nil
	}
	return "", "", errors.New("the config is not podman's: it has no mount at /run/.containerenv")
}
