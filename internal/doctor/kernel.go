package doctor

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/moby/sys/capability"
)

// neededCapabilities are those that cloister itself can't do without.
var neededCapabilities = []string{"CAP_SYS_ADMIN", "CAP_SETUID", "CAP_SETGID"}

// privileges looks for what root may not do here.
func privileges(h *Host) []Finding {
	const next = "give these capabilities to the virtual machine or container that this host runs in"
	have, err := h.Capabilities()
	if err != nil {
		return fail("", "%v", err)
	}
	var missing []string
	for _, c := range capability.ListKnown() {
		if name := "CAP_" + strings.ToUpper(c.String()); !have[name] {
			missing = append(missing, name)
		}
	}
	list := strings.Join(missing, " ")
	switch {
	case slices.ContainsFunc(neededCapabilities, func(c string) bool { return !have[c] }):
		return fail(next, "lacks %s; cloister can't work without them", list)
	case len(missing) > 0:
		return warn(next+", if a container needs them", "lacks %s, and so does every container", list)
	}
	return ok("has all capabilities")
}

// kernel tries what cloister needs of the kernel.
func kernel(h *Host) []Finding {
	var out []Finding
	all := h.Features(h.probeDir())
	for _, f := range all {
		if f.Err == nil || f.Name == "fuse" { // that has a check of its own
			continue
		}
		next := fmt.Sprintf("boot Linux %s or later, with this built in and not switched off", f.Kernel)
		if errors.Is(f.Err, syscall.ENOSPC) { // create_user_ns(), kernel/user_namespace.c
			next = "sysctl user.max_user_namespaces=65536"
		}
		report := warn
		if f.Needed {
			report = fail
		}
		out = append(out, report(next, "%s does not work (needed so that %s): %v", f.Name, f.Purpose, f.Err)...)
	}
	if out != nil {
		return out
	}
	release, err := h.read("/proc/sys/kernel/osrelease")
	if err != nil {
		return fail("", "%v", err)
	}
	return ok("Linux %s can do all that cloister uses", strings.TrimSpace(string(release)))
}

// probeDir returns a directory on the disk that the daemon uses or would use.
func (h *Host) probeDir() string {
	dir := h.Root.Path(h.StateDir)
	for dir != "/" {
		if info, err := os.Stat(dir); err == nil && info.IsDir() {
			break
		}
		dir = filepath.Dir(dir)
	}
	return dir
}

// fuseDevice looks for the device through which the views are served.
func fuseDevice(h *Host) []Finding {
	f, err := os.OpenFile(h.Root.Path("/dev/fuse"), os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ENODEV) {
		return fail("modprobe fuse", "it is missing: the kernel's FUSE is not loaded")
	}
	if err != nil {
		return fail("let root open it for reading and writing", "%v", err)
	}
	if err := f.Close(); err != nil {
		return fail("", "%v", err)
	}
	return ok("can be opened")
}
