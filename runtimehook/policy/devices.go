package policy

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"cloister/internal/sys"
	"cloister/runtimehook/spec"
)

// device is a device number and its kind, "c" or "b". A minor of anyMinor stands
// for all of them.
type device struct {
	kind         string
	major, minor int64
}

const anyMinor = -1

// harmless are the device nodes that every container has: they hold nothing of
// the host's and control nothing.
var harmless = []device{
	{"c", 1, 3}, // null
	{"c", 1, 5}, // zero
	{"c", 1, 7}, // full
	{"c", 1, 8}, // random
	{"c", 1, 9}, // urandom
	{"c", 5, 0}, // tty, the caller's own terminal
}

// terminals are what the device cgroup of every container allows besides, for
// the devpts of the container. The host's nodes of these numbers are not given.
var terminals = []device{
	{"c", 5, 1},          // console
	{"c", 5, 2},          // ptmx
	{"c", 136, anyMinor}, // pts/*
}

// kmsg is the host's kernel log. A container that is given it gets an empty file of its
// own there: programs that run containers want to write to it, and it tells about the host.
var kmsg = device{"c", 1, 11}

// Devices is what a container gets of the host's devices.
type Devices struct {
	// Keep tells which entries of linux.devices stay.
	Keep func(path string) bool
	// Empty are the paths of those that show an empty device in their place.
	Empty []string
	// Rules replace those of the config's device cgroup, unless nil.
	Rules []specs.LinuxDeviceCgroup
}

// Devices implements Policy.
func (p *Rules) Devices(r *Request) Devices {
	allowed := p.allowed()
	kept := map[string]bool{}
	var empty []string
	rules := defaultRules()
	for _, d := range r.Config.Spec.Linux.Devices {
		n := device{d.Type, d.Major, d.Minor}
		if !p.permits(allowed, d.Path, n) {
			if isKernelLog(&d) {
				empty = append(empty, d.Path)
			}
			continue
		}
		kept[d.Path] = true
		if !slices.Contains(harmless, n) {
			rules = append(rules, rule(n, "rwm"))
		}
	}
	out := Devices{Keep: func(path string) bool { return kept[path] }, Empty: empty}
	if r.Config.AllowsAllDevices() || !startsClosed(r.Config) || len(empty) > 0 {
		out.Rules = rules
	}
	return out
}

// devices refuses devices that the container was given one by one. A privileged
// container is given all of them, and gets the harmless ones without a complaint.
func (p *Rules) devices(r *Request) []error {
	if r.Config.AllowsAllDevices() {
		return nil
	}
	var errs []error
	allowed := p.allowed()
	for _, d := range r.Config.Spec.Linux.Devices {
		if isKernelLog(&d) {
			allowed = append(allowed, kmsg) // by the rules that come with it; they are replaced
		} else if n := (device{d.Type, d.Major, d.Minor}); !p.permits(allowed, d.Path, n) {
			errs = append(errs, p.deniedDevice(d.Path, n))
		}
	}
	if r.Config.Spec.Linux.Resources == nil {
		return errs
	}
	for _, c := range r.Config.Spec.Linux.Resources.Devices {
		if c.Allow && strings.ContainsAny(c.Access, "rw") && !permitsRule(allowed, c) {
			errs = append(errs, refuse("device", "%v: can't allow a container the devices %s %s:%s (%s); to allow one, add its path to cloister.devices in %s",
				spec.ErrSpec, c.Type, number(c.Major), number(c.Minor), c.Access, p.SettingsPath))
		}
	}
	return errs
}

func isKernelLog(d *specs.LinuxDevice) bool {
	return device{d.Type, d.Major, d.Minor} == kmsg && strings.HasPrefix(d.Path, "/dev/") && d.Path == filepath.Clean(d.Path)
}

func (p *Rules) deniedDevice(path string, d device) error {
	return refuse("device", "%v: can't give the host's device %s (%s %d:%d) to a container; to allow it, add its path to cloister.devices in %s",
		spec.ErrSpec, path, d.kind, d.major, d.minor, p.SettingsPath)
}

// allowed returns the devices of which a container may have nodes.
func (p *Rules) allowed() []device {
	out := slices.Clone(harmless)
	for _, path := range p.Lists.Devices {
		if st, err := sys.StatPath(path); err == nil && st.IsDevice() {
			out = append(out, deviceOf(st))
		}
	}
	return out
}

// permits judges an entry of linux.devices. In a user namespace a runtime can't make
// nodes and binds the host's node of the same path, by its name. So there must be
// this device, and no one but the host's root may be able to put something else
// there: it is in the file system of /dev, and no link leads to it.
func (p *Rules) permits(allowed []device, path string, d device) bool {
	return slices.Contains(allowed, d) && isNode(path, d)
}

func isNode(path string, d device) bool {
	dev, err := sys.StatPath("/dev")
	if err != nil {
		return false
	}
	node, err := sys.OpenPath(path)
	if err != nil {
		return false
	}
	defer node.Close()
	st, err := node.Stat()
	if err != nil || st.Dev != dev.Dev || !st.IsDevice() || deviceOf(st) != d {
		return false
	}
	real, err := node.RealPath()
	return err == nil && real == path && strings.HasPrefix(path, "/dev/")
}

func permitsRule(allowed []device, c specs.LinuxDeviceCgroup) bool {
	d := device{kind: c.Type, major: -1, minor: anyMinor}
	if c.Major != nil {
		d.major = *c.Major
	}
	if c.Minor != nil {
		d.minor = *c.Minor
	}
	return slices.Contains(allowed, d) || slices.ContainsFunc(terminals, func(t device) bool {
		return t == d || t.minor == anyMinor && t.kind == d.kind && t.major == d.major
	})
}

// startsClosed reports whether the config's own device rules begin by denying
// everything, as engines write them.
func startsClosed(config *spec.Document) bool {
	r := config.Spec.Linux.Resources
	if r == nil || len(r.Devices) == 0 {
		return false
	}
	first := r.Devices[0]
	return !first.Allow && first.Major == nil && first.Minor == nil && (first.Type == "" || first.Type == "a") &&
		(first.Access == "" || first.Access == "rwm")
}

// defaultRules are what engines allow a container that is not privileged. Making
// nodes of any kind is among it; only opening them matters.
func defaultRules() []specs.LinuxDeviceCgroup {
	rules := []specs.LinuxDeviceCgroup{
		{Allow: false, Access: "rwm"},
		{Allow: true, Type: "c", Access: "m"},
		{Allow: true, Type: "b", Access: "m"},
	}
	for _, d := range slices.Concat(harmless, terminals) {
		rules = append(rules, rule(d, "rwm"))
	}
	return rules
}

func rule(d device, access string) specs.LinuxDeviceCgroup {
	c := specs.LinuxDeviceCgroup{Allow: true, Type: d.kind, Major: &d.major, Access: access}
	if d.minor != anyMinor {
		c.Minor = &d.minor
	}
	return c
}

func deviceOf(st sys.Stat) device {
	major, minor := st.Device()
	d := device{kind: "c", major: major, minor: minor}
	if st.IsBlockDevice() {
		d.kind = "b"
	}
	return d
}

func number(n *int64) string {
	if n == nil || *n < 0 {
		return "*"
	}
	return fmt.Sprint(*n)
}
