package contain

import (
	"errors"
	"fmt"
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"

	"cloister/runtimehook/idrange"
	"cloister/runtimehook/spec"
	"cloister/runtimehook/stage"
)

// ownIDs reports whether the ids of the container are cloister's to choose, so
// that its files have to be shifted. Otherwise its engine has done both.
func (j *job) ownIDs() bool { return j.doc.Namespace(specs.UserNamespace) == nil }

// stage builds the container's file systems and points the config to them.
func (j *job) stage() (err error) {
	var ids *idrange.Range
	if j.ownIDs() {
		ids = &j.grant.IDs
	}
	area, err := stage.Open(j.grant.Dir, ids, j.mounts)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, area.Close()) }()
	j.promise.SharedMounts = !j.PrivateMounts
	j.promise.Root = j.doc.Spec.Root.Path
	locked, err := j.locksRoot()
	if err != nil {
		return err
	}
	root := j.root
	if root == nil && locked {
		root = stage.PlainRoot(j.request.Root)
	}
	if root != nil {
		path, err := area.Rootfs(root, j.grant.IDs, j.grant.Key)
		if err != nil {
			return err
		}
		j.doc.SetRoot(path)
		j.promise.Root = path
	}
	for i := range j.doc.Spec.Mounts {
		if err := j.stageMount(area, i); err != nil {
			return fmt.Errorf("%s: %w", j.doc.Spec.Mounts[i].Destination, err)
		}
	}
	if err := errors.Join(j.stageVolumes(area), j.stageEmptyDevices(area)); err != nil {
		return err
	}
	if locked {
		if err := area.ReadOnlyRoot(j.points, j.doc.Spec.Process.Cwd, j.grant.IDs); err != nil {
			return err
		}
	}
	return area.Seal()
}

func (j *job) stageMount(area *stage.Area, i int) error {
	m := &j.doc.Spec.Mounts[i]
	point := stage.MountPoint{Path: m.Destination, Dir: true, CopyUp: slices.Contains(m.Options, "tmpcopyup")}
	if source, ok := j.request.Sources[i]; ok {
		path, options, err := area.Bind(i, stage.Bind{
			Source:            source,
			Recursive:         spec.IsRecursive(m),
			ReadOnly:          slices.Contains(m.Options, "ro") || slices.Contains(m.Options, "rro"),
			RecursiveReadOnly: slices.Contains(m.Options, "rro"),
			EngineOwned:       j.engine.Owns(source.Path, m),
		})
		if err != nil {
			return err
		}
		j.doc.SetMountSource(i, path)
		j.doc.AddMountOptions(i, options...)
		if j.ownIDs() {
			j.doc.DropIDMapping(i)
		}
		point.Source, point.Dir = path, source.Stat.IsDir()
	} else if m.Type == "sysfs" && j.sharing.network != nil {
		path, err := area.Sysfs(j.sharing.network, slices.Contains(m.Options, "ro"))
		if err != nil {
			return err
		}
		j.doc.SetMountSource(i, path)
		j.doc.SetMountType(i, "bind")
		j.doc.AddMountOptions(i, "bind", "nosuid", "nodev", "noexec")
	}
	j.points = append(j.points, point)
	return nil
}

// volumePaths are where engines and what they are made of keep images and containers.
var volumePaths = []string{
	"/var/lib/docker", "/var/lib/containerd", "/var/lib/containers", "/var/lib/buildkit", "/var/lib/kubelet",
}

// stageVolumes gives a container that can have containers volumes for them, except where
// its config mounts something or its image has something.
func (j *job) stageVolumes(area *stage.Area) error {
	if !j.doc.CanMount() {
		return nil
	}
	v := &stage.Volumes{Root: j.request.Root, Dir: j.grant.VolumesDir}
	if ids := engineIDs(j.doc); ids != nil {
		if ids.Size == 0 {
			return nil // whose they would have to be is not known yet
		}
		v.Owner = ids.Start
	} else {
		v.UpperDir = j.root.UpperDir()
	}
	for i, path := range volumePaths {
		if j.doc.MountsNear(path) {
			continue
		}
		source, err := area.Volume(v, path, fmt.Sprintf("v%d", i))
		if err != nil {
			return err
		}
		if source != "" {
			j.addBind(path, source, true, "rw", "nodev")
		}
	}
	return nil
}

// stageEmptyDevices gives the container the host's /dev/null in place of devices that
// tell about the host. systemd gets along without them, while the journal of version 258
// and newer fails if it can't wait for a kernel log that is there.
func (j *job) stageEmptyDevices(area *stage.Area) error {
	if j.doc.RunsInit() {
		return nil
	}
	for i, path := range j.policy.Devices(&j.request).Empty {
		source, err := area.NullDevice(fmt.Sprintf("n%d", i))
		if err != nil {
			return err
		}
		j.addBind(path, source, false, "rw", "nosuid", "noexec")
	}
	return nil
}

// addBind adds a mount that the config does not have.
func (j *job) addBind(path, source string, isDir bool, options ...string) {
	j.doc.AddMount(specs.Mount{Destination: path, Type: "bind", Source: source, Options: append([]string{"bind"}, options...)})
	j.points = append(j.points, stage.MountPoint{Path: path, Dir: isDir, Source: source})
}
