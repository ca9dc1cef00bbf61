package doctor

import (
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestEngines(t *testing.T) {
	const wrapper = "/usr/bin/cloister-runtime"
	podmanConf := "[engine]\nruntime = \"cloister\"\n\n[engine.runtimes]\ncloister = [\n  \"" + wrapper + "\", # ours\n]\n"
	containerdConf := `version = 2
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.safe]
  runtime_type = "io.containerd.runc.v2"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.safe.options]
    BinaryName = "/usr/bin/cloister-runtime"
`
	for _, tt := range []struct {
		name         string
		check        func(*Host) []Finding
		files        map[string]string
		noWrapper    bool
		state        State
		detail, next string // parts
	}{
		{name: "docker not installed", check: docker, state: OK, detail: "not installed"},
		{
			name: "docker without a file", check: docker, files: map[string]string{"/usr/bin/dockerd": ""},
			state: Warn, detail: "not configured", next: `{"runtimes": {"cloister": {"path": "/usr/bin/cloister-runtime"}}}`,
		},
		{
			name: "docker with another runtime", check: docker,
			files: map[string]string{"/usr/bin/dockerd": "", "/etc/docker/daemon.json": `{"runtimes": {"x": {"path": "/usr/bin/x"}}}`},
			state: Warn, detail: "not configured", next: "daemon.json",
		},
		{
			name: "docker configured", check: docker,
			files: map[string]string{"/usr/bin/dockerd": "", "/etc/docker/daemon.json": `{"runtimes": {"safe": {"path": "` + wrapper + `"}}}`},
			state: OK, detail: "configured as safe, for `docker run --runtime=safe`",
		},
		{
			name: "docker default", check: docker,
			files: map[string]string{"/usr/bin/dockerd": "", "/etc/docker/daemon.json": `{"default-runtime": "safe", "runtimes": {"safe": {"path": "cloister-runtime"}}}`},
			state: OK, detail: "configured as safe, for all containers",
		},
		{
			name: "docker with a runtime that is gone", check: docker, noWrapper: true,
			files: map[string]string{"/usr/bin/dockerd": "", "/etc/docker/daemon.json": `{"runtimes": {"safe": {"path": "` + wrapper + `"}}}`},
			state: Fail, detail: "there is no program /usr/bin/cloister-runtime", next: "correct the path",
		},
		{
			name: "docker with a broken file", check: docker,
			files: map[string]string{"/usr/bin/dockerd": "", "/etc/docker/daemon.json": `{"runtimes": `},
			state: Warn, detail: "/etc/docker/daemon.json: unexpected end", next: "correct the file",
		},
		{
			name: "docker with a directory for a file", check: docker,
			files: map[string]string{"/usr/bin/dockerd": "", "/etc/docker/daemon.json/": ""},
			state: Warn, detail: "is a directory", next: "correct the file",
		},
		{name: "podman not installed", check: podman, state: OK, detail: "not installed"},
		{
			name: "podman not configured", check: podman, files: map[string]string{"/usr/bin/podman": ""},
			state: Warn, detail: "not configured", next: `cloister = ["/usr/bin/cloister-runtime"]`,
		},
		{
			name: "podman default", check: podman,
			files: map[string]string{"/usr/bin/podman": "", "/etc/containers/containers.conf.d/x.conf": podmanConf},
			state: OK, detail: "configured as cloister, for all containers",
		},
		{
			name: "podman by the last file", check: podman,
			files: map[string]string{
				"/usr/bin/podman": "", "/etc/containers/containers.conf": podmanConf,
				"/etc/containers/containers.conf.d/y.conf": "[engine]\nruntime = 'crun'\n",
			},
			state: OK, detail: "configured as cloister, for `podman --runtime=cloister run`",
		},
		{
			name: "podman by path", check: podman,
			files: map[string]string{"/usr/bin/podman": "", "/etc/containers/containers.conf": "[engine]\nruntime = \"" + wrapper + "\"\n"},
			state: OK, detail: "configured as cloister-runtime, for all containers",
		},
		{
			name: "podman by hooks", check: podman,
			files: map[string]string{
				"/usr/bin/podman":                 "",
				"/etc/containers/containers.conf": "[engine]\nhooks_dir = [\"/usr/share/containers/oci/hooks.d\", \"/etc/cloister/hooks.d\"]\n",
				"/etc/cloister/hooks.d/10-a.json": `{"hook": {"path": "/usr/bin/cloister", "args": ["cloister", "hook", "precreate"]}, "stages": ["precreate"]}`,
			},
			state: OK, detail: "configured: hooks in /etc/cloister/hooks.d, for all containers",
		},
		{
			name: "podman by hooks that don't isolate", check: podman,
			files: map[string]string{
				"/usr/bin/podman":                          "",
				"/usr/share/containers/oci/hooks.d/a.json": `{"hook": {"path": "/usr/bin/cloister"}, "stages": ["prestart"]}`,
				"/usr/share/containers/oci/hooks.d/b.json": "broken",
			},
			state: Warn, detail: "not configured", next: "containers.conf.d",
		},
		{name: "cri-o not installed", check: crio, state: OK, detail: "not installed"},
		{
			name: "cri-o not configured", check: crio, files: map[string]string{"/usr/bin/crio": ""},
			state: Warn, detail: "not configured", next: "runtime_path = \"/usr/bin/cloister-runtime\"",
		},
		{
			name: "cri-o configured", check: crio,
			files: map[string]string{"/usr/bin/crio": "", "/etc/crio/crio.conf.d/10.conf": "[crio.runtime.runtimes.safe]\nruntime_path = \"" + wrapper + "\"\n"},
			state: OK, detail: "configured as safe, for a RuntimeClass with handler safe",
		},
		{name: "containerd not installed", check: containerd, state: OK, detail: "not installed"},
		{
			name: "containerd not configured", check: containerd, files: map[string]string{"/usr/bin/containerd": ""},
			state: Warn, detail: "not configured", next: `[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.cloister.options]`,
		},
		{
			name: "containerd 2 not configured", check: containerd,
			files: map[string]string{"/usr/bin/containerd": "", "/etc/containerd/config.toml": "version = 3 # new\n"},
			state: Warn, detail: "not configured", next: `[plugins."io.containerd.cri.v1.runtime".`,
		},
		{
			name: "containerd for docker", check: containerd, files: map[string]string{"/usr/bin/containerd": "", "/usr/bin/dockerd": ""},
			state: OK, detail: "docker needs no more",
		},
		{
			name: "containerd configured", check: containerd,
			files: map[string]string{"/usr/bin/containerd": "", "/etc/containerd/config.toml": containerdConf},
			state: OK, detail: "configured as safe, for a RuntimeClass with handler safe",
		},
		{
			name: "containerd configured by an import, default", check: containerd,
			files: map[string]string{
				"/usr/bin/containerd":           "",
				"/etc/containerd/config.toml":   "imports = [\"/etc/containerd/conf.d/*.toml\"]\n",
				"/etc/containerd/conf.d/a.toml": containerdConf + "[plugins.\"io.containerd.grpc.v1.cri\".containerd]\ndefault_runtime_name = \"safe\"\n",
			},
			state: OK, detail: "configured as safe, for all containers",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			files := maps.Clone(tt.files)
			if files == nil {
				files = map[string]string{}
			}
			if !tt.noWrapper {
				files[wrapper] = ""
			}
			got := tt.check(newHost(t, files))
			if len(got) != 1 || got[0].State != tt.state || !strings.Contains(got[0].Detail, tt.detail) || !strings.Contains(got[0].Next, tt.next) {
				t.Errorf("got %+v, want %s, %q and %q", got, tt.state, tt.detail, tt.next)
			}
		})
	}
}

func TestTOML(t *testing.T) {
	f := tomlFile{}
	f.parse(`top = "a # b" # comment
n = 3
[one."x.y".two]
'quoted' = 'it = [1]'
many = ["a", 'b',
  "c", # "d"
]
escaped = "a\"b" 
empty = []
[[list]]
k = true`)
	want := tomlFile{
		"top": {"a # b"}, "n": {"3"},
		"one.x.y.two.quoted": {"it = [1]"}, "one.x.y.two.many": {"a", "b", "c"},
		"one.x.y.two.escaped": {`a\"b`}, "one.x.y.two.empty": {"[]"}, "list.k": {"true"},
	}
	if diff := cmp.Diff(want, f); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func FuzzTOML(f *testing.F) {
	f.Add("[a]\nb = [\"c\",\n'd']\n")
	f.Add("a = \"\\")
	f.Add("]]] = [[[")
	f.Fuzz(func(_ *testing.T, text string) { tomlFile{}.parse(text) })
}
