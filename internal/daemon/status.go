package daemon

import (
	"os"
	"slices"

	"cloister/internal/api"
	"cloister/runtimehook/policy"
)

func (d *Daemon) status() (*api.Status, error) {
	region := d.registry.ids.Region()
	return &api.Status{
		Version: d.Version, PID: os.Getpid(), WorkerPID: os.Getpid(),
		Containers: len(d.registry.list()), Views: d.views.files,
		RunDir: d.RunDir, StateDir: d.StateDir,
		IDRegion: api.IDRegion{Start: region.Start, Size: region.Size, Used: d.registry.ids.Used()},
		Runtime:  d.runtime, Features: d.features,
	}, nil
}

// rules returns the effective lists, with our own directories among the restricted
// ones.
func (d *Daemon) rules() *api.Rules {
	c := d.settings.Cloister
	return &api.Rules{Bundles: api.BundlesDir(d.StateDir), Policy: policy.Lists{
		SettingsPath:        d.SettingsPath,
		RestrictedHostPaths: c.RestrictedHostPaths,
		AllowedHostPaths:    c.AllowedHostPaths,
		EngineSockets:       c.EngineSockets,
		Devices:             c.Devices,
		Private:             slices.Clone([]string{d.RunDir, d.StateDir}),
	}}
}
