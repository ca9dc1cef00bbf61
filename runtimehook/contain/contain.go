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

	"cloister/internal/api"
	"cloister/internal/sys"
	"cloister/runtimehook/engine"
	"cloister/runtimehook/hostpath"
	"cloister/runtimehook/policy"
	"cloister/runtimehook/spec"
	"cloister/runtimehook/stage"
)

// Call is an engine's wish to create a container.
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

	promise api.Promise
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
	if err := client.Promise(j.grant.Key, &j.promise); err != nil {
		return nil, err
	}
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

	capabilities map[string]bool // those of the host's root

	doc     *spec.Document
	engine  *engine.Engine
	mounts  *hostpath.Table
	request *policy.Request
	sharing sharing
	root    *stage.Root // nil if the engine has shifted its owners itself

	grant   *api.Grant
	promise api.Promise
}

// read opens everything that the config names on the host.
func read(client *api.Client, c Call, rules *api.Rules) (*job, error) {
	j := &job{Call: c, client: client, policy: &policy.Rules{Lists: rules.Policy}}
	var err error
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
	j.engine = engine.Recognise(engine.Call{ID: c.ID, Bundle: c.Bundle, Spec: j.doc.Spec, RunDir: client.RunDir()})
	j.request = &policy.Request{
		ID: c.ID, Config: j.doc, Engine: j.engine, Mounts: j.mounts,
		Sources: map[int]*hostpath.File{}, IDs: idCount(j.doc),
	}
	for i := range j.doc.Spec.Mounts {
		m := &j.doc.Spec.Mounts[i]
		if !spec.IsBind(m) {
			continue
		}
		f, err := j.mounts.Open(m.Source)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("%w: bind mount at %s: %w", spec.ErrSpec, m.Destination, err), j.close())
		}
		j.request.Sources[i] = f
	}
	if j.ownIDs() {
		if j.root, err = stage.OpenRoot(j.mounts, j.doc.Spec.Root.Path); err != nil {
			return nil, errors.Join(err, j.close())
		}
	}
	return j, nil
}

func (j *job) close() error {
	var errs []error
	for _, f := range j.request.Sources {
		errs = append(errs, f.Close())
	}
	if j.root != nil {
		errs = append(errs, j.root.Close())
	}
	return errors.Join(append(errs, j.sharing.close())...)
}

// review asks the policy, then looks at whose namespaces the container shares.
func (j *job) review() (err error) {
	if err := j.policy.Review(j.request); err != nil {
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
	if j.root != nil {
		r.UpperDir = j.root.UpperDir()
	}
	if j.sharing.owner != nil {
		id := j.sharing.owner.ID()
		r.UserNamespace = &id
	}
	r.EngineIDs = engineIDs(j.doc)
	j.grant, err = j.client.Register(r)
	return err
}
