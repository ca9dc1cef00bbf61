package policy

import (
	"os"
	"slices"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"cloister/internal/sys"
)

func dev(path, kind string, major, minor int64) specs.LinuxDevice {
	return specs.LinuxDevice{Path: path, Type: kind, Major: major, Minor: minor}
}

func allow(kind string, major, minor int64, access string) specs.LinuxDeviceCgroup {
	r := specs.LinuxDeviceCgroup{Allow: true, Type: kind, Access: access}
	if major >= 0 {
		r.Major = &major
	}
	if minor >= 0 {
		r.Minor = &minor
	}
	return r
}

var (
	denyAll  = specs.LinuxDeviceCgroup{Allow: false, Access: "rwm"}
	allowAll = specs.LinuxDeviceCgroup{Allow: true, Access: "rwm"}
)

func (h *host) deviceRequest(devices []specs.LinuxDevice, rules ...specs.LinuxDeviceCgroup) *Request {
	r := h.request()
	s := *r.Config.Spec
	s.Linux.Devices = devices
	s.Linux.Resources = &specs.LinuxResources{Devices: rules}
	return h.requestFor(s)
}

func TestDevicesOneByOne(t *testing.T) {
	h := newHost(t)
	tests := []struct {
		name    string
		devices []specs.LinuxDevice
		rules   []specs.LinuxDeviceCgroup
		want    string
	}{
		{"harmless", []specs.LinuxDevice{dev("/dev/null", "c", 1, 3)}, []specs.LinuxDeviceCgroup{denyAll, allow("c", 1, 3, "rwm")}, ""},
		{"what engines allow by default", nil, []specs.LinuxDeviceCgroup{denyAll, allow("c", -1, -1, "m"), allow("b", -1, -1, "m"), allow("c", 5, 1, "rwm"), allow("c", 136, -1, "rwm")}, ""},
		{"a disk", []specs.LinuxDevice{dev("/dev/sda", "b", 8, 0)}, []specs.LinuxDeviceCgroup{denyAll}, "can't give the host's device /dev/sda (b 8:0)"},
		{"a disk under another name", []specs.LinuxDevice{dev("/dev/harmless", "b", 8, 0)}, []specs.LinuxDeviceCgroup{denyAll}, "can't give"},
		{"a harmless number at another device's path", []specs.LinuxDevice{dev("/dev/tty", "c", 1, 3)}, []specs.LinuxDeviceCgroup{denyAll}, "can't give"},
		{"a link to a harmless one", []specs.LinuxDevice{dev(h.link("/dev/null", "null"), "c", 1, 3)}, []specs.LinuxDeviceCgroup{denyAll}, "can't give"},
		{"one that is not there", []specs.LinuxDevice{dev("/dev/nonexistent", "c", 1, 3)}, []specs.LinuxDeviceCgroup{denyAll}, "can't give"},
		{"a path that is not clean", []specs.LinuxDevice{dev("/dev/shm/../null", "c", 1, 3)}, []specs.LinuxDeviceCgroup{denyAll}, "can't give"},
		{"a rule for a disk", nil, []specs.LinuxDeviceCgroup{denyAll, allow("b", 8, 0, "r")}, "can't allow a container the devices b 8:0 (r)"},
		{"a rule for all disks", nil, []specs.LinuxDeviceCgroup{denyAll, allow("b", 8, -1, "rwm")}, "b 8:* (rwm)"},
		{"a rule for all character devices", nil, []specs.LinuxDeviceCgroup{denyAll, allow("c", -1, -1, "w")}, "c *:* (w)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			wantRefusal(t, h.rules.Review(h.deviceRequest(tt.devices, tt.rules...)), tt.want)
		})
	}
}

// A bind of a device node is judged like the device, wherever the node is and whoever
// else is privileged.
func TestDeviceNodesAsBindSources(t *testing.T) {
	h := newHost(t)
	for source, want := range map[string]string{"/dev/null": "", "/dev/full": "", "/dev/fuse": "can't give the host's device /dev/fuse (c "} {
		if _, err := os.Stat(source); err != nil {
			t.Skipf("this machine has no %s: %v", source, err)
		}
		t.Run(source, func(t *testing.T) { wantRefusal(t, h.rules.Review(h.request(bind(source))), want) })
	}
}

func TestPrivilegedKeepsOnlyHarmlessDevices(t *testing.T) {
	h := newHost(t)
	r := h.deviceRequest([]specs.LinuxDevice{
		dev("/dev/null", "c", 1, 3), dev("/dev/sda", "b", 8, 0), dev("/dev/kmsg", "c", 1, 11), dev("/dev/console", "c", 5, 1),
	}, allowAll)
	wantRefusal(t, h.rules.Review(r), "")
	d := h.rules.Devices(r)
	for path, want := range map[string]bool{"/dev/null": true, "/dev/sda": false, "/dev/kmsg": false, "/dev/console": false} {
		if got := d.Keep(path); got != want {
			t.Errorf("%s kept: got %v, want %v", path, got, want)
		}
	}
	if want := []string{"/dev/kmsg"}; !slices.Equal(d.Empty, want) {
		t.Errorf("empty devices: got %v, want %v", d.Empty, want)
	}
	checkClosed(t, d.Rules)
}

// The kernel's log is given to no container, and asking for it is no error: there is an
// empty device in its place, and no rule opens the real one.
func TestKernelLogIsEmpty(t *testing.T) {
	h := newHost(t)
	rule := allow("c", 1, 11, "rwm")
	for path, want := range map[string]string{"/dev/kmsg": "", "/dev/log/kernel": "", "/etc/kmsg": "can't give", "/dev/../etc/kmsg": "can't give"} {
		r := h.deviceRequest([]specs.LinuxDevice{dev(path, "c", 1, 11)}, denyAll, rule)
		wantRefusal(t, h.rules.Review(r), want)
		if want != "" {
			continue
		}
		d := h.rules.Devices(r)
		if d.Keep(path) || !slices.Equal(d.Empty, []string{path}) {
			t.Errorf("%s: kept %v, empty %v", path, d.Keep(path), d.Empty)
		}
		checkClosed(t, d.Rules)
	}
	wantRefusal(t, h.rules.Review(h.deviceRequest(nil, denyAll, rule)), "can't allow a container the devices c 1:11")
}

// checkClosed makes sure that rules begin by denying all and open only what is
// harmless.
func checkClosed(t *testing.T, rules []specs.LinuxDeviceCgroup) {
	t.Helper()
	if len(rules) == 0 || rules[0].Allow || rules[0].Major != nil {
		t.Fatalf("rules don't begin by denying everything: %+v", rules)
	}
	for _, r := range rules[1:] {
		if r.Allow && r.Access != "m" && !permitsRule(harmless, r) {
			t.Errorf("rule %+v opens more than what is harmless", r)
		}
	}
}

func TestRulesThatDontStartClosedAreReplaced(t *testing.T) {
	h := newHost(t)
	for _, rules := range [][]specs.LinuxDeviceCgroup{nil, {allow("c", 1, 3, "rwm")}} {
		checkClosed(t, h.rules.Devices(h.deviceRequest(nil, rules...)).Rules)
	}
	if got := h.rules.Devices(h.deviceRequest(nil, denyAll)).Rules; got != nil {
		t.Errorf("rules that start closed were replaced by %+v", got)
	}
}

func TestSettingsAllowADevice(t *testing.T) {
	const path = "/dev/fuse"
	st, err := sys.StatPath(path)
	if err != nil {
		t.Skipf("this machine has no %s: %v", path, err)
	}
	major, minor := st.Device()
	h := newHost(t)
	r := h.deviceRequest([]specs.LinuxDevice{dev(path, "c", major, minor)}, denyAll, allow("c", major, minor, "rwm"))
	wantRefusal(t, h.rules.Review(r), "can't give")
	h.rules.Lists.Devices = []string{path}
	wantRefusal(t, h.rules.Review(r), "")
	if !h.rules.Devices(r).Keep(path) {
		t.Errorf("%s is not kept", path)
	}

	privileged := h.deviceRequest(r.Config.Spec.Linux.Devices, allowAll)
	got := h.rules.Devices(privileged).Rules
	if !slices.ContainsFunc(got, func(c specs.LinuxDeviceCgroup) bool {
		return c.Allow && c.Major != nil && *c.Major == major && c.Minor != nil && *c.Minor == minor
	}) {
		t.Errorf("a privileged container's rules don't open %s: %+v", path, got)
	}
}
