// Package feature finds out what the running kernel can do for cloister, by doing
// it. Versions are not compared: distributions carry features back and switch
// others off.
package feature

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"cloister/internal/sys"
	"cloister/runtimehook/hostpath"
	"cloister/runtimehook/idrange"
	"cloister/runtimehook/stage"
)

// Feature is something that the kernel can do or not.
type Feature struct {
	Name     string
	Needed   bool   // no container can be started without
	Purpose  string // what cloister does with it
	Kernel   string // the first release that has it
	Err      error  // why not; nil if it works
	probe    func(dir string) error
	mustLock bool // the probe leaves its thread changed
}

// probeIDs are the ids that probes map. They are never used for a process.
var probeIDs = idrange.Range{Start: 1 << 31, Size: idrange.Size}

func features() []Feature {
	return []Feature{
		{
			Name: "userNamespaces", Needed: true, Kernel: "3.8", Purpose: "every container has ids of its own",
			probe: func(string) error {
				ns, err := userNamespace()
				if err != nil {
					return err
				}
				return ns.Close()
			},
		},
		{Name: "mountAPI", Needed: true, Kernel: "5.2", Purpose: "views are attached to running containers", probe: cloneTree},
		{Name: "fuse", Needed: true, Kernel: "4.18", Purpose: "views are served", probe: openFuse},
		{Name: "pidfd", Needed: true, Kernel: "5.3", Purpose: "the end of containers is noticed", probe: openSelf},
		{Name: "idMappedMounts", Needed: true, Kernel: "5.12", Purpose: "files keep their owners on disk", probe: idMap},
		{
			Name: "idMappedOverlay", Needed: true, Kernel: "5.19", Purpose: "images of engines are used without changing owners",
			probe: idMapOverlay, mustLock: true,
		},
		{
			Name: "idMappedTmpfs", Kernel: "6.3", Purpose: "directories on tmpfs can be mounted into containers",
			probe: idMapTmpfs, mustLock: true,
		},
		{Name: "timeNamespaces", Kernel: "5.6", Purpose: "the clocks of a container begin with it", probe: hasTime},
	}
}

// Probe tries all features. dir is an existing directory of the daemon's on the
// host's disk.
func Probe(dir string) []Feature {
	all := features()
	for i := range all {
		f := &all[i]
		if !f.mustLock {
			f.Err = f.probe(dir)
			continue
		}
		done := make(chan error)
		go func() {
			runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
			done <- f.probe(dir)
		}()
		f.Err = <-done
	}
	return all
}

// Map returns which features work, by name.
func Map(all []Feature) map[string]bool {
	out := make(map[string]bool, len(all))
	for _, f := range all {
		out[f.Name] = f.Err == nil
	}
	return out
}

func userNamespace() (*sys.Namespace, error) {
	return sys.NewUserNamespace(probeIDs.Start, probeIDs.Size)
}

func cloneTree(dir string) error {
	tree, err := sys.ClonePath(dir, false)
	if err != nil {
		return err
	}
	return tree.Close()
}

func openFuse(string) error {
	f, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return f.Close()
}

func openSelf(string) error {
	fd, err := sys.OpenProcess(os.Getpid())
	if err != nil {
		return err
	}
	return fd.Close()
}

func hasTime(string) error {
	_, err := os.Stat("/proc/self/ns/time")
	return err
}

// idMap shifts the owners of a directory.
func idMap(dir string) error {
	ns, err := userNamespace()
	if err != nil {
		return err
	}
	defer ns.Close()
	tree, err := sys.ClonePath(dir, false)
	if err != nil {
		return err
	}
	return errors.Join(tree.IDMap(ns.FD, false), tree.Close())
}

// idMapTmpfs does the same for one on a tmpfs. It leaves the thread in a mount
// namespace of its own.
func idMapTmpfs(dir string) (err error) {
	return inScratch(dir, func(scratch string) error {
		if err := sys.MountTmpfs(scratch); err != nil {
			return err
		}
		return idMap(scratch)
	})
}

// idMapOverlay starts from what an engine makes, an overlay of directories on disk,
// and stages it as it is staged for a container.
func idMapOverlay(dir string) error {
	return inScratch(dir, func(scratch string) error {
		for _, name := range []string{"lower", "c/diff", "c/work", "c/merged", "area/" + stage.RootfsDir} {
			if err := os.MkdirAll(filepath.Join(scratch, name), 0o711); err != nil {
				return err
			}
		}
		merged := filepath.Join(scratch, "c/merged")
		options := fmt.Sprintf("lowerdir=%[1]s/lower,upperdir=%[1]s/c/diff,workdir=%[1]s/c/work", scratch)
		if err := sys.MountOverlay(merged, options); err != nil {
			return err
		}
		return stageAndWrite(filepath.Join(scratch, "area"), merged)
	})
}

// stageAndWrite stages a root file system and makes a file in it as the container
// would.
func stageAndWrite(areaDir, root string) (err error) {
	mounts, err := hostpath.ReadTable()
	if err != nil {
		return err
	}
	f, err := mounts.Open(root)
	if err != nil {
		return err
	}
	defer f.Close()
	r, err := stage.NewRoot(mounts, f)
	if err != nil {
		return err
	}
	area, err := stage.Open(areaDir, &probeIDs, mounts)
	if err != nil {
		return err
	}
	defer area.Close()
	path, err := area.Rootfs(r, probeIDs, "probe")
	if err != nil {
		return err
	}
	return sys.AsFSUser(probeIDs.Start, probeIDs.Start, func() error {
		return os.WriteFile(filepath.Join(path, "file"), nil, 0o600)
	})
}

// inScratch runs f with an empty directory on the disk of dir, in a mount namespace
// of its own, and removes the directory.
func inScratch(dir string, f func(scratch string) error) (err error) {
	scratch, err := os.MkdirTemp(dir, "probe-")
	if err != nil {
		return err
	}
	if err := os.Chmod(scratch, 0o711); err != nil {
		return err
	}
	host, err := sys.OpenThreadNamespace("mnt")
	if err != nil {
		return err
	}
	defer host.Close()
	defer func() { err = errors.Join(err, host.Enter(sys.NewNS), os.RemoveAll(scratch)) }()
	if err := stage.EnterPrivate(); err != nil {
		return err
	}
	return f(scratch)
}
