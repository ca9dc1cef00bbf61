package policy

import (
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

func TestAnnotationsThatTheRuntimeObeys(t *testing.T) {
	tests := []struct{ name, value, want string }{
		{"run.oci.hooks.stderr", "/etc/profile", `the runtime would obey the annotation run.oci.hooks.stderr="/etc/profile" with the host's privileges`},
		{"run.oci.seccomp.plugins", "/v/evil.so", "run.oci.seccomp.plugins"},
		{"run.oci.handler", "krun", "run.oci.handler"},
		{"run.oci.keep_original_groups", "1", "run.oci.keep_original_groups"},
		{"run.oci.of.the.future", "", "run.oci.of.the.future"},
		{"run.oci.mount_context_type", "rootcontext", ""},
		{"run.oci.mount_context_type", "lowerdir=/etc", "run.oci.mount_context_type"},
		{"krun.ram_mib", "1", "krun.ram_mib"},
		{"module.wasm.image/variant", "compat", "module.wasm.image/variant"},
		{"org.criu.config", "/v/criu.conf", "org.criu.config"},
		{"org.systemd.property.SuccessAction", "'reboot-force'", "org.systemd.property.SuccessAction"},
		{"org.systemd.property.After", "['crio.service']", ""},
		{"org.opencontainers.image.stopSignal", "15", ""},
		{"bundle", "/tmp/other", "the annotation bundle="},
		{"com.example.run.oci.handler", "krun", ""},
	}
	h := newHost(t)
	for _, tt := range tests {
		t.Run(tt.name+"="+tt.value, func(t *testing.T) {
			r := h.request()
			r.Config.Spec.Annotations = map[string]string{tt.name: tt.value}
			wantRefusal(t, h.rules.Review(r), tt.want)
		})
	}
}

func TestWhatTheRuntimeDoesOnTheHost(t *testing.T) {
	tests := []struct {
		name  string
		linux func(*specs.Linux)
		want  string
	}{
		{"seccomp listener", func(l *specs.Linux) { l.Seccomp = &specs.LinuxSeccomp{ListenerPath: "/run/x.sock"} }, "can't send its system calls to /run/x.sock"},
		{"seccomp profile", func(l *specs.Linux) { l.Seccomp = &specs.LinuxSeccomp{DefaultAction: specs.ActErrno} }, ""},
		{"network device", func(l *specs.Linux) { l.NetDevices = map[string]specs.LinuxNetDevice{"eth0": {}} }, `network devices of the host ["eth0"]`},
		{"host process into the cgroup", unified("cgroup.procs"), "cgroup.procs is not a limit"},
		{"another cgroup", unified("../x/memory.max"), "is not a limit"},
		{"limit", unified("memory.high"), ""},
	}
	h := newHost(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := h.request()
			tt.linux(r.Config.Spec.Linux)
			wantRefusal(t, h.rules.Review(r), tt.want)
		})
	}
}

func unified(file string) func(*specs.Linux) {
	return func(l *specs.Linux) { l.Resources = &specs.LinuxResources{Unified: map[string]string{file: "1"}} }
}
