package spec

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/runtime-spec/specs-go"
)

var update = flag.Bool("update", false, "write the golden files anew")

// trapping returns a document with a profile (JSON) and capabilities, in which calls are
// trapped.
func trapping(t *testing.T, profile string, tr Traps, capabilities ...string) *Document {
	t.Helper()
	caps, err := json.Marshal(capabilities)
	if err != nil {
		t.Fatal(err)
	}
	d := parse(t, `{"ociVersion":"1.0.2","root":{"path":"r"},"process":{"cwd":"/","capabilities":{"bounding":`+string(caps)+`}},"linux":{"seccomp":`+profile+`}}`)
	d.TrapSyscalls(tr)
	return d
}

var traps = Traps{Listener: "/run/cloister/seccomp.sock", Key: "7.3"}

// actionsOf returns the actions of all rules for a call, with their arguments' number.
func actionsOf(s *specs.LinuxSeccomp, name string) []string {
	var all []string
	for _, r := range s.Syscalls {
		if slices.Contains(r.Names, name) {
			text := strings.TrimPrefix(string(r.Action), "SCMP_ACT_")
			if len(r.Args) > 0 {
				text += " with arguments"
			}
			all = append(all, text)
		}
	}
	return all
}

// TestTrapSyscallsInRecordedProfiles shows, as the difference between two files, what
// becomes of engines' default profiles.
func TestTrapSyscallsInRecordedProfiles(t *testing.T) {
	for _, name := range []string{"docker.json", "docker-admin.json", "podman-admin.json"} {
		t.Run(name, func(t *testing.T) {
			profile, err := os.ReadFile(filepath.Join("testdata/seccomp", name))
			if err != nil {
				t.Fatal(err)
			}
			var caps []string
			if strings.Contains(name, "admin") {
				caps = []string{"CAP_SYS_ADMIN"}
			}
			got := lines(t, trapping(t, string(profile), traps, caps...).linux()["seccomp"].(object))
			golden := filepath.Join("testdata/seccomp", "trapped-"+name)
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// lines writes a profile with a line for each rule.
func lines(t *testing.T, profile object) string {
	t.Helper()
	var b strings.Builder
	write := func(v any) {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		b.Write(append(text, '\n'))
	}
	for _, rule := range elements(profile, "syscalls") {
		write(rule)
	}
	rest := object{}
	for k, v := range profile {
		if k != "syscalls" {
			rest[k] = v
		}
	}
	write(rest)
	return b.String()
}

func TestTrapSyscallsKeepsTheProfile(t *testing.T) {
	const plain = `{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[
		{"names":["read","mount","fsopen","fsmount","sysinfo","sched_getaffinity"],"action":"SCMP_ACT_ALLOW"}]}`
	affinity := traps
	affinity.CPUAffinity = true
	tests := []struct {
		name, profile string
		traps         Traps
		caps          []string
		want          map[string][]string
	}{
		{
			"allowed ones are trapped", plain, affinity,
			[]string{"CAP_SYS_ADMIN"},
			map[string][]string{
				"mount": {"NOTIFY"}, "sysinfo": {"NOTIFY"}, "sched_getaffinity": {"NOTIFY"}, "syslog": nil,
				"fsopen": {"ERRNO"}, "fsmount": {"ALLOW"}, "fspick": nil, "read": {"ALLOW"},
			},
		},
		{
			"mount only of who may mount, affinity only by the settings", plain, traps, nil,
			map[string][]string{"mount": {"ALLOW"}, "fsopen": {"ALLOW"}, "sched_getaffinity": {"ALLOW"}, "sysinfo": {"NOTIFY"}},
		},
		{
			"a profile that denies mount", `{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[
				{"names":["mount"],"action":"SCMP_ACT_ERRNO"}, {"names":["sysinfo"],"action":"SCMP_ACT_KILL"}]}`, traps,
			[]string{"CAP_SYS_ADMIN"},
			map[string][]string{"mount": {"ERRNO"}, "sysinfo": {"KILL"}, "fsopen": nil, "syslog": {"NOTIFY"}},
		},
		{
			"conditions stay", `{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[
				{"names":["mount"],"action":"SCMP_ACT_ALLOW","args":[{"index":3,"value":1,"op":"SCMP_CMP_EQ"}]},
				{"names":["sysinfo"],"action":"SCMP_ACT_ALLOW","args":[]},
				{"names":["syslog"],"action":"SCMP_ACT_ALLOW"},
				{"names":["syslog"],"action":"SCMP_ACT_ERRNO","args":[{"index":0,"value":3,"op":"SCMP_CMP_EQ"}]}]}`, traps,
			[]string{"CAP_SYS_ADMIN"},
			map[string][]string{"mount": {"ALLOW with arguments"}, "sysinfo": {"NOTIFY"}, "syslog": {"ALLOW", "ERRNO with arguments"}},
		},
		{
			"a call that is allowed twice", `{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[
				{"names":["syslog"],"action":"SCMP_ACT_ALLOW"}, {"names":["syslog"],"action":"SCMP_ACT_ALLOW"}]}`, traps, nil,
			map[string][]string{"syslog": {"NOTIFY"}},
		},
		{
			"what is logged, is logged", `{"defaultAction":"SCMP_ACT_LOG"}`, traps, nil,
			map[string][]string{"sysinfo": nil},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := written(t, trapping(t, tt.profile, tt.traps, tt.caps...)).Linux.Seccomp
			for name, want := range tt.want {
				if diff := cmp.Diff(want, actionsOf(got, name)); diff != "" {
					t.Errorf("%s (-want +got):\n%s", name, diff)
				}
			}
			if len(got.Architectures) > 0 {
				t.Errorf("architectures %v, want none as before", got.Architectures)
			}
		})
	}
}

func TestTrapSyscallsTellsTheListener(t *testing.T) {
	got := written(t, trapping(t, `null`, traps)).Linux.Seccomp
	if got.ListenerPath != traps.Listener || got.ListenerMetadata != traps.Key {
		t.Errorf("listener %q with %q", got.ListenerPath, got.ListenerMetadata)
	}
	got = written(t, trapping(t, `{"defaultAction":"SCMP_ACT_ERRNO"}`, traps)).Linux.Seccomp
	if got.ListenerPath != "" || got.ListenerMetadata != "" {
		t.Error("a listener for a container no call of which is trapped")
	}
}

func TestTrapSyscallsWithoutProfile(t *testing.T) {
	got := written(t, trapping(t, `null`, traps, "CAP_SYS_ADMIN")).Linux.Seccomp
	for name, want := range map[string][]string{
		"mount": {"NOTIFY"}, "sysinfo": {"NOTIFY"}, "syslog": {"NOTIFY"},
		"fsconfig": nil, "fsmount": nil, "fsopen": {"ERRNO"}, "fspick": nil,
		"socket": slices.Repeat([]string{"ERRNO with arguments"}, 4), "open_tree": nil, "umount": {"NOTIFY"}, "umount2": {"NOTIFY"},
	} {
		if diff := cmp.Diff(want, actionsOf(got, name)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if got.DefaultAction != specs.ActAllow {
		t.Errorf("by default %s", got.DefaultAction)
	}
}

// Whoever is not named in the filter can't run at all.
func TestOpenProfileNamesAllABIs(t *testing.T) {
	for machine, want := range map[string]list{
		"amd64":   {"SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"},
		"arm64":   {"SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"},
		"riscv64": nil, // libseccomp's own choice, which is all there is
	} {
		if diff := cmp.Diff(want, elements(openProfile(machine), "architectures")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", machine, diff)
		}
	}
}

func TestTrapSyscallsWaitKillable(t *testing.T) {
	killable := traps
	killable.WaitKillable = true
	const flag, spec, log = specs.LinuxSeccompFlagWaitKillableRecv, specs.LinuxSeccompFlagSpecAllow, specs.LinuxSeccompFlagLog
	tests := []struct {
		profile string
		traps   Traps
		want    []specs.LinuxSeccompFlag
	}{
		{`null`, traps, nil},
		{`null`, killable, []specs.LinuxSeccompFlag{spec, flag}},
		{`{"defaultAction":"SCMP_ACT_ALLOW","flags":[]}`, killable, []specs.LinuxSeccompFlag{flag}},
		{`{"defaultAction":"SCMP_ACT_ALLOW","flags":["SECCOMP_FILTER_FLAG_LOG"]}`, killable, []specs.LinuxSeccompFlag{log, flag}},
		{`{"defaultAction":"SCMP_ACT_ALLOW","flags":["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"]}`, killable, []specs.LinuxSeccompFlag{flag}},
		{`{"defaultAction":"SCMP_ACT_ERRNO"}`, killable, nil}, // only together with a listener
	}
	for _, tt := range tests {
		if diff := cmp.Diff(tt.want, written(t, trapping(t, tt.profile, tt.traps)).Linux.Seccomp.Flags); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.profile, diff)
		}
	}
}

// FuzzTrapSyscalls holds that nothing becomes allowed, and that a trapped call has one rule.
func FuzzTrapSyscalls(f *testing.F) {
	f.Add([]byte(`{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{"names":["mount","fsopen"],"action":"SCMP_ACT_ALLOW"}]}`))
	f.Add([]byte(`{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[null,{"names":null},{"names":["mount","mount"],"action":"SCMP_ACT_LOG"}]}`))
	f.Fuzz(func(t *testing.T, profile []byte) {
		d, err := Parse([]byte(`{"root":{},"process":{"capabilities":{"bounding":["CAP_SYS_ADMIN"]}},"linux":{"seccomp":` + string(profile) + `}}`))
		if err != nil || d.Spec.Linux.Seccomp == nil {
			return
		}
		before := d.Spec.Linux.Seccomp
		d.TrapSyscalls(traps)
		text, err := d.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		again, err := Parse(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		after := again.Spec.Linux.Seccomp
		for _, rule := range before.Syscalls {
			for _, name := range rule.Names {
				was, is := actionsOf(before, name), actionsOf(after, name)
				if name == "socket" || name == socketcall { // see socketcall_test.go
					continue
				}
				if !slices.Equal(is, []string{"NOTIFY"}) && !slices.Equal(is, []string{"ERRNO"}) && !slices.Equal(was, is) {
					t.Errorf("%s was %q, is %q", name, was, is)
				}
				if slices.Contains(is, "NOTIFY") && slices.ContainsFunc(was, func(a string) bool {
					return a != "ALLOW" && a != "ALLOW with arguments" && a != "NOTIFY"
				}) {
					t.Errorf("%s was %q, is trapped", name, was)
				}
			}
		}
	})
}
