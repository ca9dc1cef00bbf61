package policy

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

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
	"bpf", "efivarfs", "pstore", "binfmt_misc", "fusectl", "rpc_pipefs", "nsfs", "mqueue",
}

// mounts refuses what the config mounts and must not see.
func (p *Rules) mounts(r *Request) []error {
	at := p.resolve(r)
	errs := []error{p.root(r, at)}
	for i := range r.Config.Spec.Mounts {
		m := &r.Config.Spec.Mounts[i]
		if source, ok := r.Sources[i]; ok {
			errs = append(errs, p.bind(r, at, m, source))
		} else if !spec.IsBind(m) && !slices.Contains(ownTypes, m.Type) {
			errs = append(errs, invalid("mount-type", "mount of type %q at %s: a cloister container gets %v and bind mounts from its config", m.Type, m.Destination, ownTypes))
		}
	}
	return errs
}

// root judges the root file system: an engine makes one for each container, but
// some let a user choose a directory of the host instead.
func (p *Rules) root(r *Request, at *places) error {
	path := r.Config.Spec.Root.Path
	return p.source(r, at, path, r.Root, r.Engine.OwnsRoot(r.Root.Path))
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

// bind judges one bind mount.
func (p *Rules) bind(r *Request, at *places, m *specs.Mount, source *hostpath.File) error {
	if isDev(r.Root, m.Destination) {
		// The runtime takes /dev/null from there to hide files of /proc.
		return refuse("host-path", "can't mount %s at /dev: the container could choose what hides the host's files in /proc", m.Source)
	}
	if source.Stat.IsDevice() {
		d := deviceOf(source.Stat)
		if slices.Contains(p.allowed(), d) {
			return nil
		}
		return p.deniedDevice(m.Source, d)
	}
	owned := r.Engine.Owns(source.Path, m)
	if owned && source.MountPoint && !shared(r.Mounts, source) {
		return p.restricted(m.Source, fmt.Sprintf(" (the engine has mounted a file system of the host's there, of type %s)", source.FSType))
	}
	return p.source(r, at, m.Source, source, owned)
}

// isDev reports whether a mount at destination would cover the container's /dev,
// directly or through links in its root file system.
func isDev(root *hostpath.File, destination string) bool {
	if filepath.Clean("/"+destination) == "/dev" {
		return true
	}
	at, err := sys.OpenInRoot(root.FD, destination)
	if err != nil {
		return false // not there yet, and so not /dev
	}
	defer at.Close()
	dev, err := sys.OpenInRoot(root.FD, "/dev")
	if err != nil {
		return false
	}
	defer dev.Close()
	a, errA := at.Stat()
	b, errB := dev.Stat()
	return errA != nil || errB != nil || a.ID() == b.ID()
}

// sharedTypes are file systems of which a volume of an engine may have one of its
// own: they hold nothing of this host.
var sharedTypes = []string{"tmpfs", "nfs", "nfs4", "cifs", "smb3", "ceph", "9p"}

// shared reports whether a file system that an engine has mounted as a volume is
// something else than a disk of the host or an overlay of its directories, which a
// user can have an engine mount. A directory of a file system that the host itself
// has mounted is judged by what it is.
func shared(mounts *hostpath.Table, f *hostpath.File) bool {
	return slices.Contains(sharedTypes, f.FSType) || strings.HasPrefix(f.FSType, "fuse") ||
		f.FSType != "overlay" && mounts.MountedElsewhere(f)
}

// source judges a host file that a container would get, named by its user or, if
// owned, by the engine. The checks are ordered so that the most specific reason is
// reported.
func (p *Rules) source(r *Request, at *places, name string, f *hostpath.File, owned bool) error {
	if socket, ok := at.sockets[f.Stat.ID()]; ok || isEngineSocket(f) {
		return p.deniedSocket(r, name, socket)
	}
	own := error(nil)
	if !owned {
		own = ownPath(at, name, f)
	}
	if anyContains(at.private, &f.Place) || anyContains(at.allowed, &f.Place) {
		return own
	}
	if socket, ok := at.holders[f.Stat.ID()]; ok {
		return p.deniedSocket(r, name, socket)
	}
	if slices.Contains(kernelTypes, f.FSType) {
		return p.restricted(name, fmt.Sprintf(" (it is on a %s)", f.FSType))
	}
	if err := p.place(r, at, name, f, owned); err != nil {
		return err
	}
	return own
}

// ownPath refuses what is or holds one of cloister's own directories, which no
// setting allows.
func ownPath(at *places, name string, f *hostpath.File) error {
	for i := range at.private {
		if byName, byIdentity := conflict(&at.private[i], &f.Place); byName || byIdentity {
			return refuse("host-path", "%v: can't mount %s because it's cloister's own%s", spec.ErrSpec, name, because(&at.private[i], &f.Place))
		}
	}
	return nil
}

// place judges where a file is. What an engine owns may be in a restricted
// directory; but where something else is mounted over it (a volume made from a
// directory of the host), it is judged by what that is.
func (p *Rules) place(r *Request, at *places, name string, f *hostpath.File, owned bool) error {
	for i := range at.restricted {
		bad := &at.restricted[i]
		byName, byIdentity := conflict(bad, &f.Place)
		asNamed := bad.LeadsTo(&f.Place) || f.LeadsTo(bad)
		if !owned && (byName || byIdentity) || byIdentity && !asNamed {
			return p.restricted(name, because(bad, &f.Place))
		}
	}
	for _, below := range r.Mounts.Below(f) {
		for i := range at.restricted {
			if _, identity := conflict(&at.restricted[i], &below); identity {
				return p.restricted(name, fmt.Sprintf(" (%s is mounted below it at %s)", at.restricted[i].Path, below.Path))
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

func (p *Rules) restricted(name, detail string) error {
	return refuse("host-path", "%v: can't mount %s because it's configured as a restricted host mount%s; to allow it, add it to cloister.allowedHostPaths in %s",
		spec.ErrSpec, name, detail, p.SettingsPath)
}

// deniedSocket uses the words of Docker's own refusal, which scripts know.
func (p *Rules) deniedSocket(r *Request, name, socket string) error {
	detail := ""
	if socket != "" && socket != name {
		detail = fmt.Sprintf(" (%s is or holds %s)", name, socket)
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
