package spec

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/runtime-spec/specs-go"
)

func TestSetNamespace(t *testing.T) {
	d := doc(t, `"namespaces":[{"type":"pid"},{"type":"user","path":"/proc/1/ns/user"}]`)
	d.SetNamespace(specs.UserNamespace, "")
	d.SetNamespace(specs.CgroupNamespace, "")
	want := []specs.LinuxNamespace{{Type: "pid"}, {Type: "user"}, {Type: "cgroup"}}
	if diff := cmp.Diff(want, written(t, d).Linux.Namespaces); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestSetIDMappings(t *testing.T) {
	d := doc(t, `"uidMappings":[{"containerID":0,"hostID":0,"size":1}]`)
	d.SetIDMappings(165536, 65536)
	want := []specs.LinuxIDMapping{{ContainerID: 0, HostID: 165536, Size: 65536}}
	got := written(t, d).Linux
	if diff := cmp.Diff(want, got.UIDMappings); diff != "" {
		t.Errorf("users (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, got.GIDMappings); diff != "" {
		t.Errorf("groups (-want +got):\n%s", diff)
	}
}

func TestKeepCapabilities(t *testing.T) {
	d := parse(t, `{"ociVersion":"1","root":{"path":"r"},"linux":{},"process":{"cwd":"/","capabilities":{
		"bounding":["CAP_A","CAP_B"],"effective":["CAP_B"],"future":["CAP_A"]}}}`)
	d.KeepCapabilities(func(name string) bool { return name == "CAP_A" })
	got := written(t, d).Process.Capabilities
	if diff := cmp.Diff(&specs.LinuxCapabilities{Bounding: []string{"CAP_A"}, Effective: []string{}}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestCapRlimits(t *testing.T) {
	d := parse(t, `{"ociVersion":"1","root":{"path":"r"},"linux":{},"process":{"cwd":"/","rlimits":[
		{"type":"RLIMIT_NOFILE","hard":1048576,"soft":1048576},{"type":"RLIMIT_NPROC","hard":10,"soft":5},{"type":"RLIMIT_X","hard":9,"soft":9}]}}`)
	d.CapRlimits(func(name string) (uint64, bool) { return 4096, name != "RLIMIT_X" })
	want := []specs.POSIXRlimit{
		{Type: "RLIMIT_NOFILE", Hard: 4096, Soft: 4096},
		{Type: "RLIMIT_NPROC", Hard: 10, Soft: 5},
		{Type: "RLIMIT_X", Hard: 9, Soft: 9},
	}
	if diff := cmp.Diff(want, written(t, d).Process.Rlimits); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestMounts(t *testing.T) {
	d := parse(t, `{"ociVersion":"1","root":{"path":"rootfs"},"process":{"cwd":"/"},"linux":{},"mounts":[
		{"destination":"/a","type":"bind","source":"data","options":["rbind","rw","dev","idmap=uids=0-1-10"],"uidMappings":[],"x":1},
		{"destination":"/proc","type":"proc","source":"proc"}]}`)
	d.MakeAbsolute("/bundle")
	if got := d.Spec.Mounts[0].Source; got != "/bundle/data" {
		t.Errorf("source: got %s, want /bundle/data", got)
	}
	d.SetMountSource(0, "/staged/0")
	d.AddMountOptions(0, "ro", "nodev")
	d.DropIDMapping(0)
	got := written(t, d)
	want := []specs.Mount{
		{Destination: "/a", Type: "bind", Source: "/staged/0", Options: []string{"rbind", "ro", "nodev"}},
		{Destination: "/proc", Type: "proc", Source: "proc"},
	}
	if diff := cmp.Diff(want, got.Mounts); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got.Root.Path != "/bundle/rootfs" {
		t.Errorf("root: got %s, want /bundle/rootfs", got.Root.Path)
	}
}

func TestIsBind(t *testing.T) {
	tests := []struct {
		mount specs.Mount
		want  bool
	}{
		{specs.Mount{Type: "bind"}, true},
		{specs.Mount{Type: "none", Options: []string{"rbind"}}, true},
		{specs.Mount{Type: "proc", Options: []string{"ro", "bind"}}, true}, // a runtime ignores the type then
		{specs.Mount{Type: "tmpfs", Options: []string{"nodev"}}, false},
	}
	for _, tt := range tests {
		if got := IsBind(&tt.mount); got != tt.want {
			t.Errorf("%+v: got %v, want %v", tt.mount, got, tt.want)
		}
	}
}

func TestTakeSysctls(t *testing.T) {
	d := doc(t, `"sysctl":{"net.ipv4.ip_forward":"1","kernel.shmmax":"5","kernel/domainname":"d","fs.mqueue.msg_max":"7","kernel.pid_max":"9","net/ipv4/conf/eth0.100/forwarding":"1"}`)
	want := map[string]string{
		"kernel.shmmax": "5", "kernel.domainname": "d", "fs.mqueue.msg_max": "7",
		"net.ipv4.ip_forward": "1", "net.ipv4.conf.eth0/100.forwarding": "1",
	}
	if diff := cmp.Diff(want, d.TakeSysctls()); diff != "" {
		t.Errorf("taken (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]string{"kernel.pid_max": "9"}, written(t, d).Linux.Sysctl); diff != "" {
		t.Errorf("left (-want +got):\n%s", diff)
	}
}

func TestPingGroups(t *testing.T) {
	tests := []struct{ given, want string }{
		{"0 2147483647", "100000 165535"},
		{"1000 1000", "101000 101000"},
		{"1 0", "1 0"}, // nobody
		{"70000 80000", "1 0"},
		{"x", "x"},
	}
	for _, tt := range tests {
		sysctls := map[string]string{pingGroupRange: tt.given}
		ShiftPingGroups(sysctls, 100000, 65536)
		if got := sysctls[pingGroupRange]; got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.given, got, tt.want)
		}
	}
}

func TestAddHookKeepsEngineFirstAndReplacesItsOwn(t *testing.T) {
	d := parse(t, `{"ociVersion":"1","root":{"path":"r"},"process":{"cwd":"/"},"linux":{},
		"hooks":{"createRuntime":[{"path":"/proc/1/exe","args":["libnetwork-setkey"]},{"path":"/usr/bin/cloister","args":["old"]}]}}`)
	d.AddHook("createRuntime", specs.Hook{Path: "/usr/bin/cloister", Args: []string{"new"}})
	d.AddHook("poststop", specs.Hook{Path: "/usr/bin/cloister"})
	got := written(t, d).Hooks
	want := &specs.Hooks{
		CreateRuntime: []specs.Hook{{Path: "/proc/1/exe", Args: []string{"libnetwork-setkey"}}, {Path: "/usr/bin/cloister", Args: []string{"new"}}},
		Poststop:      []specs.Hook{{Path: "/usr/bin/cloister"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAllowsAllDevices(t *testing.T) {
	tests := []struct {
		rules string
		want  bool
	}{
		{`[{"allow":true,"access":"rwm"}]`, true},
		{`[{"allow":false,"access":"rwm"},{"allow":true,"type":"a","access":"rwm"}]`, true},
		{`[{"allow":true,"type":"a","major":-1,"minor":-1,"access":"rwm"}]`, true},
		{`[{"allow":false,"access":"rwm"},{"allow":true,"type":"c","access":"m"}]`, false},
		{`[{"allow":true,"type":"c","major":1,"minor":3,"access":"rwm"}]`, false},
		{`null`, false},
	}
	for _, tt := range tests {
		if got := doc(t, `"resources":{"devices":`+tt.rules+`}`).AllowsAllDevices(); got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.rules, got, tt.want)
		}
	}
}

func TestTakePaths(t *testing.T) {
	d := doc(t, `"maskedPaths":["/proc/1/root","/run/secret","/proc/self/mem","/proc//x/../keys","/sys","/proc/sys/net/core"],"readonlyPaths":["/proc/irq","/etc","/proc/sys","/proc/net"]`)
	masked, readOnly := d.TakePaths(nil)
	if want := append([]string{"proc/keys", "proc/sys/net/core"}, slices.DeleteFunc(slices.Clone(hostMasked), func(p string) bool { return p == "proc/keys" })...); !slices.Equal(masked, want) {
		t.Errorf("masked: got %q, want %q", masked, want)
	}
	if want := []string{"proc/irq", "proc/sys", "proc/bus", "proc/fs", "proc/sysrq-trigger"}; !slices.Equal(readOnly, want) {
		t.Errorf("read-only: got %q, want %q", readOnly, want)
	}
	left := written(t, d).Linux
	if want := []string{"/proc/1/root", "/run/secret", "/proc/self/mem", "/sys", "/proc/sys/net/core"}; !slices.Equal(left.MaskedPaths, want) {
		t.Errorf("left masked: got %q, want %q", left.MaskedPaths, want)
	}
	if want := []string{"/etc", "/proc/net"}; !slices.Equal(left.ReadonlyPaths, want) {
		t.Errorf("left read-only: got %q, want %q", left.ReadonlyPaths, want)
	}

	masked, _ = doc(t, `"maskedPaths":["/proc/keys"],"readonlyPaths":null`).TakePaths([]string{"proc/interrupts", "proc/keys"})
	if slices.Contains(masked, "proc/interrupts") || !slices.Contains(masked, "proc/keys") || !slices.Contains(masked, "proc/kcore") {
		t.Errorf("masked beside views: %q", masked)
	}
}

func TestMountsNear(t *testing.T) {
	for destination, want := range map[string]bool{
		"/var/lib/docker": true, "/var/lib/docker/": true, "var/lib/./docker": true, "/var/lib/docker/volumes": true,
		"/var": true, "/": false, "/var/lib/docker2": false, "/var/lib/doc": false, "/srv": false,
	} {
		d := parse(t, `{"ociVersion":"1","root":{"path":"r"},"linux":{},"process":{"cwd":"/"},"mounts":[{"destination":"`+destination+`"}]}`)
		if got := d.MountsNear("/var/lib/docker"); got != want {
			t.Errorf("%s: got %v, want %v", destination, got, want)
		}
	}
}

func TestAddMountComesLast(t *testing.T) {
	d := parse(t, `{"ociVersion":"1","root":{"path":"r"},"linux":{},"process":{"cwd":"/"},"mounts":[{"destination":"/a"}]}`)
	d.AddMount(specs.Mount{Destination: "/b", Type: "bind", Source: "/s"})
	want := []specs.Mount{{Destination: "/a"}, {Destination: "/b", Type: "bind", Source: "/s"}}
	if diff := cmp.Diff(want, written(t, d).Mounts); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestWhatAProcessMayBe(t *testing.T) {
	for process, want := range map[string][2]bool{ // may mount, starts a system
		`"args":["/sbin/init"]`: {false, true}, `"args":["/usr/lib/systemd/systemd","--x"]`: {false, true},
		`"args":["sh","init"],"capabilities":{"bounding":["CAP_SYS_ADMIN"]}`: {true, false},
		`"capabilities":{"effective":["CAP_SYS_ADMIN"]}`:                     {false, false},
	} {
		d := parse(t, `{"ociVersion":"1","root":{"path":"r"},"linux":{},"process":{"cwd":"/",`+process+`}}`)
		if got := [2]bool{d.CanMount(), d.RunsInit()}; got != want {
			t.Errorf("%s: got %v, want %v", process, got, want)
		}
	}
}
