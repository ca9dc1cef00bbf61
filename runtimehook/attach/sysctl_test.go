package attach

import (
	"strings"
	"testing"

	"cloister/runtimehook/spec"
)

func TestSysctlPath(t *testing.T) {
	tests := []struct{ name, want string }{
		{"net.ipv4.ip_forward", "/proc/sys/net/ipv4/ip_forward"},
		{"net.ipv4.conf.eth0/5.forwarding", "/proc/sys/net/ipv4/conf/eth0.5/forwarding"},
		{"kernel.shmmni", "/proc/sys/kernel/shmmni"},
		{"net.//.kernel.core_pattern", ""},
		{"net./.kernel", ""},
		{"net..core", ""},
		{"net/core/somaxconn", ""}, // the document's names have dots by now
		{"/net.core", ""},
		{"", ""},
	}
	for _, tt := range tests {
		got, err := sysctlPath(tt.name)
		if got != tt.want || (err == nil) != (tt.want != "") {
			t.Errorf("%q: got %q, %v, want %q", tt.name, got, err, tt.want)
		}
	}
}

// A name that belongs to a namespace never leads to a file that does not.
func FuzzSysctlPath(f *testing.F) {
	for _, name := range []string{"net.ipv4.ip_forward", "fs.mqueue.msg_max", "net.//.kernel.core_pattern", "kernel.sem"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		path, err := sysctlPath(name)
		if err != nil || spec.SysctlNamespace(name) == "" {
			return
		}
		for _, dir := range []string{"net/", "fs/mqueue/", "kernel/"} {
			if strings.HasPrefix(path, "/proc/sys/"+dir) && !strings.Contains(path, "/../") {
				return
			}
		}
		t.Errorf("%q leads to %s", name, path)
	})
}
