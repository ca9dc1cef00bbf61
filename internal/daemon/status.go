package daemon

import (
	"os"

	"github.com/prometheus/procfs"

	"cloister/internal/api"
	"cloister/internal/keeper"
	"cloister/runtimehook/policy"
)

func (d *Daemon) status() *api.Status {
	region := d.registry.ids.Region()
	runtime, _ := d.runtime() // the log has the error
	s := &api.Status{
		Version: d.Version, PID: os.Getpid(), WorkerPID: os.Getpid(),
		Containers: d.registry.count(), Views: absolute(d.views.paths()),
		RunDir: d.RunDir, StateDir: d.StateDir,
		IDRegion: api.IDRegion{Start: region.Start, Size: region.Size, Used: d.registry.ids.Used()},
		Runtime:  runtime, Features: d.features(),
		Since: d.views.since, Memory: residentMemory(), Served: d.views.served(), Syscalls: d.syscalls.stats(),
	}
	if d.settingsError != nil {
		s.SettingsError = d.settingsError.Error()
	}
	if k := d.keeperStatus(); k != nil {
		s.PID, s.Since, s.Restarts, s.Kills = k.PID, k.Since, k.Restarts, k.Kills
		if k.LastExit != nil {
			s.LastExit = k.LastExit.Reason
		}
		if k.Upgrade != nil {
			s.Upgrade = &api.Upgrade{Time: k.Upgrade.Time, From: k.Upgrade.From, To: k.Upgrade.To, Done: k.Upgrade.Done, Error: k.Upgrade.Error}
		}
	}
	return s
}

// keeperStatus returns what the process that started this one says of itself, nil if
// there is none.
func (d *Daemon) keeperStatus() *keeper.Status {
	k, err := keeper.ReadStatus(api.KeeperPath(d.RunDir))
	if err != nil || k.WorkerPID != os.Getpid() {
		return nil
	}
	return k
}

// residentMemory returns how much memory this process has, 0 if that can't be read.
func residentMemory() uint64 {
	self, err := procfs.Self()
	if err != nil {
		return 0
	}
	stat, err := self.Stat()
	if err != nil {
		return 0
	}
	return uint64(stat.ResidentMemory())
}

// absolute returns views' paths as a container sees them.
func absolute(paths []string) []string {
	all := make([]string, 0, len(paths))
	for _, path := range paths {
		all = append(all, "/"+path)
	}
	return all
}

// rules returns the effective lists, with our own directories as the private ones.
func (d *Daemon) rules() *api.Rules {
	c := d.settings.Cloister
	return &api.Rules{Bundles: api.BundlesDir(d.StateDir), Views: d.views.paths(), CPUAffinity: c.Syscalls.CPUAffinity, Policy: policy.Lists{
		SettingsPath:        d.SettingsPath,
		RestrictedHostPaths: c.RestrictedHostPaths,
		AllowedHostPaths:    c.AllowedHostPaths,
		EngineSockets:       c.EngineSockets,
		Devices:             c.Devices,
		Private:             []string{d.RunDir, d.StateDir},
	}}
}
