package vm

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// Kernel is a Debian kernel.
type Kernel struct {
	Release string // as uname -r prints it
	Image   string // path of the bootable image
	Modules string // directory of its modules and of modules.dep
}

// kernelPackage depends on a suite's newest kernel for virtual machines, which is one
// package or, since Linux 7, several. They also depend on tools, which a guest does
// without.
const kernelPackage = "linux-image-cloud-amd64"

var kernelPackages = regexp.MustCompile(`(?m)^linux-[a-z0-9.+-]+-cloud-amd64$`)

// Kernel returns the kernel of a suite.
func (c *Cache) Kernel(ctx context.Context, suite string) (*Kernel, error) {
	busybox, err := c.Busybox(ctx)
	if err != nil {
		return nil, err
	}
	dir, err := c.tree(filepath.Join(suite, kernelPackage), func(dir string) error {
		a, err := c.apt(ctx, suite)
		if err != nil {
			return err
		}
		if err := a.download(ctx, kernelPackage, kernelPackages); err != nil {
			return err
		}
		if err := a.unpack(ctx, dir); err != nil {
			return err
		}
		k, err := findKernel(dir)
		if err != nil {
			return err
		}
		// The package makes modules.dep when it is configured.
		base := strings.TrimSuffix(k.Modules, "/lib/modules/"+k.Release)
		_, err = run(ctx, "", nil, busybox, "depmod", "-b", base, k.Release)
		return err
	})
	if err != nil {
		return nil, err
	}
	return findKernel(dir)
}

// findKernel finds the kernel in its unpacked packages.
func findKernel(dir string) (*Kernel, error) {
	modules, err := filepath.Glob(filepath.Join(dir, "lib/modules/*"))
	if err == nil && len(modules) == 0 {
		modules, err = filepath.Glob(filepath.Join(dir, "usr/lib/modules/*"))
	}
	if err != nil || len(modules) != 1 {
		return nil, fmt.Errorf("%d kernels in %s", len(modules), dir)
	}
	k := &Kernel{Release: filepath.Base(modules[0]), Modules: modules[0]}
	for _, image := range []string{filepath.Join(dir, "boot/vmlinuz-"+k.Release), filepath.Join(k.Modules, "vmlinuz")} {
		if exists(image) {
			k.Image = image
			return k, nil
		}
	}
	return nil, fmt.Errorf("kernel %s in %s has no image", k.Release, dir)
}

// load returns the module files that must be loaded, in this order, for the named
// modules. Those that are built into the kernel need nothing.
func (k *Kernel) load(names []string) ([]string, error) {
	builtin, err := os.ReadFile(filepath.Join(k.Modules, "modules.builtin"))
	if err != nil {
		return nil, err
	}
	dep, err := os.Open(filepath.Join(k.Modules, "modules.dep"))
	if err != nil {
		return nil, err
	}
	defer dep.Close()
	deps, err := parseModulesDep(dep)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dep.Name(), err)
	}
	for path := range strings.Lines(string(builtin)) {
		deps.builtin(strings.TrimSpace(path))
	}
	return deps.closure(names...)
}
