package policy

import (
	"fmt"
	"path/filepath"
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"

	"cloister/internal/sys"
	"cloister/runtimehook/hostpath"
	"cloister/runtimehook/spec"
)

// ownTypes are the file systems that a container may mount from its config
// besides binds: each shows what belongs to the container's namespaces, or
// nothing of the host.
var ownTypes = []string{"proc", "sysfs", "tmpfs", "devpts", "mqueue", "cgroup", "cgroup2"}

// kernelTypes are file systems whose files are the kernel's switches and tables,
// wherever they are mounted.
var kernelTypes = []string{
	"proc", "sysfs", "devtmpfs", "cgroup", "cgroup2", "debugfs", "tracefs", "securityfs", "configfs",
	"bpf", "efivarfs", "pstore", "binfmt_misc", "fusectl", "rpc_pipefs", "nsfs",
}

// mounts refuses what the config mounts and must not see.
func (p *Rules) mounts(r *Request) []error {
	var errs []error
	places := p.resolve(r)
	for i := range r.Config.Spec.Mounts {
		m := &r.Config.Spec.Mounts[i]
		if source, ok := r.Sources[i]; ok {
			if err := p.bind(r, places, m, source); err != nil {
				errs = append(errs, err)
			}
		} else if !spec.IsBind(m) && !slices.Contains(ownTypes, m.Type) {
			errs = append(errs, invalid("mount-type", "mount of type %q at %s: a cloister container gets %v and bind mounts from its config", m.Type, m.Destination, ownTypes))
		}
	}
	return errs
}

// places are the administrator's lists, found on the host.
type places struct {
	restricted []hostpath.Place
	private    []hostpath.Place
	allowed    []hostpath.Place
	sockets    map[sys.FileID]string // engine sockets
	holders    map[sys.FileID]string // directories that hold one, at any depth
}

// resolve finds the listed paths on the host.
func (p *Rules) resolve(r *Request) *places {
	out := &places{
		restricted: find(r.Mounts, p.RestrictedHostPaths),
		private:    find(r.Mounts, p.Private),
		allowed:    find(r.Mounts, p.AllowedHostPaths),
		sockets:    map[sys.FileID]string{},
		holders:    map[sys.FileID]string{},
	}
	if r.Engine.DataRoot != "" {
		out.restricted = append(out.restricted, r.Mounts.Place(r.Engine.DataRoot))
	}
	for _, path := range p.EngineSockets {
		out.addSocket(path)
	}
	return out
}

// find returns the places of every path that one of the patterns matches.
func find(mounts *hostpath.Table, patterns []string) []hostpath.Place {
	var out []hostpath.Place
	for _, pattern := range patterns {
		paths, err := filepath.Glob(pattern)
		if err != nil || len(paths) == 0 {
			paths = []string{pattern} // it may come to be, below what a container mounts
		}
		for _, path := range paths {
			out = append(out, mounts.Place(path))
		}
	}
	return out
}

// addSocket notes a socket, if it exists, and the directories above it.
func (p *places) addSocket(path string) {
	st, err := sys.StatPath(path)
	if err != nil {
		return
	}
	p.sockets[st.ID()] = path
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return
	}
	for dir := filepath.Dir(real); ; dir = filepath.Dir(dir) {
		if st, err := sys.StatPath(dir); err == nil {
			p.holders[st.ID()] = path
		}
		if dir == "/" {
			return
		}
	}
}

// bind judges one bind mount. The order tells the person the most telling reason.
func (p *Rules) bind(r *Request, at *places, m *specs.Mount, source *hostpath.File) error {
	if filepath.Clean(m.Destination) == "/dev" {
		// The runtime takes /dev/null from there to hide files of /proc.
		return refuse("host-path", "can't mount %s at /dev: the container could choose what hides the host's files in /proc", m.Source)
	}
	if source.Stat.IsDevice() && slices.Contains(p.allowed(), deviceOf(source.Stat)) {
		return nil
	}
	if socket, ok := at.sockets[source.Stat.ID()]; ok || isEngineSocket(source) {
		return p.deniedSocket(r, m, socket)
	}
	own := ownPath(at, m, source)
	if anyContains(at.private, &source.Place) || anyContains(at.allowed, &source.Place) {
		return own
	}
	if socket, ok := at.holders[source.Stat.ID()]; ok {
		return p.deniedSocket(r, m, socket)
	}
	if slices.Contains(kernelTypes, source.FSType) {
		return p.restricted(m, fmt.Sprintf(" (it is on a %s)", source.FSType))
	}
	if err := p.bindPath(r, at, m, source); err != nil {
		return err
	}
	return own
}

// ownPath refuses what is or holds one of cloister's own directories, which no
// setting allows.
func ownPath(at *places, m *specs.Mount, source *hostpath.File) error {
	for i := range at.private {
		if name, identity := conflict(&at.private[i], &source.Place); name || identity {
			return refuse("host-path", "%v: can't mount %s because it's cloister's own%s", spec.ErrSpec, m.Source, because(&at.private[i], &source.Place))
		}
	}
	return nil
}

// bindPath judges where the source is.
func (p *Rules) bindPath(r *Request, at *places, m *specs.Mount, source *hostpath.File) error {
	owned := r.Engine.Owns(source.Path, m)
	for i := range at.restricted {
		bad := &at.restricted[i]
		// The engine's own file in a restricted directory is allowed by its name.
		// Where something else is mounted over it (a volume made from a
		// directory of the host), it is judged by what that is.
		name, identity := conflict(bad, &source.Place)
		if !owned && (name || identity) || identity && source.MountPoint {
			return p.restricted(m, because(bad, &source.Place))
		}
	}
	for _, below := range r.Mounts.Below(source) {
		for i := range at.restricted {
			if _, identity := conflict(&at.restricted[i], &below); identity {
				return p.restricted(m, fmt.Sprintf(" (%s is mounted below it at %s)", at.restricted[i].Path, below.Path))
			}
		}
	}
	return nil
}

// conflict reports whether a place is the restricted one, below it or above it:
// by its name, and by what it is. Of the root directory only itself is restricted;
// what is in it has entries of its own.
func conflict(bad, p *hostpath.Place) (name, identity bool) {
	if bad.Path == "/" {
		return p.Path == "/", p.Device == bad.Device && p.Inside == bad.Inside
	}
	return bad.Overlaps(p)
}

// because says which restricted path stands behind a source with another name.
func because(bad, source *hostpath.Place) string {
	if bad.Contains(source) {
		return ""
	}
	return fmt.Sprintf(" (it holds %s)", bad.Path)
}

func (p *Rules) restricted(m *specs.Mount, detail string) error {
	return refuse("host-path", "%v: can't mount %s because it's configured as a restricted host mount%s; to allow it, add it to cloister.allowedHostPaths in %s",
		spec.ErrSpec, m.Source, detail, p.SettingsPath)
}

// deniedSocket uses the words of Docker's own refusal, which scripts know.
func (p *Rules) deniedSocket(r *Request, m *specs.Mount, socket string) error {
	detail := ""
	if socket != "" && socket != m.Source {
		detail = fmt.Sprintf(" (%s is or holds %s)", m.Source, socket)
	}
	return refuse("engine-socket", "enhanced container isolation: docker socket mount denied for container with image %q%s; image is not in the allowed list, because no image is: the socket gives control over the engine, and so over the host",
		r.Engine.Image(), detail)
}

// isEngineSocket knows an engine's socket by its name, for engines that listen
// where the settings don't say.
func isEngineSocket(f *hostpath.File) bool {
	if !f.Stat.IsSocket() {
		return false
	}
	switch filepath.Base(f.Path) {
	case "docker.sock", "containerd.sock", "containerd-debug.sock", "podman.sock", "crio.sock", "buildkitd.sock":
		return true
	}
	return false
}

func anyContains(places []hostpath.Place, p *hostpath.Place) bool {
	return slices.ContainsFunc(places, func(a hostpath.Place) bool { return a.Contains(p) })
}
