package vm

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPack(t *testing.T) {
	source := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(source, []byte("#!/bin/sh\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	err := pack(&out, []File{
		{Path: "/bin", Link: "usr/bin"},
		{Path: "/bin/program", Source: source, Mode: 0o755},
		{Path: "/bundles/a/config.json", Data: []byte("old"), Mode: 0o644},
		{Path: "/bundles/a/config.json", Data: []byte("new"), Mode: 0o644},
	})
	if err != nil {
		t.Fatal(err)
	}
	got, err := readCPIO(&out)
	if err != nil {
		t.Fatal(err)
	}
	want := []cpioEntry{
		{Name: "bin", Content: "usr/bin", Mode: 0o120777},
		{Name: "bundles", Mode: 0o040755},
		{Name: "bundles/a", Mode: 0o040755},
		{Name: "bundles/a/config.json", Content: "new", Mode: 0o100644},
		{Name: "usr", Mode: 0o040755},
		{Name: "usr/bin", Mode: 0o040755},
		{Name: "usr/bin/program", Content: "#!/bin/sh\n", Mode: 0o100755},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
}

func TestPlace(t *testing.T) {
	for path, want := range map[string]string{
		"/init":                       "init",
		"/bin":                        "bin",
		"/bin/sh":                     "usr/bin/sh",
		"/lib64/ld-linux-x86-64.so.2": "usr/lib64/ld-linux-x86-64.so.2",
		"/usr/sbin/runc":              "usr/sbin/runc",
		"library/file":                "library/file",
		"/../etc//passwd":             "etc/passwd",
	} {
		if got := place(path); got != want {
			t.Errorf("place(%q): got %q, want %q", path, got, want)
		}
	}
}

// TestLibraries looks for the libraries of a dynamic program of the host's.
func TestLibraries(t *testing.T) {
	const program = "/bin/cat"
	if runtime.GOARCH != "amd64" {
		t.Skip("guests are amd64")
	}
	names, err := needed(program)
	if err != nil || len(names) == 0 {
		t.Skipf("%s is no dynamic program: needs %v, %v", program, names, err)
	}
	libs, err := libraries("/", program)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		guest := name
		if !filepath.IsAbs(name) {
			guest = "/usr/lib/x86_64-linux-gnu/" + name
		}
		if info, err := os.Stat(libs[guest]); err != nil || !info.Mode().IsRegular() {
			t.Errorf("%s needs %s, found %q: %v", program, name, libs[guest], err)
		}
	}
	if libs, err := libraries(t.TempDir(), program); err == nil {
		t.Errorf("in an empty directory: got %v, want an error", libs)
	}
}
