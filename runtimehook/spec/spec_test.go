package spec

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/runtime-spec/specs-go"
)

// minimal is the least that Parse takes, with room for more of the linux section.
const minimal = `{"ociVersion":"1.0.2","root":{"path":"rootfs"},"process":{"user":{"uid":0,"gid":0},"cwd":"/"},"linux":{%s}}`

func doc(t *testing.T, linux string) *Document {
	t.Helper()
	return parse(t, strings.Replace(minimal, "%s", linux, 1))
}

func parse(t *testing.T, text string) *Document {
	t.Helper()
	d, err := Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// written returns the document as a runtime will read it.
func written(t *testing.T, d *Document) *specs.Spec {
	t.Helper()
	data, err := d.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	s := &specs.Spec{}
	if err := json.Unmarshal(data, s); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestBytesLosesNothing(t *testing.T) {
	files, err := filepath.Glob("../testdata/*.json")
	if err != nil || len(files) == 0 {
		t.Fatal("no recorded configs", err)
	}
	texts := map[string][]byte{
		"unknown fields": []byte(`{"ociVersion":"9","root":{"path":"r","new":1},"process":{"cwd":"/","user":{"uid":0,"gid":0}},
			"linux":{"future":{"a":[1,2.50,1e400,18446744073709551616]},"namespaces":[{"type":"pid","x":null}]},"mounts":[{"destination":"/a","y":"<&>"}]}`),
	}
	for _, f := range files {
		if texts[f], err = os.ReadFile(f); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range texts {
		t.Run(filepath.Base(name), func(t *testing.T) {
			d, err := Parse(text)
			if err != nil {
				t.Fatal(err)
			}
			got, err := d.Bytes()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(canonical(t, text), canonical(t, got)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// canonical keeps the text of numbers.
func canonical(t *testing.T, data []byte) any {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestParseRefuses(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"nothing", ``, "EOF"},
		{"null", `null`, "null"},
		{"no object", `[]`, "array"},
		{"more than one document", strings.Replace(minimal, "%s", "", 1) + `{}`, "after the end"},
		{"no linux section", `{"ociVersion":"1.0.2","root":{"path":"r"},"process":{"cwd":"/"}}`, "sections"},
		{"no root", `{"ociVersion":"1.0.2","process":{"cwd":"/"},"linux":{}}`, "sections"},
		{"key of another case", `{"Linux":{}}`, `key "Linux" is spelled "linux"`},
		{"nested key of another case", strings.Replace(minimal, "%s", `"Namespaces":[]`, 1), `key "linux.Namespaces" is spelled "namespaces"`},
		{"key in an array", strings.Replace(minimal, "%s", `"namespaces":[{"type":"pid","PATH":"/x"}]`, 1), `linux.namespaces[0].PATH`},
		{"key that folds to a known one", strings.Replace(minimal, "%s", `"nameſpaces":[]`, 1), `namespaces`},
		{"wrong type", strings.Replace(minimal, "%s", `"namespaces":{}`, 1), "namespaces"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse([]byte(tt.text))
			if !errors.Is(err, ErrSpec) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want ErrSpec with %q", err, tt.want)
			}
		})
	}
}

// TestParseTwiceTheSameKey makes sure that what is decided on is what is written.
func TestParseTwiceTheSameKey(t *testing.T) {
	d := parse(t, `{"ociVersion":"1","root":{"path":"r"},"process":{"cwd":"/"},
		"linux":{"namespaces":[{"type":"pid"}],"cgroupsPath":"/a"},"linux":{"cgroupsPath":"/b"}}`)
	if len(d.Spec.Linux.Namespaces) != 0 || d.Spec.Linux.CgroupsPath != "/b" {
		t.Errorf("decided on %+v, which is not what will be written", d.Spec.Linux)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(strings.Replace(minimal, "%s", `"namespaces":[{"type":"pid"}],"sysctl":{"a":"b"}`, 1)))
	f.Add([]byte(`{"LINUX":{}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := Parse(data)
		if err != nil {
			return
		}
		d.MakeAbsolute("/bundle")
		d.SetRoot("/r")
		d.SetNamespace(specs.UserNamespace, "")
		d.SetIDMappings(100000, 65536)
		d.KeepCapabilities(func(string) bool { return false })
		d.CapRlimits(func(string) (uint64, bool) { return 1, true })
		d.KeepDevices(func(string) bool { return false })
		d.SetDeviceRules(nil)
		d.TakePaths(nil)
		d.TakeSysctls()
		d.TrapSyscalls(traps)
		d.AddHook("prestart", specs.Hook{Path: "/h"})
		for i := range d.Spec.Mounts {
			d.SetMountSource(i, "/s")
			d.SetMountType(i, "bind")
			d.AddMountOptions(i, "ro")
			d.DropIDMapping(i)
		}
		text, err := d.Bytes()
		if err != nil {
			t.Fatalf("changed document does not marshal: %v", err)
		}
		again, err := Parse(text)
		if err != nil {
			t.Fatalf("changed document does not parse: %v\n%s", err, text)
		}
		if ns := again.Namespace(specs.UserNamespace); ns == nil || ns.Path != "" {
			t.Fatalf("user namespace is %+v in\n%s", ns, text)
		}
		if again.Spec.Root.Path != "/r" || len(again.Spec.Linux.UIDMappings) != 1 {
			t.Fatalf("root or mappings missing in\n%s", text)
		}
	})
}
