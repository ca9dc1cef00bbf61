//go:build e2e

package e2e

import (
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"cloister/runtimehook/idrange"
)

// listen makes a socket with a short name.
func listen(t *testing.T, dir, name string) {
	t.Helper()
	l, err := net.Listen("unix", filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
}

// owner returns whom a file belongs to on the host.
func owner(t *testing.T, path string) uint32 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Sys().(*syscall.Stat_t).Uid
}

// firstFree returns where the first range of ids must begin on this host.
func firstFree(t *testing.T) int {
	t.Helper()
	a := idrange.New(idrange.Range{Start: 100000, Size: 4096 * idrange.Size}, idrange.Subordinate("/etc/subuid", "/etc/subgid"))
	ids, err := a.Allocate()
	if err != nil {
		t.Fatal(err)
	}
	return int(ids.Start)
}
