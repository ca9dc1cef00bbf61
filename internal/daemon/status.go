package daemon

import (
	"os"

	"cloister/internal/api"
	"cloister/runtimehook/policy"
)

func (d *Daemon) status() *api.Status {
	region := d.registry.ids.Region()
	return &api.Status{
		Version: d.Version, PID: os.Getpid(), WorkerPID: os.Getpid(),
		Containers: d.registry.count(), Views: absolute(d.views.paths()),
		RunDir: d.RunDir, StateDir: d.StateDir,
		IDRegion: api.IDRegion{Start: region.Start, Size: region.Size, Used: d.registry.ids.Used()},
		Runtime:  d.runtime, Features: d.features,
	}
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
	return &api.Rules{Bundles: api.BundlesDir(d.StateDir), Views: absolute(d.views.paths()), Policy: policy.Lists{
		SettingsPath:        d.SettingsPath,
		RestrictedHostPaths: c.RestrictedHostPaths,
		AllowedHostPaths:    c.AllowedHostPaths,
		EngineSockets:       c.EngineSockets,
		Devices:             c.Devices,
		Private:             []string{d.RunDir, d.StateDir},
	}}
}
