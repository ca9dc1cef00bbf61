package emul

import (
	"os"
	"path/filepath"
	"testing"
)

// writeTree writes the files that a container sees into a directory, which it returns.
func writeTree(tb testing.TB, c *Container) string {
	tb.Helper()
	dir := tb.TempDir()
	for path, text := range readAll(tb, c) {
		name := filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			tb.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			tb.Fatal(err)
		}
	}
	return dir
}
