package engine

import (
	"errors"
	"path/filepath"

	"github.com/opencontainers/runtime-spec/specs-go"
)

var (
	// storageFile is a file of a container in containers/storage.
	storageFile = pattern(`^(/.+/[a-z0-9-]+-containers/([0-9a-f]{64})/userdata)/`)
	// storageRoot is a root file system there.
	storageRoot = pattern(`^(/.+)/([a-z0-9-]+)/(?:dir/)?[0-9a-f]{64}(?:/merged)?$`)
	// libpodCgroup is how podman names a container's cgroup.
	libpodCgroup = pattern(`libpod[-:]([0-9a-f]{64})(?:\.scope)?$`)
)

// PodmanContainer tells from a config of podman's which container it is of, and
// which bundle it will be in.
func PodmanContainer(config *specs.Spec) (id, bundle string, err error) {
	if id = podmanID(config); id == "" {
		return "", "", errors.New("the config is not podman's: neither a cgroup nor a mount at /run/.containerenv tells a container of podman's")
	}
	if root := storageRoot().FindStringSubmatch(config.Root.Path); root != nil {
		return id, filepath.Join(root[1], root[2]+"-containers", id, "userdata"), nil
	}
	// A root file system that a user has chosen. The files of the container are in
	// the run root, beside which nothing tells the graph root.
	for _, m := range config.Mounts {
		if f := storageFile().FindStringSubmatch(m.Source); f != nil && f[2] == id {
			return id, f[1], nil
		}
	}
	return "", "", errors.New("the config of podman's does not tell where its containers are")
}

// podmanID finds the id in the name of the cgroup or, without one, in the mount that
// every container of podman's has of its own.
func podmanID(config *specs.Spec) string {
	if cgroup := libpodCgroup().FindStringSubmatch(config.Linux.CgroupsPath); cgroup != nil {
		return cgroup[1]
	}
	for _, m := range config.Mounts {
		if f := storageFile().FindStringSubmatch(m.Source); f != nil && filepath.Clean(m.Destination) == "/run/.containerenv" {
			return f[2]
		}
	}
	return ""
}
