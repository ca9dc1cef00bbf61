//go:build vm

package vm

import (
	"archive/tar"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// toolsPath is where the guest has the tools for the end-to-end tests, toolsDir
// where they are unpacked, as toolsEnv tells those.
const (
	toolsPath = "/usr/lib/cloister/tools.tar"
	toolsDir  = "/data/tools"
	toolsEnv  = "CLOISTER_TEST_TOOLS"
)

const toolsSuite = "bookworm"

var toolsPackages = []string{"coreutils", "dash", "libc-bin", "ncurses-base", "numactl", "procps", "util-linux"}

// toolsFiles are the small ones: an emulated processor is too slow for the others.
var toolsFiles = []string{
	"bin/cat", "bin/dash", "bin/dd", "bin/ps", "bin/readlink", "bin/sh", "bin/sleep", "lib/terminfo/d/dumb",
	"usr/bin/free", "usr/bin/getconf", "usr/bin/head", "usr/bin/lscpu", "usr/bin/nproc", "usr/bin/numactl",
	"usr/bin/tail", "usr/bin/top", "usr/bin/uptime", "usr/bin/vmstat",
}

// buildTools returns an archive of the tools and their libraries, which are not the
// guest's own.
func buildTools(t *testing.T, cache *Cache) File {
	t.Helper()
	dir, err := cache.Packages(t.Context(), toolsSuite, toolsPackages...)
	need(t, err)
	sources := map[string]string{}
	for _, name := range toolsFiles {
		sources[name] = filepath.Join(dir, name)
		found, err := libraries(dir, sources[name])
		if err != nil {
			t.Fatal(err)
		}
		for at, source := range found {
			sources[strings.TrimPrefix(at, "/")] = source
		}
	}
	archive := filepath.Join(t.TempDir(), "tools.tar")
	writeTar(t, archive, sources)
	return File{Path: toolsPath, Source: archive, Mode: 0o644}
}

// writeTar writes an archive of programs and libraries by their names in it.
func writeTar(t *testing.T, archive string, sources map[string]string) {
	t.Helper()
	out, err := os.Create(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	w := tar.NewWriter(out)
	for _, name := range slices.Sorted(maps.Keys(sources)) {
		data, err := os.ReadFile(sources[name])
		if err != nil {
			t.Fatal(err)
		}
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(data))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}
