package vm

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const modulesDep = `# written by hand
kernel/a.ko.xz:
kernel/b-c.ko.xz: kernel/a.ko.xz
kernel/d.ko: kernel/b-c.ko.xz kernel/a.ko.xz
kernel/e.ko.zst: kernel/d.ko kernel/in.ko
kernel/x.ko: kernel/y.ko
kernel/y.ko: kernel/x.ko
kernel/broken.ko: kernel/gone.ko

`

func TestModules(t *testing.T) {
	for _, tt := range []struct {
		name    string
		names   []string
		want    []string
		wantErr string
	}{
		{name: "none"},
		{name: "needs none", names: []string{"a"}, want: []string{"kernel/a.ko.xz"}},
		{name: "dash for underscore", names: []string{"b_c"}, want: []string{"kernel/a.ko.xz", "kernel/b-c.ko.xz"}},
		{name: "underscore for dash", names: []string{"b-c"}, want: []string{"kernel/a.ko.xz", "kernel/b-c.ko.xz"}},
		{name: "chain", names: []string{"d"}, want: []string{"kernel/a.ko.xz", "kernel/b-c.ko.xz", "kernel/d.ko"}},
		{name: "each once", names: []string{"d", "a", "d"}, want: []string{"kernel/a.ko.xz", "kernel/b-c.ko.xz", "kernel/d.ko"}},
		{name: "built in", names: []string{"in"}},
		{
			name: "needs one that is built in", names: []string{"e"},
			want: []string{"kernel/a.ko.xz", "kernel/b-c.ko.xz", "kernel/d.ko", "kernel/e.ko.zst"},
		},
		{name: "circle", names: []string{"x"}, want: []string{"kernel/y.ko", "kernel/x.ko"}},
		{name: "unknown", names: []string{"a", "z"}, wantErr: "the kernel has no module z"},
		{name: "needs an unknown one", names: []string{"broken"}, wantErr: "broken: the kernel has no module gone"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m, err := parseModulesDep(strings.NewReader(modulesDep))
			if err != nil {
				t.Fatal(err)
			}
			m.builtin("kernel/in.ko")
			got, err := m.closure(tt.names...)
			if tt.wantErr != "" {
				if err == nil || err.Error() != tt.wantErr {
					t.Fatalf("got error %v, want %s", err, tt.wantErr)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("closure of %v (-want +got):\n%s", tt.names, diff)
			}
		})
	}
}

func TestParseModulesDepErrors(t *testing.T) {
	for _, text := range []string{"kernel/a.ko", "kernel/a.ko kernel/b.ko:", ": kernel/a.ko", ".ko:"} {
		if m, err := parseModulesDep(strings.NewReader(text)); err == nil {
			t.Errorf("%q: got %v, want an error", text, m)
		}
	}
}

// FuzzModules closes over every module and looks at the order.
func FuzzModules(f *testing.F) {
	f.Add(modulesDep)
	f.Add("a.ko: a.ko\n")
	f.Fuzz(func(t *testing.T, text string) {
		m, err := parseModulesDep(strings.NewReader(text))
		if err != nil {
			return
		}
		for name, module := range m {
			order, err := m.closure(name)
			if err != nil {
				continue // it needs one that is not there
			}
			if len(order) == 0 || order[len(order)-1] != module.path {
				t.Fatalf("%s is not the last of %q", name, order)
			}
			sorted := slices.Sorted(slices.Values(order))
			if len(slices.Compact(sorted)) != len(order) {
				t.Fatalf("%q has one twice", order)
			}
			for _, need := range module.needs {
				if !slices.ContainsFunc(order, func(p string) bool { return moduleName(p) == moduleName(need) }) {
					t.Fatalf("%q lacks %s, which %s needs", order, need, name)
				}
			}
		}
	})
}
