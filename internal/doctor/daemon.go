package doctor

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/moby/sys/mountinfo"

	"cloister/internal/api"
	"cloister/internal/settings"
)

// settingsFile reads the administrator's settings as the daemon does.
func settingsFile(h *Host) []Finding {
	path := h.Root.Path(h.SettingsPath)
	if _, err := settings.Load(path); errors.Is(err, os.ErrPermission) {
		return unreadable(err)
	} else if err != nil {
		return fail("correct the file, then systemctl reload cloister; no daemon starts with it, and one that runs goes by the settings of before", "%v", err)
	}
	if _, err := os.Stat(path); err != nil {
		return ok("the defaults, without a file %s", h.SettingsPath)
	}
	return ok("%s is valid", h.SettingsPath)
}

// daemon asks the daemon.
func daemon(h *Host) []Finding {
	s, err := h.Status()
	switch {
	case errors.Is(err, api.ErrNoDaemon):
		return fail("systemctl restart cloister", "nobody answers on %s", api.SocketPath(h.RunDir))
	case err != nil:
		return fail("see its log: journalctl -u cloister", "%v", err)
	case s.Version != h.Version:
		return warn("systemctl restart cloister", "it runs version %s, but %s is installed", s.Version, h.Version)
	}
	return ok("version %s, %d containers", s.Version, s.Containers)
}

// runDirectory makes sure that containers can pass the daemon's directory, and
// that nobody but root can change it.
func runDirectory(h *Host) []Finding {
	info, err := os.Stat(h.Root.Path(h.RunDir))
	if errors.Is(err, os.ErrNotExist) {
		return ok("%s is not there yet; the daemon makes it", h.RunDir)
	}
	if err != nil {
		return fail("use another --run-dir", "%v", err)
	}
	if info.Mode()&0o022 != 0 {
		return fail("chmod 711 "+h.RunDir, "others than root can write to %s", h.RunDir)
	}
	for dir := h.RunDir; dir != "/" && dir != "."; dir = filepath.Dir(dir) {
		if info, err := os.Stat(h.Root.Path(dir)); err != nil || info.Mode()&0o001 == 0 {
			return fail("chmod o+x "+dir, "users of containers can't pass %s, where their files are", dir)
		}
	}
	return ok("%s", h.RunDir)
}

// viewsType is the file system type of the views.
const viewsType = "fuse.cloister"

// staleMounts looks for views whose daemon is gone.
func staleMounts(h *Host) []Finding {
	f, err := os.Open(h.Root.Path("/proc/self/mountinfo"))
	if err != nil {
		return warn("", "%v", err)
	}
	defer f.Close()
	mounts, err := mountinfo.GetMountsFromReader(f, mountinfo.FSTypeFilter(viewsType))
	if err != nil {
		return warn("", "%v", err)
	}
	var stale []string
	for _, m := range mounts {
		if err := h.Stat(m.Mountpoint); errors.Is(err, syscall.ENOTCONN) {
			stale = append(stale, m.Mountpoint)
		}
	}
	if len(stale) == 0 {
		return ok("none")
	}
	next := "umount -l " + strings.Join(stale, " ")
	foreign := func(dir string) bool { return filepath.Dir(dir) != filepath.Join(h.RunDir, "views") }
	if !slices.ContainsFunc(stale, foreign) {
		next = "start the daemon, which replaces them"
	}
	return warn(next, "no daemon serves %s any more", strings.Join(stale, " "))
}
