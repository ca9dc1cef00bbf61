package contain

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/runtime-spec/specs-go"

	"cloister/internal/api"
	"cloister/internal/sys"
	"cloister/runtimehook/engine"
	"cloister/runtimehook/idrange"
	"cloister/runtimehook/policy"
	"cloister/runtimehook/spec"
)

var update = flag.Bool("update", false, "write the golden files anew")

// newJob returns a job that has been reviewed, registered and staged.
func newJob(t *testing.T, config []byte, grant api.Grant) *job {
	t.Helper()
	doc, err := spec.Parse(config)
	if err != nil {
		t.Fatal(err)
	}
	return &job{
		Call:   Call{ID: "c", Hook: "/usr/bin/cloister"},
		client: api.NewClient("/run/cloister"),
		policy: &policy.Rules{},
		doc:    doc,
		request: policy.Request{
			Config: doc, Engine: engine.Recognise(engine.Call{Spec: doc.Spec}), IDs: idCount(doc),
		},
		grant:        &grant,
		capabilities: map[string]bool{"CAP_CHOWN": true, "CAP_SYS_ADMIN": true, "CAP_NET_ADMIN": true, "CAP_SYS_RESOURCE": true},
	}
}

func recorded(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("../testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestRewriteRecordedConfigs shows, as the difference between two files, what
// becomes of the configs that real engines write.
func TestRewriteRecordedConfigs(t *testing.T) {
	for _, name := range []string{"docker.json", "docker-privileged.json", "podman.json", "podman-privileged.json", "podman-uidmap.json"} {
		t.Run(name, func(t *testing.T) {
			j := newJob(t, recorded(t, name), api.Grant{Key: "7.3", IDs: idrange.Range{Start: 100000, Size: 65536}})
			j.rewrite()
			text, err := j.doc.Bytes()
			if err != nil {
				t.Fatal(err)
			}
			var got bytes.Buffer
			if err := json.Indent(&got, text, "", " "); err != nil {
				t.Fatal(err)
			}
			compareGolden(t, filepath.Join("testdata", name), got.Bytes())
		})
	}
}

func compareGolden(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(string(got), "\n")); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

// written returns the config as a runtime will read it.
func written(t *testing.T, j *job) *specs.Spec {
	t.Helper()
	text, err := j.doc.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	doc, err := spec.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return doc.Spec
}

func namespace(t *testing.T, j *job, kind specs.LinuxNamespaceType) *specs.LinuxNamespace {
	t.Helper()
	return (&spec.Document{Spec: written(t, j)}).Namespace(kind)
}

func TestRewriteJoinsTheOwnersUserNamespace(t *testing.T) {
	j := newJob(t, recorded(t, "docker.json"), api.Grant{OwnerPID: 42, IDs: idrange.Range{Start: 165536, Size: 65536}})
	j.rewrite()
	if ns := namespace(t, j, specs.UserNamespace); ns == nil || ns.Path != "/proc/42/ns/user" {
		t.Errorf("got %+v, want that of process 42", ns)
	}
}

func TestRewriteKeepsTheEnginesUserNamespace(t *testing.T) {
	j := newJob(t, recorded(t, "podman-uidmap.json"), api.Grant{IDs: idrange.Range{Start: 500000, Size: 65536}})
	j.rewrite()
	if diff := cmp.Diff(j.doc.Spec.Linux.UIDMappings, written(t, j).Linux.UIDMappings); diff != "" {
		t.Errorf("mappings (-engine's +ours):\n%s", diff)
	}
}

func TestRewriteTimeNamespace(t *testing.T) {
	withTime := api.Grant{IDs: idrange.Range{Start: 100000, Size: 65536}, Runtime: api.Runtime{TimeNamespace: true}}

	j := newJob(t, recorded(t, "docker.json"), withTime)
	before := sys.BootTime()
	j.rewrite()
	if namespace(t, j, specs.TimeNamespace) == nil {
		t.Fatal("no time namespace although the runtime can make one")
	}
	if !slices.Contains(j.promise.Namespaces, "time") {
		t.Error("the hook is not told to verify the time namespace")
	}
	for _, clock := range []string{"boottime", "monotonic"} {
		offset, ok := written(t, j).Linux.TimeOffsets[clock]
		if begin := before + time.Duration(offset.Secs)*time.Second; !ok || begin < 0 || begin > 2*time.Second {
			t.Errorf("the container's %s clock begins at %v, want about 0", clock, begin)
		}
	}

	j = newJob(t, recorded(t, "docker.json"), api.Grant{})
	j.rewrite()
	if namespace(t, j, specs.TimeNamespace) != nil || slices.Contains(j.promise.Namespaces, "time") {
		t.Error("time namespace although the runtime can't make one")
	}

	j = newJob(t, recorded(t, "docker.json"), withTime)
	owner, err := sys.OpenThreadNamespace("user")
	if err != nil {
		t.Fatal(err)
	}
	defer owner.Close()
	j.sharing.owner = owner
	j.rewrite()
	if namespace(t, j, specs.TimeNamespace) != nil {
		t.Error("time namespace of its own although the container shares others")
	}
}

func TestFindSharingIgnoresNamespacesWithoutPath(t *testing.T) {
	doc, err := spec.Parse(recorded(t, "docker.json"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := findSharing(doc)
	if err != nil || s.owner != nil || s.network != nil {
		t.Errorf("got %+v, %v, want nothing shared", s, err)
	}
}

func TestIDCount(t *testing.T) {
	for name, want := range map[string]uint32{"docker.json": 65536, "podman-uidmap.json": 65536} {
		doc, err := spec.Parse(recorded(t, name))
		if err != nil {
			t.Fatal(err)
		}
		if got := idCount(doc); got != want {
			t.Errorf("%s: got %d, want %d", name, got, want)
		}
	}
}
