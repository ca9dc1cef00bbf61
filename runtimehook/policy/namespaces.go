package policy

import (
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"cloister/internal/sys"
	"cloister/runtimehook/spec"
)

// nsFile maps the config's name of a namespace to that of its file in
// /proc/<pid>/ns.
var nsFile = map[specs.LinuxNamespaceType]string{
	specs.PIDNamespace: "pid", specs.IPCNamespace: "ipc", specs.UTSNamespace: "uts",
	specs.MountNamespace: "mnt", specs.NetworkNamespace: "net", specs.UserNamespace: "user",
}

const reason = "with the host (because they use the linux user-namespace for isolation)"

// namespaces refuses a config that would share a namespace with the host: one
// that it does not name, or that it names by a path which leads to the host's.
func (p *Rules) namespaces(r *Request) []error {
	var errs []error
	var shared []string
	for _, kind := range kinds {
		ns := r.Config.Namespace(kind)
		if ns == nil {
			shared = append(shared, string(kind))
			continue
		}
		host, err := isHost(ns)
		switch {
		case err != nil:
			errs = append(errs, invalid("namespace", "%s namespace: %v", kind, err))
		case host && kind == specs.NetworkNamespace:
			errs = append(errs, invalid("namespace", "cloister containers can't share a network namespace %s", reason))
		case host:
			shared = append(shared, string(kind))
		}
	}
	if user := r.Config.Namespace(specs.UserNamespace); user != nil {
		if host, err := isHost(user); err != nil || host {
			shared = append(shared, string(specs.UserNamespace))
		}
	}
	if len(shared) > 0 {
		errs = append(errs, invalid("namespace", "cloister containers can't share namespaces [%s] %s", strings.Join(shared, " "), reason))
	}
	return errs
}

// isHost reports whether a namespace is the one that this program runs in.
func isHost(ns *specs.LinuxNamespace) (bool, error) {
	if ns.Path == "" {
		return false, nil
	}
	own, err := sys.OpenThreadNamespace(nsFile[ns.Type])
	if err != nil {
		return false, err
	}
	defer own.Close()
	given, err := sys.OpenNamespace(ns.Path)
	if err != nil {
		return false, err
	}
	defer given.Close()
	return own.ID() == given.ID(), nil
}

// ids refuses ids that the container won't have, and mappings by an engine that
// don't isolate.
func (p *Rules) ids(r *Request) []error {
	var errs []error
	user := r.Config.Spec.Process.User
	for _, id := range append([]uint32{user.UID, user.GID}, user.AdditionalGids...) {
		if id >= r.IDs {
			errs = append(errs, invalid("user-id", "user or group id %d is outside the %d ids of a cloister container", id, r.IDs))
		}
	}
	return append(errs, mappings(r.Config.Spec.Linux)...)
}

// firstForeign is the first id of the host that an engine may give to containers.
// Those before are its users' and services' (useradd(8), UID_MAX).
const firstForeign = 65536

func mappings(linux *specs.Linux) []error {
	var errs []error
	for kind, maps := range map[string][]specs.LinuxIDMapping{"uid": linux.UIDMappings, "gid": linux.GIDMappings} {
		for _, m := range maps {
			switch {
			case m.Size == 0:
			case m.HostID == 0:
				errs = append(errs, refuse("id-mapping",
					"%v: invalid user/group ID config: detected user-ns %s mapping to host ID 0 ({%d %d %d}); this breaks container isolation",
					spec.ErrSpec, kind, m.ContainerID, m.HostID, m.Size))
			case m.HostID < firstForeign:
				errs = append(errs, refuse("id-mapping",
					"%v: invalid user/group ID config: the user-ns %s mapping {%d %d %d} begins among the ids of the host's users and services, which end at %d",
					spec.ErrSpec, kind, m.ContainerID, m.HostID, m.Size, firstForeign-1))
			}
		}
	}
	if !slices.Equal(linux.UIDMappings, linux.GIDMappings) || len(linux.UIDMappings) > 1 {
		errs = append(errs, refuse("id-mapping", "%v: invalid user/group ID config: a cloister container has one range of the host's ids, the same for users and groups; map it in one line", spec.ErrSpec))
	}
	return errs
}
