package settings

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestLoadMissingFileIsDefault(t *testing.T) {
	s, err := Load(filepath.Join(t.TempDir(), "none.json"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Default(), s); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if err := s.validate(); err != nil {
		t.Errorf("the defaults are not valid: %v", err)
	}
}

func TestLoadReplacesOnlyWhatIsGiven(t *testing.T) {
	s := load(t, `{"configurationFileVersion": 2,
		"enhancedContainerIsolation": {"value": true, "locked": true},
		"cloister": {"allowedHostPaths": ["/etc/localtime"], "idRegion": {"start": 1000000, "size": 131072},
			"syscalls": {"cpuAffinity": true}}}`)
	want := Default()
	want.EnhancedContainerIsolation.Locked = true
	want.Cloister.AllowedHostPaths = []string{"/etc/localtime"}
	want.Cloister.IDRegion = IDRegion{1000000, 131072}
	want.Cloister.Syscalls.CPUAffinity = true
	if diff := cmp.Diff(want, s); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestLoadRefuses(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"empty", ``, "EOF"},
		{"cut off", "{\"cloister\": {\n", "line 2, column 1: unexpected EOF"},
		{"trailing comma", "{\n \"cloister\": {},\n}", "line 3, column 2"},
		{"unknown key", `{"cloister": {"restrictedPaths": []}}`, `unknown field "restrictedPaths"`},
		{"wrong type", "{\"cloister\":\n {\"devices\": \"/dev/fuse\"}}", "line 2"},
		{"null list", `{"cloister": {"restrictedHostPaths": null}}`, "null"},
		{"second document", `{} {}`, "after the end"},
		{"other version", `{"configurationFileVersion": 3}`, "configurationFileVersion"},
		{"switched off", `{"enhancedContainerIsolation": {"value": false}}`, "switched off"},
		{"region over the host's users", `{"cloister": {"idRegion": {"start": 1000, "size": 65536}}}`, "host's users"},
		{"region too small", `{"cloister": {"idRegion": {"start": 100000, "size": 1000}}}`, "65536 are needed"},
		{"region past the end", `{"cloister": {"idRegion": {"start": 4294900000, "size": 131072}}}`, "do not fit"},
		{"relative path", `{"cloister": {"allowedHostPaths": ["etc"]}}`, "absolute"},
		{"bad pattern", `{"cloister": {"restrictedHostPaths": ["/[a"]}}`, "/[a"},
		{"no view", `{"cloister": {"views": {"/proc/meminf": false}}}`, "/proc/meminf"},
		{"a view without its slash", `{"cloister": {"views": {"proc/meminfo": false}}}`, "proc/meminfo"},
		{"no such call", `{"cloister": {"syscalls": {"affinity": true}}}`, `unknown field "affinity"`},
		{"a switch that is no switch", `{"cloister": {"syscalls": {"cpuAffinity": 1}}}`, "cpuAffinity"},
		{"no runtime", `{"cloister": {"runtimes": []}}`, "runtimes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Load(write(t, tt.text))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an error with %q", err, tt.want)
			}
		})
	}
}

func TestViews(t *testing.T) {
	s := load(t, `{"cloister": {"views": {"/proc/diskstats": false, "/proc/meminfo": true}}}`)
	for path, want := range map[string]bool{"proc/diskstats": false, "proc/meminfo": true, "proc/stat": true} {
		if got := s.Cloister.Views.Enabled(path); got != want {
			t.Errorf("%s: got %v, want %v", path, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"cloister": {"idRegion": {"start": 1}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := parse(data)
		if err == nil && (len(s.Cloister.Runtimes) == 0 || s.Cloister.RestrictedHostPaths == nil || !s.EnhancedContainerIsolation.Value) {
			t.Errorf("%q was accepted as %+v", data, s)
		}
	})
}

func load(t *testing.T, text string) *Settings {
	t.Helper()
	s, err := Load(write(t, text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s.json")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
