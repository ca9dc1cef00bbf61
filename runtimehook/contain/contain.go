// Package contain turns a container that an engine wants to create into one that
// is isolated: the whole way from the engine's config.json to the one that the
// low-level runtime gets.
//
// The wrapper and the precreate hook both call Prepare; they differ only in where
// the mounts are staged and in what becomes of the new config.
package contain

import (
	"errors"
	"fmt"
	"path/filepath"

	"cloister/internal/api"
	"cloister/internal/sys"
	"cloister/runtimehook/attach"
	"cloister/runtimehook/engine"
	"cloister/runtimehook/hostpath"
	"cloister/runtimehook/policy"
	"cloister/runtimehook/spec"
	"cloister/runtimehook/stage"
)

// ErrNoCgroup is returned for a container that is to stay in the cgroup of whoever
// starts it.
var ErrNoCgroup = errors.New("a cloister container needs a cgroup of its own, which limits the devices that it can open; do without --cgroups=disabled (crun: --cgroup-manager=disabled)")

// Call is an engine's request to create a container.
type Call struct {
	ID          string
	Bundle      string // absolute
	Config      []byte // config.json
	Runtime     string // path of the low-level runtime, "" if the caller will not start it
	RuntimeRoot string
	PID         int    // the process that becomes the runtime, or the engine's
	Hook        string // path of the program that serves the hooks
	// PrivateMounts tells that the calling thread is in a mount namespace of its
	// own, which the runtime inherits.
	PrivateMounts bool
}

// Prepared is a container that is ready to be created.
type Prepared struct {
	Config []byte // the new config.json
	Grant  *api.Grant

	promise attach.Promise
}

// Abandon undoes Prepare.
func (p *Prepared) Abandon(client *api.Client) error {
	var errs []error
	if p.promise.SharedMounts {
		errs = append(errs, stage.Clear(p.Grant.Dir))
	}
	return errors.Join(append(errs, client.Release(p.Grant.Key))...)
}

// Prepare reviews a config, registers the container with the daemon, stages its
// mounts and rewrites the config. The calling thread must be locked. When Prepare
// fails nothing of the container is left.
func Prepare(client *api.Client, c Call) (_ *Prepared, err error) {
	rules, err := client.Rules()
	if err != nil {
		return nil, err
	}
	j, err := read(client, c, rules)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, j.close()) }()
	if err := j.review(); err != nil {
		return nil, err
	}
	if err := j.register(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			p := &Prepared{Grant: j.grant, promise: j.promise}
			err = errors.Join(err, p.Abandon(client))
		}
	}()
	if err := j.stage(); err != nil {
		return nil, err
	}
	j.rewrite()
	config, err := j.doc.Bytes()
	if err != nil {
		return nil, err
	}
	return &Prepared{Config: config, Grant: j.grant, promise: j.promise}, nil
}

// job is one call on its way.
type job struct {
	Call
	client *api.Client
	policy policy.Policy
	views  []string // the files that containers get in place of the host's, as sealed.View has their paths
	// affinity tells that sched_getaffinity is trapped.
	affinity bool

	capabilities map[string]bool // those of the host's root

	doc     *spec.Document
	engine  *engine.Engine
	mounts  *hostpath.Table
	request policy.Request
	sharing sharing
	root    *stage.Root // nil if the engine has shifted its owners itself
	points  []stage.MountPoint

	grant   *api.Grant
	promise attach.Promise
}

// read opens everything that the config names on the host.
func read(client *api.Client, c Call, rules *api.Rules) (_ *job, err error) {
	j := &job{Call: c, client: client, policy: &policy.Rules{Lists: rules.Policy}, views: rules.Views, affinity: rules.CPUAffinity}
	defer func() {
		if err != nil {
			err = errors.Join(err, j.close())
		}
	}()
	if j.capabilities, err = sys.Capabilities(); err != nil {
		return nil, err
	}
	if j.doc, err = spec.Parse(c.Config); err != nil {
		return nil, err
	}
	j.doc.MakeAbsolute(c.Bundle)
	if j.mounts, err = hostpath.ReadTable(); err != nil {
		return nil, err
	}
	j.request.Config, j.request.Mounts, j.request.IDs = j.doc, j.mounts, idCount(j.doc)
	if err := j.openSources(); err != nil {
		return nil, fmt.Errorf("%w: %w", spec.ErrSpec, err)
	}
	bundle, err := filepath.EvalSymlinks(c.Bundle)
	if err != nil {
		return nil, err
	}
	j.engine = engine.Recognise(engine.Call{
		ID: c.ID, Bundle: bundle, Root: j.request.Root.Path, Spec: j.doc.Spec, Bundles: rules.Bundles,
	})
	j.request.Engine = j.engine
	if j.ownIDs() {
		j.root, err = stage.NewRoot(j.mounts, j.request.Root)
	}
	return j, err
}

// openSources opens the root file system and the sources of bind mounts.
func (j *job) openSources() (err error) {
	if j.request.Root, err = j.mounts.Open(j.doc.Spec.Root.Path); err != nil {
		return fmt.Errorf("root file system: %w", err)
	}
	j.request.Sources = map[int]*hostpath.File{}
	for i := range j.doc.Spec.Mounts {
		m := &j.doc.Spec.Mounts[i]
		if !spec.IsBind(m) {
			continue
		}
		if j.request.Sources[i], err = j.mounts.Open(m.Source); err != nil {
			return fmt.Errorf("bind mount at %s: %w", m.Destination, err)
		}
	}
	return nil
}

func (j *job) close() error {
	errs := []error{j.request.Root.Close(), j.sharing.close()}
	for _, f := range j.request.Sources {
		errs = append(errs, f.Close())
	}
	return errors.Join(errs...)
}

// review asks the policy, then looks at whose namespaces the container shares.
func (j *job) review() (err error) {
	if err := j.policy.Review(&j.request); err != nil {
		return err
	}
	j.sharing, err = findSharing(j.doc)
	return err
}

func (j *job) register() (err error) {
	r := &api.Registration{
		ID: j.ID, Name: j.engine.ContainerName(), Engine: j.engine.Name, Bundle: j.Bundle,
		Runtime: j.Runtime, RuntimeRoot: j.RuntimeRoot, PID: j.PID,
	}
	if path := j.doc.Spec.Linux.CgroupsPath; filepath.IsAbs(path) {
		r.CgroupsPath = filepath.Clean(path)
	}
	if j.root != nil {
		r.UpperDir = j.root.UpperDir()
	}
	if j.sharing.owner != nil {
		id := j.sharing.owner.ID()
		r.UserNamespace = &id
	}
	r.EngineIDs = engineIDs(j.doc)
	r.Nesting = j.doc.CanMount()
	j.grant, err = j.client.Register(r)
	return err
}
