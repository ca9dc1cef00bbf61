package bundle

import (
	"strings"

	"github.com/moby/sys/capability"
	"github.com/opencontainers/runtime-spec/specs-go"
)

// defaultCapabilities are docker's.
var defaultCapabilities = []string{
	"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD", "CAP_NET_RAW", "CAP_SETGID",
	"CAP_SETUID", "CAP_SETFCAP", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_KILL", "CAP_AUDIT_WRITE",
}

func capabilities(privileged bool) *specs.LinuxCapabilities {
	all := defaultCapabilities
	if privileged {
		all = nil
		for _, c := range capability.ListKnown() {
			all = append(all, "CAP_"+strings.ToUpper(c.String()))
		}
	}
	return &specs.LinuxCapabilities{Bounding: all, Effective: all, Permitted: all}
}
