//go:build vm

package vm

import (
	"context"
	"io"
	"path/filepath"
	"strings"
	"testing"
)

// e2ePath is where the end-to-end tests are in the guest.
const e2ePath = "/usr/lib/cloister/e2e.test"

// buildE2E returns them, none as long as there are none.
func buildE2E(t *testing.T) []File {
	t.Helper()
	if !exists("../e2e") {
		return nil
	}
	tests := filepath.Join(t.TempDir(), "e2e.test")
	goTool(t, "test", "-c", "-tags", "e2e", "-o", tests, "cloister/test/e2e")
	return []File{{Path: e2ePath, Source: tests, Mode: 0o755}}
}

// endToEnd runs those in the guest that need no engine.
func endToEnd(t *testing.T, g *guest) {
	if !exists("../e2e") {
		t.Skip("cloister/test/e2e does not exist")
	}
	ctx, cancel := context.WithTimeout(t.Context(), e2eTimeout)
	defer cancel()
	g.run(t, "mkdir -p "+toolsDir+" && tar -C "+toolsDir+" -xf "+toolsPath)
	var out strings.Builder
	status, err := g.Run(ctx, io.MultiWriter(&out, t.Output()),
		"CLOISTER_BIN=/usr/bin/cloister "+toolsEnv+"="+toolsDir+" TMPDIR=/data/tmp "+e2ePath+" -test.v -test.run TestBundle")
	if err != nil {
		t.Fatal(err)
	}
	if status != 0 {
		t.Errorf("the end-to-end tests end with exit status %d", status)
	}
	if !strings.Contains(out.String(), "--- ") {
		t.Error("not one test has run")
	}
}
