// Package engine knows the container engines from the outside: which one called
// the runtime, what it calls the container, and which of the host's files that a
// container mounts are the engine's own for that container (resolv.conf, named
// volumes, …) and not a user's choice.
//
// What an engine owns is derived from paths that it hands to every runtime and that
// its users can't choose.
package engine

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// The engines.
const (
	Docker     = "docker"
	Podman     = "podman"
	CRIO       = "cri-o"
	Containerd = "containerd"
	Cloister   = "cloister" // `cloister run`
	None       = "none"     // somebody called the runtime by hand
)

// Call is what is known when a runtime is called.
type Call struct {
	ID     string
	Bundle string // where the bundle is, without symbolic links
	Root   string // where the root file system is, without symbolic links
	Spec   *specs.Spec
	// Bundles is the directory of the bundles of `cloister run`. Only root can
	// write there, so a bundle in it is one of ours.
	Bundles string
}

// Engine is the engine behind a call.
type Engine struct {
	Name string
	// DataRoot is the engine's own directory, "" if it can't be told.
	DataRoot string

	call Call
	own  []*regexp.Regexp // paths of host files that are the engine's for this container
}

// Recognise tells which engine made a call.
func Recognise(c Call) *Engine {
	for _, recognise := range []func(Call) *Engine{recogniseCloister, recogniseStorage, recogniseDocker, recogniseContainerd} {
		if e := recognise(c); e != nil {
			e.call = c
			return e
		}
	}
	return &Engine{Name: None, call: c}
}

// Owns reports whether the host's file at source, a path without symbolic links,
// was put into the container by the engine itself.
func (e *Engine) Owns(source string, m *specs.Mount) bool {
	for _, re := range e.own {
		if re.MatchString(source) {
			return true
		}
	}
	return e.Name == Cloister && isHostPrograms(source, m) || isInit(source, m)
}

// OwnsRoot reports whether the directory at path, a path without symbolic links, is
// a root file system that the engine has made, and not one that a user has chosen.
func (e *Engine) OwnsRoot(path string) bool {
	switch e.Name {
	case Docker:
		root := dockerRoot().FindStringSubmatch(path)
		return root != nil && root[1] == e.DataRoot
	case Podman:
		root := storageRoot().FindStringSubmatch(path)
		return root != nil && root[1] == e.DataRoot
	case CRIO:
		return storageRoot().MatchString(path)
	case Containerd:
		return below(path, e.call.Bundle) || below(path, "/run/containerd") || below(path, "/var/lib/containerd")
	}
	return below(path, e.call.Bundle)
}

// pattern returns a regular expression that is compiled when it is first asked for:
// most calls of the program need none.
func pattern(expr string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expr) })
}

func below(path, dir string) bool { return strings.HasPrefix(path, dir+"/") }

func recogniseCloister(c Call) *Engine {
	if c.Bundles == "" || filepath.Dir(c.Bundle) != c.Bundles {
		return nil
	}
	return &Engine{Name: Cloister}
}

// isHostPrograms reports whether a mount is the host's /usr as `cloister run` gives
// it to containers that have no programs of their own.
func isHostPrograms(source string, m *specs.Mount) bool {
	return source == "/usr" && m.Destination == "/usr" && slices.Contains(m.Options, "ro") && slices.Contains(m.Options, "rro")
}

// recogniseStorage finds podman and CRI-O, whose bundles lie in the tree of
// containers/storage: <root>/<driver>-containers/<id>/userdata. Podman's is the
// graph root and CRI-O's the run root; files of a container may lie in both.
func recogniseStorage(c Call) *Engine {
	driver := filepath.Dir(filepath.Dir(c.Bundle))
	if filepath.Base(c.Bundle) != "userdata" || !strings.HasSuffix(driver, "-containers") {
		return nil
	}
	e := &Engine{Name: Podman, DataRoot: filepath.Dir(driver)}
	// podman's users may give any annotation, but not choose the bundle.
	if _, ok := c.Spec.Annotations["io.kubernetes.cri-o.ContainerType"]; ok && below(c.Bundle, "/run") {
		e.Name = CRIO
	}
	containers, id := `^/.+/`+regexp.QuoteMeta(filepath.Base(driver)), regexp.QuoteMeta(c.ID)
	e.own = []*regexp.Regexp{
		// Containers of a pod have the pod's files.
		regexp.MustCompile(containers + `/[0-9a-f]{64}/userdata/(hosts|hostname|resolv\.conf|passwd|group|localtime|\.containerenv|shm)$`),
		regexp.MustCompile(containers + `/` + id + `/userdata/(secrets(/.*)?|run/secrets(/.*)?)$`),
		regexp.MustCompile(`^` + regexp.QuoteMeta(e.DataRoot) + `/volumes/[^/]+/_data(/.*)?$`),
	}
	if e.Name == CRIO {
		e.own = append(e.own, kubeletFiles(c))
	}
	return e
}

// dockerRoot finds docker's data root in the path of a root file system.
var dockerRoot = pattern(`^(/.*)/(?:(?:overlay2|btrfs/subvolumes|fuse-overlayfs|zfs/graph)/[^/]+(?:/merged)?|vfs/dir/[^/]+|rootfs/[^/]+/[^/]+)$`)

func recogniseDocker(c Call) *Engine {
	root := dockerRoot().FindStringSubmatch(c.Root)
	if filepath.Base(filepath.Dir(c.Bundle)) != "moby" || root == nil {
		return nil
	}
	dataRoot := regexp.QuoteMeta(root[1])
	return &Engine{Name: Docker, DataRoot: root[1], own: []*regexp.Regexp{
		// Those of another container with --network=container:… and --ipc=container:….
		regexp.MustCompile(`^` + dataRoot + `/containers/[0-9a-f]{64}/(resolv\.conf|hosts|hostname|mounts/shm)$`),
		regexp.MustCompile(`^` + dataRoot + `/containers/` + regexp.QuoteMeta(c.ID) + `/mounts/.+$`),
		regexp.MustCompile(`^` + dataRoot + `/volumes/[^/]+/_data(/.*)?$`),
	}}
}

// recogniseContainerd finds containerd's own clients (ctr, nerdctl, CRI): the
// bundle is <state>/io.containerd.runtime.v2.task/<namespace>/<id>.
func recogniseContainerd(c Call) *Engine {
	if filepath.Base(filepath.Dir(filepath.Dir(c.Bundle))) != "io.containerd.runtime.v2.task" {
		return nil
	}
	return &Engine{Name: Containerd, own: []*regexp.Regexp{criFiles(), kubeletFiles(c)}}
}

var criFiles = pattern(`^/(var/lib|run)/containerd/io\.containerd\.grpc\.v1\.cri/sandboxes/[0-9a-f]{64}/(hostname|hosts|resolv\.conf|shm)$`)

// kubeletFiles matches what the kubelet has made for the pod of a container, and
// nothing if no pod is named.
func kubeletFiles(c Call) *regexp.Regexp {
	pod := c.Spec.Annotations["io.kubernetes.cri.sandbox-uid"]
	if pod == "" {
		pod = c.Spec.Annotations["io.kubernetes.pod.uid"]
	}
	if pod == "" || pod != filepath.Base(pod) {
		return regexp.MustCompile(`$.^`)
	}
	return regexp.MustCompile(`^/var/lib/kubelet/pods/` + regexp.QuoteMeta(pod) + `/(etc-hosts|volumes/.+|volume-subpaths/.+|containers/.+)$`)
}

// isInit reports whether a mount is the small init that `--init` puts into the
// container: docker's docker-init, podman's catatonit.
func isInit(source string, m *specs.Mount) bool {
	switch filepath.Base(source) {
	case "docker-init", "catatonit", "tini", "tini-static":
	default:
		return false
	}
	switch m.Destination {
	case "/sbin/docker-init", "/dev/init", "/run/podman-init":
		return strings.HasPrefix(source, "/usr/")
	}
	return false
}

// ContainerName returns the name that a person gave the container, or its id.
func (e *Engine) ContainerName() string {
	for _, key := range []string{"io.cloister.name", "io.kubernetes.cri.container-name", "io.kubernetes.cri-o.Name", "io.podman.annotations.name", "nerdctl/name"} {
		if name := e.call.Spec.Annotations[key]; name != "" {
			return name
		}
	}
	if name := e.dockerConfig().Name; name != "" {
		return strings.TrimPrefix(name, "/")
	}
	return e.call.ID
}

// Image returns the image that the container was made from, as the person named
// it, or "" where the engine does not tell a runtime.
func (e *Engine) Image() string {
	for _, key := range []string{"io.kubernetes.cri.image-name", "io.kubernetes.cri-o.ImageName", "io.podman.annotations.image"} {
		if image := e.call.Spec.Annotations[key]; image != "" {
			return image
		}
	}
	return e.dockerConfig().Config.Image
}

// dockerConfig is what dockerd has written down of a container.
type dockerConfig struct {
	Name   string
	Config struct{ Image string }
}

// dockerConfig reads dockerd's own description of the container, which exists
// before the runtime is called. Asking dockerd itself would wait for the lock that
// it holds during the call.
func (e *Engine) dockerConfig() (c dockerConfig) {
	if e.Name != Docker {
		return c
	}
	data, err := os.ReadFile(filepath.Join(e.DataRoot, "containers", filepath.Base(e.call.ID), "config.v2.json"))
	if err != nil || json.Unmarshal(data, &c) != nil {
		return dockerConfig{}
	}
	return c
}
