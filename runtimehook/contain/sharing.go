package contain

import (
	"errors"
	"fmt"

	"github.com/opencontainers/runtime-spec/specs-go"

	"cloister/internal/sys"
	"cloister/runtimehook/idrange"
	"cloister/runtimehook/spec"
)

// sharing says whose namespaces a container joins.
type sharing struct {
	// owner is the user namespace that owns them, nil if the container gets one
	// of its own. It must be joined: without it the container has no rights in
	// the others.
	owner *sys.Namespace
	// network is a network namespace that the engine made beforehand and that
	// belongs to the host's user namespace, nil if there is none.
	network *sys.Namespace
}

func (s *sharing) close() error {
	var errs []error
	for _, ns := range []*sys.Namespace{s.owner, s.network} {
		if ns != nil {
			errs = append(errs, ns.Close())
		}
	}
	return errors.Join(errs...)
}

// findSharing opens the namespaces that the config names by path. None of them is
// the host's own; the policy has seen to that.
func findSharing(doc *spec.Document) (s sharing, err error) {
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	host, err := sys.OpenThreadNamespace("user")
	if err != nil {
		return s, err
	}
	defer host.Close()
	for i := range doc.Spec.Linux.Namespaces {
		ns := &doc.Spec.Linux.Namespaces[i]
		switch ns.Type {
		case specs.PIDNamespace, specs.NetworkNamespace, specs.IPCNamespace, specs.UTSNamespace, specs.UserNamespace:
		default:
			continue
		}
		if ns.Path == "" {
			continue
		}
		if err := s.add(ns, host); err != nil {
			return s, fmt.Errorf("%w: %s namespace %s: %w", spec.ErrSpec, ns.Type, ns.Path, err)
		}
	}
	return s, nil
}

func (s *sharing) add(ns *specs.LinuxNamespace, host *sys.Namespace) error {
	opened, err := sys.OpenNamespace(ns.Path)
	if err != nil {
		return err
	}
	if ns.Type == specs.UserNamespace {
		return s.setOwner(opened)
	}
	owner, err := opened.Owner()
	if err != nil {
		return errors.Join(err, opened.Close())
	}
	if owner.ID() != host.ID() {
		return errors.Join(s.setOwner(owner), opened.Close())
	}
	if ns.Type == specs.NetworkNamespace {
		s.network = opened
		return owner.Close()
	}
	return errors.Join(
		errors.New("it belongs to the host's user namespace, so a container in a user namespace of its own can't use it; start the container that it is shared with by cloister too"),
		owner.Close(), opened.Close())
}

// setOwner notes the user namespace to join, which s owns from now on.
func (s *sharing) setOwner(owner *sys.Namespace) error {
	if s.owner == nil {
		s.owner = owner
		return nil
	}
	var err error
	if s.owner.ID() != owner.ID() {
		err = errors.New("it belongs to a different user namespace from the other shared namespaces; a container can only be in one")
	}
	return errors.Join(err, owner.Close())
}

// engineIDs returns the host's range of the ids that an engine has mapped itself,
// nil if it has made no user namespace.
func engineIDs(doc *spec.Document) *idrange.Range {
	if doc.Namespace(specs.UserNamespace) == nil {
		return nil
	}
	for _, m := range doc.Spec.Linux.UIDMappings {
		if m.ContainerID == 0 {
			return &idrange.Range{Start: m.HostID, Size: m.Size}
		}
	}
	return &idrange.Range{}
}

// idCount returns how many ids the container will have.
func idCount(doc *spec.Document) uint32 {
	if doc.Namespace(specs.UserNamespace) == nil {
		return idrange.Size
	}
	n := uint32(0)
	for _, m := range doc.Spec.Linux.UIDMappings {
		n = max(n, m.ContainerID+m.Size)
	}
	if n == 0 {
		return idrange.Size // a namespace to join; the kernel knows its ids
	}
	return n
}
