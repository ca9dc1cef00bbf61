package daemon

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"cloister/internal/keeper"
	"cloister/internal/sys"
)

// kept returns a legacy whose keeper has the files.
func kept(t *testing.T, files map[string]string) legacy {
	t.Helper()
	conn, theirs, err := sys.PacketPair()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	number, err := sys.Duplicate(int(theirs.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	if err := theirs.Close(); err != nil {
		t.Fatal(err)
	}
	for name, path := range files {
		f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		if err := conn.Send("FDNAME="+name, int(f.Fd())); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := conn.Send("CLOISTER_STORED=" + strconv.Itoa(len(files))); err != nil {
		t.Fatal(err)
	}
	t.Setenv("CLOISTER_KEEPER_SOCKET", strconv.Itoa(number.Int()))
	client, err := keeper.Connect()
	if err != nil {
		t.Fatal(err)
	}
	return newLegacy(client)
}

// A service's settings may be others than those with which its store was filled.
func TestLegacyOfOtherDirectories(t *testing.T) {
	run, state := t.TempDir(), t.TempDir()
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(run, link); err != nil {
		t.Fatal(err)
	}
	lock := filepath.Join(run, "lock")
	left := kept(t, map[string]string{"lock.run": lock, "control": filepath.Join(run, "control")})
	if !left.of(run, state) || !left.of(link, state) {
		t.Error("it is not that of its own directory")
	}
	if left.of(state, state) || left.of(filepath.Join(run, "none"), state) {
		t.Error("it is that of another directory")
	}
	if err := os.Remove(lock); err != nil {
		t.Fatal(err)
	}
	if !left.of(run, state) {
		t.Error("without its file it is that of another directory")
	}
	if err := left.drop(); err != nil {
		t.Fatal(err)
	}
	if left.has("lock.run") || left.has("control") || len(left.fds) != 0 || !left.of(state, state) {
		t.Errorf("there still are %v", left.fds)
	}
}
