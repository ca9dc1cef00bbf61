//go:build vm

package vm

import (
	"context"
	"io"
	"path/filepath"
	"strings"
	"testing"
)

// Where the end-to-end tests, the containers that attack and what those run are in the guest.
const (
	e2ePath     = "/usr/lib/cloister/e2e.test"
	hostilePath = "/usr/lib/cloister/hostile.test"
	probePath   = "/usr/lib/cloister/probe"
)

// buildE2E returns the tests that are run in the guest.
func buildE2E(t *testing.T) []File {
	t.Helper()
	dir := t.TempDir()
	e2e, hostile, probe := filepath.Join(dir, "e2e.test"), filepath.Join(dir, "hostile.test"), filepath.Join(dir, "probe")
	goTool(t, "test", "-c", "-tags", "e2e", "-o", e2e, "cloister/test/e2e")
	goTool(t, "test", "-c", "-tags", "hostile", "-o", hostile, "cloister/test/hostile")
	goTool(t, "build", "-o", probe, "cloister/test/hostile/probe")
	return []File{
		{Path: e2ePath, Source: e2e, Mode: 0o755},
		{Path: hostilePath, Source: hostile, Mode: 0o755},
		{Path: probePath, Source: probe, Mode: 0o755},
	}
}

// endToEnd runs those that need no engine.
func endToEnd(t *testing.T, g *guest) {
	g.run(t, "mkdir -p "+toolsDir+" && tar -C "+toolsDir+" -xf "+toolsPath)
	g.tests(t, toolsEnv+"="+toolsDir, e2ePath, "TestBundle")
}

// hostileTests are those that need no engine and that depend on the kernel the most. All
// ways to change the first mounts would take five minutes.
const hostileTests = "^(TestAttacks|TestFreshProcAndSysfs|TestReadOnlyRoot|TestSignalsAmongCalls)$/^runc$"

// hostile has containers attack.
func hostile(t *testing.T, g *guest) {
	g.tests(t, "CLOISTER_PROBE="+probePath, hostilePath, hostileTests)
}

// tests runs a test program in the guest, some of its tests, with a variable in its
// environment.
func (g *guest) tests(t *testing.T, variable, program, some string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), e2eTimeout)
	defer cancel()
	var out strings.Builder
	status, err := g.Run(ctx, io.MultiWriter(&out, t.Output()),
		"CLOISTER_BIN=/usr/bin/cloister "+variable+" TMPDIR=/data/tmp "+program+" -test.v -test.run '"+some+"'")
	if err != nil {
		t.Fatal(err)
	}
	if status != 0 {
		t.Errorf("the tests end with exit status %d", status)
	}
	if !strings.Contains(out.String(), "--- PASS") {
		t.Error("not one test has passed")
	}
}
