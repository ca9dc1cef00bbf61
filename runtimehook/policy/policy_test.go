package policy

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"cloister/runtimehook/engine"
	"cloister/runtimehook/hostpath"
	"cloister/runtimehook/idrange"
	"cloister/runtimehook/spec"
)

// host is a part of this machine's file system that the tests restrict.
type host struct {
	t     *testing.T
	dir   string
	rules *Rules
}

func newHost(t *testing.T) *host {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	h := &host{t: t, dir: dir}
	for _, d := range []string{"etc/ssh", "srv/data", "var/lib/engine", "run/engine", "own"} {
		h.mkdir(d)
	}
	h.rules = &Rules{Lists{
		SettingsPath:        "/etc/cloister/admin-settings.json",
		RestrictedHostPaths: []string{"/", h.path("etc"), h.path("var/lib/engine"), h.path("lib*"), h.path("run/later")},
		Private:             []string{h.path("own")},
	}}
	return h
}

func (h *host) path(rel string) string { return filepath.Join(h.dir, rel) }

func (h *host) mkdir(rel string) string {
	h.t.Helper()
	if err := os.MkdirAll(h.path(rel), 0o755); err != nil {
		h.t.Fatal(err)
	}
	return h.path(rel)
}

func (h *host) write(rel string) string {
	h.t.Helper()
	if err := os.WriteFile(h.path(rel), nil, 0o600); err != nil {
		h.t.Fatal(err)
	}
	return h.path(rel)
}

func (h *host) link(target, rel string) string {
	h.t.Helper()
	if err := os.Symlink(target, h.path(rel)); err != nil {
		h.t.Fatal(err)
	}
	return h.path(rel)
}

// listen makes a socket. Names of sockets are short, so it is made from inside the
// directory.
func (h *host) listen(rel string) string {
	h.t.Helper()
	h.t.Chdir(filepath.Dir(h.path(rel)))
	l, err := net.Listen("unix", filepath.Base(rel))
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { l.Close() })
	return h.path(rel)
}

// request returns an isolated container with mounts.
func (h *host) request(mounts ...specs.Mount) *Request {
	h.t.Helper()
	s := specs.Spec{
		Version: "1.0.2", Root: &specs.Root{Path: h.path("srv")}, Process: &specs.Process{Cwd: "/"}, Mounts: mounts,
		Linux: &specs.Linux{Namespaces: []specs.LinuxNamespace{{Type: "pid"}, {Type: "ipc"}, {Type: "uts"}, {Type: "mount"}, {Type: "network"}}},
	}
	return h.requestFor(s)
}

func (h *host) requestFor(s specs.Spec) *Request {
	h.t.Helper()
	data, err := json.Marshal(s)
	if err != nil {
		h.t.Fatal(err)
	}
	doc, err := spec.Parse(data)
	if err != nil {
		h.t.Fatal(err)
	}
	tab, err := hostpath.ReadTable()
	if err != nil {
		h.t.Fatal(err)
	}
	root, err := tab.Open(doc.Spec.Root.Path)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { root.Close() })
	r := &Request{
		Config: doc, Mounts: tab, IDs: idrange.Size, Root: root, Sources: map[int]*hostpath.File{},
		Engine: engine.Recognise(engine.Call{ID: "c", Bundle: h.path("bundle"), Root: root.Path, Spec: doc.Spec}),
	}
	for i := range doc.Spec.Mounts {
		if !spec.IsBind(&doc.Spec.Mounts[i]) {
			continue
		}
		f, err := tab.Open(doc.Spec.Mounts[i].Source)
		if err != nil {
			h.t.Fatal(err)
		}
		h.t.Cleanup(func() { f.Close() })
		r.Sources[i] = f
	}
	return r
}

func bind(source string) specs.Mount {
	return specs.Mount{Type: "bind", Source: source, Destination: "/mnt", Options: []string{"rbind"}}
}

// wantRefusal checks the error of a review; an empty text wants none.
func wantRefusal(t *testing.T, err error, text string) {
	t.Helper()
	switch {
	case text == "" && err != nil:
		t.Errorf("refused: %v", err)
	case text != "" && !errors.Is(err, ErrRefused):
		t.Errorf("got %v, want a refusal with %q", err, text)
	case text != "" && !strings.Contains(err.Error(), text):
		t.Errorf("refused with %q, want %q in it", err, text)
	}
}

func TestBindMounts(t *testing.T) {
	h := newHost(t)
	h.write("etc/passwd")
	tests := []struct{ name, source, want string }{
		{"a directory of the user's", h.path("srv/data"), ""},
		{"a restricted directory", h.path("etc"), fmt.Sprintf("can't mount %s because it's configured as a restricted host mount", h.path("etc"))},
		{"a file in it", h.path("etc/passwd"), "restricted host mount"},
		{"a directory in it", h.path("etc/ssh"), "restricted host mount"},
		{"a directory that holds it", h.path("var"), "it holds " + h.path("var/lib/engine")},
		{"through a symbolic link", h.link(h.path("etc"), "srv/innocent"), "restricted host mount"},
		{"by a pattern", h.mkdir("lib64"), "restricted host mount"},
		{"a directory in which a restricted one may appear", h.path("run"), "it holds " + h.path("run/later")},
		{"the root directory", "/", "restricted host mount"},
		{"cloister's own", h.path("own"), "it's cloister's own"},
		{"a file system of the kernel", "/proc/sys", "(it is on a proc)"},
		{"a harmless device", "/dev/null", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			wantRefusal(t, h.rules.Review(h.request(bind(tt.source))), tt.want)
		})
	}
}

func TestRootFileSystem(t *testing.T) {
	h := newHost(t)
	h.rules.RestrictedHostPaths = append(h.rules.RestrictedHostPaths, h.path("bundle"))
	tests := []struct{ name, root, want string }{
		{"in the bundle", h.mkdir("bundle/rootfs"), ""},
		{"a directory of the user's", h.path("srv/data"), ""},
		{"a restricted directory", h.path("etc"), "can't mount " + h.path("etc")},
		{"one that holds it", h.path("var"), "it holds"},
		{"the host's root", "/", "restricted host mount"},
		{"through a link in the bundle", h.link(h.path("etc"), "bundle/link"), "restricted host mount"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := h.request()
			s := *r.Config.Spec
			s.Root.Path = tt.root
			wantRefusal(t, h.rules.Review(h.requestFor(s)), tt.want)
		})
	}
}

func TestAllowedHostPaths(t *testing.T) {
	h := newHost(t)
	h.rules.AllowedHostPaths = []string{h.path("etc/ssh*"), h.path("own")}
	wantRefusal(t, h.rules.Review(h.request(bind(h.path("etc/ssh")))), "")
	wantRefusal(t, h.rules.Review(h.request(bind(h.path("etc")))), "restricted host mount")
	wantRefusal(t, h.rules.Review(h.request(bind(h.path("own")))), "it's cloister's own")
}

func TestEngineSockets(t *testing.T) {
	h := newHost(t)
	socket := h.listen("run/engine/api.sock")
	h.rules.EngineSockets = []string{socket, h.path("run/none.sock")}
	hard := h.path("srv/data/hard.sock")
	if err := os.Link(socket, hard); err != nil {
		t.Fatal(err)
	}
	const denied = "docker socket mount denied"
	tests := []struct{ name, source, want string }{
		{"itself", socket, denied},
		{"through a symbolic link", h.link(socket, "srv/data/s"), denied},
		{"hard-linked", hard, denied},
		{"the directory that holds it", h.path("run/engine"), denied},
		{"a socket that nobody listed but has an engine's name", h.listen("srv/data/docker.sock"), denied},
		{"another socket", h.listen("srv/data/mysql.sock"), ""},
		{"a directory without one", h.mkdir("srv/empty"), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			wantRefusal(t, h.rules.Review(h.request(bind(tt.source))), tt.want)
		})
	}
}

func TestMountTypesAndDestinations(t *testing.T) {
	h := newHost(t)
	tests := []struct {
		name  string
		mount specs.Mount
		want  string
	}{
		{"tmpfs", specs.Mount{Type: "tmpfs", Destination: "/t"}, ""},
		{"a disk", specs.Mount{Type: "ext4", Source: "/dev/sda1", Destination: "/t"}, `mount of type "ext4" at /t`},
		{"an overlay", specs.Mount{Type: "overlay", Destination: "/t", Options: []string{"lowerdir=/etc"}}, `mount of type "overlay"`},
		{"over /dev", specs.Mount{Type: "bind", Source: h.path("srv/data"), Destination: "/dev/"}, "what hides the host's files"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { wantRefusal(t, h.rules.Review(h.request(tt.mount)), tt.want) })
	}
}

func TestNamespaces(t *testing.T) {
	h := newHost(t)
	own := func(kinds ...specs.LinuxNamespaceType) (all []specs.LinuxNamespace) {
		for _, k := range kinds {
			all = append(all, specs.LinuxNamespace{Type: k})
		}
		return all
	}
	all := own("pid", "ipc", "uts", "mount", "network")
	tests := []struct {
		name       string
		namespaces []specs.LinuxNamespace
		want       string
	}{
		{"all its own", all, ""},
		{
			"host pid", own("ipc", "uts", "mount", "network"),
			"error in the container spec: invalid or unsupported container spec: cloister containers can't share namespaces [pid] with the host (because they use the linux user-namespace for isolation)",
		},
		{"none", nil, "can't share namespaces [pid ipc uts mount network] with the host"},
		{"host network by its path", append(own("pid", "ipc", "uts", "mount"), specs.LinuxNamespace{Type: "network", Path: "/proc/self/ns/net"}), "can't share a network namespace with the host"},
		{"host ipc by its path", append(own("pid", "uts", "mount", "network"), specs.LinuxNamespace{Type: "ipc", Path: "/proc/thread-self/ns/ipc"}), "can't share namespaces [ipc]"},
		{"host user namespace by its path", append(all, specs.LinuxNamespace{Type: "user", Path: "/proc/self/ns/user"}), "can't share namespaces [user]"},
		{"a path that is no namespace", append(own("pid", "ipc", "uts", "mount"), specs.LinuxNamespace{Type: "network", Path: "/etc/hostname"}), "not a namespace"},
		{"a path that leads nowhere", append(own("pid", "ipc", "uts", "mount"), specs.LinuxNamespace{Type: "network", Path: "/nonexistent"}), "no such file"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := h.requestFor(specs.Spec{
				Version: "1.0.2", Root: &specs.Root{Path: h.path("srv")}, Process: &specs.Process{Cwd: "/"},
				Linux: &specs.Linux{Namespaces: tt.namespaces},
			})
			wantRefusal(t, h.rules.Review(r), tt.want)
		})
	}
}

func TestIDs(t *testing.T) {
	h := newHost(t)
	r := h.request()
	r.Config.Spec.Process.User = specs.User{UID: 65535, GID: 70000, AdditionalGids: []uint32{1, 80000}}
	err := h.rules.Review(r)
	wantRefusal(t, err, "id 70000 is outside the 65536 ids")
	wantRefusal(t, err, "id 80000 is outside")
	if strings.Contains(err.Error(), "id 65535 ") {
		t.Errorf("refused an id that the container has: %v", err)
	}
}

func TestMappings(t *testing.T) {
	tests := []struct {
		name       string
		uids, gids []specs.LinuxIDMapping
		want       string
	}{
		{"one line", []specs.LinuxIDMapping{{HostID: 300000, Size: 65536}}, []specs.LinuxIDMapping{{HostID: 300000, Size: 65536}}, ""},
		{"the host's root", []specs.LinuxIDMapping{{Size: 65536}}, nil, "detected user-ns uid mapping to host ID 0 ({0 0 65536}); this breaks container isolation"},
		{"a user of the host", nil, []specs.LinuxIDMapping{{HostID: 300000, Size: 10}, {ContainerID: 10, HostID: 1000, Size: 1}}, "the user-ns gid mapping {10 1000 1} begins among the ids of the host's users"},
		{"different ids of groups", []specs.LinuxIDMapping{{HostID: 300000, Size: 65536}}, []specs.LinuxIDMapping{{HostID: 400000, Size: 65536}}, "one range of the host's ids"},
		{"two ranges", []specs.LinuxIDMapping{{HostID: 300000, Size: 1}, {ContainerID: 1, HostID: 400000, Size: 9}}, []specs.LinuxIDMapping{{HostID: 300000, Size: 1}, {ContainerID: 1, HostID: 400000, Size: 9}}, "map it in one line"},
	}
	h := newHost(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := h.request()
			r.Config.Spec.Linux.UIDMappings, r.Config.Spec.Linux.GIDMappings = tt.uids, tt.gids
			wantRefusal(t, h.rules.Review(r), tt.want)
		})
	}
}

func TestNothingIsMountedOverDev(t *testing.T) {
	h := newHost(t)
	if err := errors.Join(os.MkdirAll(h.path("srv/dev"), 0o755), os.Symlink("/dev", h.path("srv/link")), os.Symlink("link", h.path("srv/chain"))); err != nil {
		t.Fatal(err)
	}
	for destination, want := range map[string]string{
		"/dev": "can't mount", "dev": "can't mount", "/./dev/": "can't mount", "/link": "can't mount", "/chain": "can't mount", "/x/../dev": "can't mount",
		"/dev/shm/x": "", "/devices": "", "/not/there": "",
	} {
		m := bind(h.mkdir("data"))
		m.Destination = destination
		t.Run(destination, func(t *testing.T) { wantRefusal(t, h.rules.Review(h.request(m)), want) })
	}
}

// TestWhatAnEngineOwns has a docker whose data root is restricted.
func TestWhatAnEngineOwns(t *testing.T) {
	const id = "4d88eeba7afd774b6f839ef3bab52ca4f6e1f5bb339e5985056a40029dfcc315"
	h := newHost(t)
	root := h.mkdir("d/overlay2/layer/merged")
	h.mkdir("d/volumes/v/_data")
	h.mkdir("d/containers/" + id)
	h.write("d/containers/" + id + "/hosts")
	h.write("d/containers/" + id + "/config.v2.json")
	docker := func(source string) *Request {
		r := h.request(bind(source))
		s := *r.Config.Spec
		s.Root.Path = root
		r = h.requestFor(s)
		r.Engine = engine.Recognise(engine.Call{ID: id, Bundle: "/run/x/moby/" + id, Root: root, Spec: r.Config.Spec})
		return r
	}
	for source, want := range map[string]string{
		h.path("d/volumes/v/_data"):                      "",
		h.path("d/containers/" + id + "/hosts"):          "",
		h.path("d/containers/" + id + "/config.v2.json"): "restricted host mount",
		h.path("d"):         "restricted host mount",
		h.path("d/volumes"): "restricted host mount",
	} {
		t.Run(filepath.Base(source), func(t *testing.T) { wantRefusal(t, h.rules.Review(docker(source)), want) })
	}
}

// TestProgramsOfTheHost has the bundle of `cloister run`, for which the host's /usr
// is the engine's although it and a part of it are restricted.
func TestProgramsOfTheHost(t *testing.T) {
	h := newHost(t)
	h.rules.RestrictedHostPaths = append(h.rules.RestrictedHostPaths, "/usr", "/usr/lib")
	for _, tt := range []struct {
		options []string
		want    string
	}{
		{[]string{"rbind", "ro", "rro"}, ""},
		{[]string{"rbind", "ro"}, "restricted host mount"},
		{[]string{"rbind"}, "restricted host mount"},
	} {
		r := h.request(specs.Mount{Type: "bind", Source: "/usr", Destination: "/usr", Options: tt.options})
		r.Engine = engine.Recognise(engine.Call{Bundle: h.path("bundles/web"), Bundles: h.path("bundles"), Spec: r.Config.Spec})
		wantRefusal(t, h.rules.Review(r), tt.want)
	}
}
