package doctor

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/sys/capability"

	"cloister/internal/api"
	"cloister/internal/feature"
)

// newHost returns a host on which all is well: cgroup v2, runc and no engine. Files
// are given by path; a path that ends in a slash is a directory, and one in
// bin or sbin a program.
func newHost(t *testing.T, files map[string]string) *Host {
	t.Helper()
	h := &Host{
		Root: Root(t.TempDir()), Version: "1.0", Wrapper: "/usr/bin/cloister-runtime",
		RunDir: "/run/cloister", StateDir: "/var/lib/cloister", SettingsPath: "/etc/cloister/settings.json",
		Features:     func(string) []feature.Feature { return []feature.Feature{{Name: "pidfd", Needed: true}} },
		Capabilities: func() (map[string]bool, error) { return allCapabilities(), nil },
		Status:       func() (*api.Status, error) { return &api.Status{Version: "1.0", Containers: 3}, nil },
		Output: func(path string, args ...string) (string, error) {
			if args[0] == "features" {
				return `{"linux": {"namespaces": ["pid", "time"]}}`, nil
			}
			return filepath.Base(path) + " version 1.3.6\nmore\n", nil
		},
		Stat: func(string) error { return nil },
	}
	for path, text := range map[string]string{
		"/dev/fuse":                         "",
		"/proc/self/mountinfo":              v2Mounts,
		"/proc/sys/kernel/osrelease":        "6.12.1\n",
		"/sys/fs/cgroup/cgroup.controllers": "cpuset cpu io memory hugetlb pids\n",
		"/usr/sbin/runc":                    "",
		"/run/cloister/":                    "",
	} {
		h.write(t, path, text)
	}
	for path, text := range files {
		h.write(t, path, text)
	}
	for _, dir := range []string{"/run", "/run/cloister"} { // whatever the umask is
		if err := os.Chmod(h.Root.Path(dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

const v2Mounts = "30 1 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw\n"

func allCapabilities() map[string]bool {
	all := map[string]bool{}
	for _, c := range capability.ListKnown() {
		all["CAP_"+strings.ToUpper(c.String())] = true
	}
	return all
}

func (h *Host) write(t *testing.T, path, text string) {
	t.Helper()
	full, mode := h.Root.Path(path), os.FileMode(0o644)
	if strings.Contains(path, "bin/") {
		mode = 0o755
	}
	err := os.MkdirAll(filepath.Dir(full), 0o755)
	if strings.HasSuffix(path, "/") {
		err = errors.Join(err, os.MkdirAll(full, 0o755))
	} else {
		err = errors.Join(err, os.WriteFile(full, []byte(text), mode))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// expect compares what a check finds with lines of state, detail and next step,
// where the root of the host shows as "".
func expect(t *testing.T, h *Host, got []Finding, want ...Finding) {
	t.Helper()
	for i := range got {
		got[i].Detail = strings.ReplaceAll(got[i].Detail, string(h.Root), "")
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestExamineHealthyHost(t *testing.T) {
	got := Examine(newHost(t, nil))
	want := []Finding{
		{State: OK, Subject: "root", Detail: "has all capabilities"},
		{State: OK, Subject: "kernel", Detail: "Linux 6.12.1 can do all that cloister uses"},
		{State: OK, Subject: "/dev/fuse", Detail: "can be opened"},
		{State: OK, Subject: "cgroups", Detail: "v2 with memory cpu cpuset pids io"},
		{State: OK, Subject: "runtime", Detail: "/usr/sbin/runc (runc version 1.3.6), with time namespaces"},
		{State: OK, Subject: "docker", Detail: "not installed"},
		{State: OK, Subject: "podman", Detail: "not installed"},
		{State: OK, Subject: "cri-o", Detail: "not installed"},
		{State: OK, Subject: "containerd", Detail: "not installed"},
		{State: OK, Subject: "user ids", Detail: "100000-268535455, room for 4096 containers"},
		{State: OK, Subject: "settings", Detail: "the defaults, without a file /etc/cloister/settings.json"},
		{State: OK, Subject: "daemon", Detail: "version 1.0, 3 containers"},
		{State: OK, Subject: "run directory", Detail: "/run/cloister"},
		{State: OK, Subject: "stale mounts", Detail: "none"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestExamineWithoutRoot(t *testing.T) {
	h := newHost(t, nil)
	h.UID = 1000
	h.Features, h.Status = nil, nil // must not be called
	got := Examine(h)
	want := Finding{State: Warn, Subject: "root", Detail: "not run as root, so these were not checked: kernel, /dev/fuse, daemon", Next: "sudo cloister doctor"}
	if diff := cmp.Diff(want, got[0]); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if len(got) != 11 {
		t.Errorf("got %d findings, want 11", len(got))
	}
}
