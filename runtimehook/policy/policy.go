// Package policy decides what a container's config may ask of the host.
//
// Policy is the interface; Rules is the administrator's lists behind it.
// A policy only reads: it is given the config and the host's files that the
// config wants to mount, opened, and judges those descriptors, not names that may
// mean something else later.
package policy

import (
	"errors"
	"fmt"

	"github.com/opencontainers/runtime-spec/specs-go"

	"cloister/runtimehook/engine"
	"cloister/runtimehook/hostpath"
	"cloister/runtimehook/spec"
)

// Policy reviews configs.
type Policy interface {
	// Review returns nil if the container may be created, else an error that
	// wraps ErrRefused and holds every Refusal.
	Review(r *Request) error
	// Devices returns which device nodes the container keeps and what its device
	// cgroup allows.
	Devices(r *Request) Devices
}

// Request is a container that an engine wants to create.
type Request struct {
	Config *spec.Document
	Engine *engine.Engine
	Mounts *hostpath.Table
	// Root is the container's root file system on the host.
	Root *hostpath.File
	// Sources are the host's files that the config mounts, by the number of the
	// mount.
	Sources map[int]*hostpath.File
	// IDs is the number of user and group ids that the container will have.
	IDs uint32
}

// ErrRefused is wrapped by the error for a config that must not run.
var ErrRefused = errors.New("refused")

// Refusal is one thing that a config asks for and does not get.
type Refusal struct {
	Rule string // the rule's name: "namespace", "host-path", …
	Text string // one sentence for the person who asked
}

// Error returns the sentence.
func (r *Refusal) Error() string { return r.Text }

// Is makes every refusal an ErrRefused.
func (r *Refusal) Is(target error) bool { return target == ErrRefused }

func refuse(rule, format string, args ...any) *Refusal {
	return &Refusal{Rule: rule, Text: fmt.Sprintf(format, args...)}
}

// Lists are the administrator's choices, as the daemon hands them out.
type Lists struct {
	SettingsPath        string   `json:"settingsPath"`
	RestrictedHostPaths []string `json:"restrictedHostPaths"`
	AllowedHostPaths    []string `json:"allowedHostPaths"`
	EngineSockets       []string `json:"engineSockets"`
	Devices             []string `json:"devices"`
	// Private are cloister's own directories, which no setting can allow.
	Private []string `json:"private"`
}

// Rules is the Policy of a set of lists.
type Rules struct{ Lists }

var _ Policy = (*Rules)(nil)

// Review implements Policy.
func (p *Rules) Review(r *Request) error {
	var all []error
	for _, check := range []func(*Request) []error{p.namespaces, p.ids, p.orders, p.mounts, p.devices} {
		all = append(all, check(r)...)
	}
	return errors.Join(all...)
}

// invalid gives a refusal the prefixes that engines and scripts know.
func invalid(rule, format string, args ...any) *Refusal {
	return refuse(rule, "%v: invalid or unsupported container spec: %s", spec.ErrSpec, fmt.Sprintf(format, args...))
}

// kinds are the namespaces that a container never shares with the host. (A cgroup
// namespace is always added.)
var kinds = []specs.LinuxNamespaceType{
	specs.PIDNamespace, specs.IPCNamespace, specs.UTSNamespace, specs.MountNamespace, specs.NetworkNamespace,
}
