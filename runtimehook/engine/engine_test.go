package engine

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

const (
	id      = "4d88eeba7afd774b6f839ef3bab52ca4f6e1f5bb339e5985056a40029dfcc315"
	otherID = "31a20ec388e9b73fdad1b9343545936f843a0d9e444c7cc116d96f052d24d283"
	layer   = "505a7dfade4e37e6e35757e0ca1b489e149a80c44279fe973524bb5c479ab521"
)

func TestRecognise(t *testing.T) {
	tests := []struct {
		name, bundle, root string
		annotations        map[string]string
		want, dataRoot     string
	}{
		{"docker", "/run/docker/containerd/daemon/io.containerd.runtime.v2.task/moby/" + id, "/var/lib/docker/overlay2/" + layer + "/merged", nil, Docker, "/var/lib/docker"},
		{"docker on a system's containerd", "/run/containerd/io.containerd.runtime.v2.task/moby/" + id, "/srv/d/overlay2/" + layer + "/merged", nil, Docker, "/srv/d"},
		{"docker, vfs", "/run/x/moby/" + id, "/var/lib/docker/vfs/dir/" + layer, nil, Docker, "/var/lib/docker"},
		{"docker, containerd's images", "/run/x/moby/" + id, "/var/lib/docker/rootfs/overlayfs/" + id, nil, Docker, "/var/lib/docker"},
		{"podman", "/var/lib/containers/storage/overlay-containers/" + id + "/userdata", "/var/lib/containers/storage/overlay/" + layer + "/merged", nil, Podman, "/var/lib/containers/storage"},
		{"cri-o", "/run/containers/storage/overlay-containers/" + id + "/userdata", "/x", map[string]string{"io.kubernetes.cri-o.ContainerType": "container"}, CRIO, "/run/containers/storage"},
		{"containerd", "/run/containerd/io.containerd.runtime.v2.task/default/c1", "/run/containerd/io.containerd.runtime.v2.task/default/c1/rootfs", nil, Containerd, ""},
		{"cloister run", "/var/lib/cloister/bundles/web", "/var/lib/cloister/bundles/web/rootfs", nil, Cloister, ""},
		{"podman with an annotation of cri-o's", "/var/lib/containers/storage/overlay-containers/" + id + "/userdata", "/x", map[string]string{"io.kubernetes.cri-o.ContainerType": "container"}, Podman, "/var/lib/containers/storage"},
		{"by hand", "/root/bundle", "/root/bundle/rootfs", nil, None, ""},
		{"by hand, called moby", "/root/moby/x", "/root/moby/x/rootfs", nil, None, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := Recognise(call(tt.bundle, tt.root, tt.annotations))
			if e.Name != tt.want || e.DataRoot != tt.dataRoot {
				t.Errorf("got %s with data root %q, want %s with %q", e.Name, e.DataRoot, tt.want, tt.dataRoot)
			}
		})
	}
}

func TestOwns(t *testing.T) {
	docker := Recognise(call("/run/x/moby/"+id, "/var/lib/docker/overlay2/"+layer+"/merged", nil))
	podman := Recognise(call("/var/lib/containers/storage/overlay-containers/"+id+"/userdata", "/x", nil))
	containerd := Recognise(call("/run/containerd/io.containerd.runtime.v2.task/k8s.io/"+id, "/x", map[string]string{"io.kubernetes.cri.sandbox-uid": "u-1"}))
	cloister := Recognise(call("/var/lib/cloister/bundles/web", "/x", nil))
	none := Recognise(call("/root/b", "/root/b/rootfs", nil))
	tests := []struct {
		name        string
		engine      *Engine
		source, dst string
		want        bool
	}{
		{"docker's hosts file", docker, "/var/lib/docker/containers/" + id + "/hosts", "/etc/hosts", true},
		{"that of the container whose network is shared", docker, "/var/lib/docker/containers/" + otherID + "/resolv.conf", "/etc/resolv.conf", true},
		{"docker's shm", docker, "/var/lib/docker/containers/" + id + "/mounts/shm", "/dev/shm", true},
		{"a named volume", docker, "/var/lib/docker/volumes/data/_data", "/v", true},
		{"a file in one", docker, "/var/lib/docker/volumes/data/_data/sub/x", "/v", true},
		{"the volume's metadata", docker, "/var/lib/docker/volumes/metadata.db", "/v", false},
		{"a container's config", docker, "/var/lib/docker/containers/" + id + "/config.v2.json", "/v", false},
		{"a layer", docker, "/var/lib/docker/overlay2/" + layer + "/diff", "/v", false},
		{"a path that looks like docker's elsewhere", docker, "/etc/containers/" + id + "/hosts", "/v", false},
		{"docker's init", docker, "/usr/bin/docker-init", "/sbin/docker-init", true},
		{"a program of the host in its place", docker, "/usr/bin/bash", "/sbin/docker-init", false},
		{"docker's init elsewhere", docker, "/usr/bin/docker-init", "/x", false},
		{"podman's hosts file", podman, "/run/containers/storage/overlay-containers/" + id + "/userdata/hosts", "/etc/hosts", true},
		{"podman's secrets", podman, "/run/containers/storage/overlay-containers/" + id + "/userdata/run/secrets", "/run/secrets", true},
		{"a podman volume", podman, "/var/lib/containers/storage/volumes/v/_data", "/v", true},
		{"a podman container's config", podman, "/var/lib/containers/storage/overlay-containers/" + otherID + "/userdata/config.json", "/x", false},
		{"podman's attach socket", podman, "/run/containers/storage/overlay-containers/" + otherID + "/userdata/attach", "/x", false},
		{"a pod's volume", containerd, "/var/lib/kubelet/pods/u-1/volumes/kubernetes.io~empty-dir/x", "/x", true},
		{"another pod's volume", containerd, "/var/lib/kubelet/pods/u-2/volumes/kubernetes.io~secret/token", "/x", false},
		{"a pod's volume for podman", podman, "/var/lib/kubelet/pods/u-1/volumes/kubernetes.io~secret/token", "/x", false},
		{"another podman container's secrets", podman, "/run/containers/storage/overlay-containers/" + otherID + "/userdata/secrets/key", "/x", false},
		{"its pod's hosts file", podman, "/run/containers/storage/overlay-containers/" + otherID + "/userdata/hosts", "/etc/hosts", true},
		{"docker's secrets", docker, "/var/lib/docker/containers/" + id + "/mounts/secrets/key", "/run/secrets/key", true},
		{"another docker container's secrets", docker, "/var/lib/docker/containers/" + otherID + "/mounts/secrets/key", "/x", false},
		{"a pod sandbox's hosts", containerd, "/var/lib/containerd/io.containerd.grpc.v1.cri/sandboxes/" + id + "/hostname", "/etc/hostname", true},
		{"kubelet's own files", containerd, "/var/lib/kubelet/config.yaml", "/x", false},
		{"/usr for cloister run", cloister, "/usr", "/usr", true},
		{"/usr for cloister run, elsewhere", cloister, "/usr", "/x", false},
		{"/usr for others", none, "/usr", "/usr", false},
		{"docker's volume for others", none, "/var/lib/docker/volumes/data/_data", "/v", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := &specs.Mount{Source: tt.source, Destination: tt.dst, Options: []string{"rbind", "ro", "rro"}}
			if got := tt.engine.Owns(tt.source, m); got != tt.want {
				t.Errorf("%s owns %s at %s: got %v, want %v", tt.engine.Name, tt.source, tt.dst, got, tt.want)
			}
		})
	}
}

func TestOwnsTheHostsProgramsOnlyReadOnly(t *testing.T) {
	e := Recognise(call("/var/lib/cloister/bundles/web", "/x", nil))
	for _, options := range [][]string{nil, {"rbind", "rw"}, {"rbind", "ro"}} {
		if e.Owns("/usr", &specs.Mount{Source: "/usr", Destination: "/usr", Options: options}) {
			t.Errorf("options %v leave the host's /usr writable", options)
		}
	}
}

func TestOwnsRoot(t *testing.T) {
	const graph = "/var/lib/containers/storage"
	tests := []struct {
		name, bundle, root string
		path               string
		want               bool
	}{
		{"docker's", "/run/x/moby/" + id, "/var/lib/docker/overlay2/" + layer + "/merged", "/var/lib/docker/overlay2/" + layer + "/merged", true},
		{"another directory of docker's", "/run/x/moby/" + id, "/var/lib/docker/overlay2/" + layer + "/merged", "/var/lib/docker/overlay2", false},
		{"podman's", graph + "/overlay-containers/" + id + "/userdata", graph + "/overlay/" + layer + "/merged", graph + "/overlay/" + layer + "/merged", true},
		{"podman --rootfs of another engine's container", graph + "/overlay-containers/" + id + "/userdata", "/x", "/var/lib/docker/overlay2/" + layer + "/merged", false},
		{"podman --rootfs", graph + "/overlay-containers/" + id + "/userdata", "/etc", "/etc", false},
		{"in the bundle", "/root/bundle", "/root/bundle/rootfs", "/root/bundle/rootfs", true},
		{"beside the bundle", "/root/bundle", "/root", "/root", false},
		{"cloister run --rootfs", "/var/lib/cloister/bundles/web", "/etc", "/etc", false},
		{"containerd's", "/run/containerd/io.containerd.runtime.v2.task/default/c", "/x", "/run/containerd/io.containerd.runtime.v2.task/default/c/rootfs", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := Recognise(call(tt.bundle, tt.root, nil)).OwnsRoot(tt.path); got != tt.want {
				t.Errorf("%s: got %v, want %v", tt.path, got, tt.want)
			}
		})
	}
}

func TestDockerNameAndImage(t *testing.T) {
	data := t.TempDir()
	dir := filepath.Join(data, "containers", id)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "config.v2.json"), []byte(`{"Name":"/web","Config":{"Image":"nginx:1"},"State":{}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	e := Recognise(call("/run/x/moby/"+id, data+"/overlay2/"+layer+"/merged", nil))
	if e.ContainerName() != "web" || e.Image() != "nginx:1" {
		t.Errorf("got %q of image %q, want web of nginx:1", e.ContainerName(), e.Image())
	}
	gone := Recognise(call("/run/x/moby/"+otherID, data+"/overlay2/"+layer+"/merged", nil))
	gone.call.ID = otherID
	if gone.ContainerName() != otherID || gone.Image() != "" {
		t.Errorf("without a description: got %q of image %q", gone.ContainerName(), gone.Image())
	}
}

func TestPodmanContainer(t *testing.T) {
	const bundle = "/var/lib/containers/storage/overlay-containers/" + otherID + "/userdata"
	noCgroup := recorded(t, "podman.json")
	noCgroup.Linux.CgroupsPath = ""
	systemd := recorded(t, "podman.json")
	systemd.Linux.CgroupsPath, systemd.Mounts = "machine.slice:libpod:"+otherID, nil
	rootfs := recorded(t, "podman.json")
	rootfs.Root.Path = "/srv/rootfs"
	tests := []struct {
		name   string
		config *specs.Spec
		bundle string
	}{
		{"as recorded", recorded(t, "podman.json"), bundle},
		{"without a cgroup", noCgroup, bundle},
		{"with systemd", systemd, bundle},
		{"with --rootfs", rootfs, "/run/containers/storage/overlay-containers/" + otherID + "/userdata"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			gotID, got, err := PodmanContainer(tt.config)
			if err != nil || gotID != otherID || got != tt.bundle {
				t.Errorf("got %s in %s, %v, want %s in %s", gotID, got, err, otherID, tt.bundle)
			}
		})
	}
	if _, _, err := PodmanContainer(recorded(t, "docker.json")); err == nil {
		t.Error("docker's config was taken for podman's")
	}
}

func call(bundle, root string, annotations map[string]string) Call {
	return Call{
		ID: id, Bundle: bundle, Bundles: "/var/lib/cloister/bundles",
		Root: root, Spec: &specs.Spec{Annotations: annotations},
	}
}

func recorded(t *testing.T, name string) *specs.Spec {
	t.Helper()
	data, err := os.ReadFile("../testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	s := &specs.Spec{}
	if err := json.Unmarshal(data, s); err != nil {
		t.Fatal(err)
	}
	return s
}
