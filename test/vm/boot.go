package vm

import (
	"embed"
	"path"
	"path/filepath"
	"strings"
)

// boot holds the programs that make the guest out of a kernel: init is its first
// process, see there.
//
//go:embed boot
var boot embed.FS

// bootFiles are the files that every guest has.
func (g *Guest) bootFiles() ([]File, error) {
	load, err := g.Kernel.load(append(diskModules[:], g.Modules...))
	if err != nil {
		return nil, err
	}
	files := []File{
		{Path: "/bin", Link: "usr/bin"},
		{Path: "/lib", Link: "usr/lib"},
		{Path: "/lib64", Link: "usr/lib64"},
		{Path: "/sbin", Link: "usr/sbin"},
		{Path: "/bin/busybox", Source: g.Busybox, Mode: 0o755},
		{Path: "/bin/sh", Link: "busybox"},
		{Path: "/etc/modules", Data: []byte(strings.Join(load, "\n") + "\n"), Mode: 0o644},
		{Path: "/etc/passwd", Data: []byte("root:x:0:0:root:/root:/bin/sh\n"), Mode: 0o644},
		{Path: "/etc/group", Data: []byte("root:x:0:\n"), Mode: 0o644},
		{Path: "/etc/hosts", Data: []byte("127.0.0.1 localhost\n"), Mode: 0o644},
	}
	for _, p := range load {
		files = append(files, File{
			Path: path.Join("/lib/modules", g.Kernel.Release, p), Source: filepath.Join(g.Kernel.Modules, p), Mode: 0o644,
		})
	}
	for name, at := range map[string]string{"init": "/init", "inittab": "/etc/inittab", "boot": "/etc/boot", "agent": "/etc/agent"} {
		data, err := boot.ReadFile("boot/" + name)
		if err != nil {
			return nil, err
		}
		files = append(files, File{Path: at, Data: data, Mode: 0o755})
	}
	return files, nil
}
