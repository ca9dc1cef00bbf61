//go:build root

package fs

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"cloister/fs/fstest"
)

// serveEnv makes the test binary a server of testFiles at the directory that it
// names, until it is killed.
const serveEnv = "CLOISTER_TEST_SERVE"

func TestMain(m *testing.M) {
	fstest.Main()
	if dir := os.Getenv(serveEnv); dir != "" {
		os.Exit(serveUntilKilled(dir))
	}
	if what := os.Getenv(chaosEnv); what != "" {
		os.Exit(chaosChild(what))
	}
	os.Exit(m.Run())
}

func serveUntilKilled(dir string) int {
	s, err := Mount(dir, testFiles, renderFunc(hello), Options{})
	if err == nil {
		err = s.Add(testSlot, testOwner)
	}
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println("serving")
	<-s.Done()
	return 0
}

// startServer returns a function that kills the server.
func startServer(t *testing.T, dir string) (kill func()) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), serveEnv+"="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill = func() {
		_ = cmd.Process.Kill() // it may have been killed before
		_ = cmd.Wait()
	}
	t.Cleanup(kill)
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "serving\n" {
		t.Fatalf("server says %q, %v", line, err)
	}
	return kill
}

// deadMount mounts a connection at dir whose server is gone.
func deadMount(t *testing.T, dir string) {
	t.Helper()
	fd, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	data := fmt.Sprintf("fd=%d,rootmode=40000,user_id=0,group_id=0", fd)
	if err := unix.Mount(fsName, dir, fsType, 0, data); err != nil {
		t.Fatal(err)
	}
}

func bindOnItself(t *testing.T, dir string) {
	t.Helper()
	if err := unix.Mount(dir, dir, "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
}

func TestMountAfterAKilledServer(t *testing.T) {
	dir := mountDir(t)
	kill := startServer(t, dir)
	file := filepath.Join(dir, testSlot.String(), "proc/uptime")
	if _, err := os.ReadFile(file); err != nil {
		t.Fatal(err)
	}
	kill()
	if _, err := os.ReadFile(file); !errors.Is(err, unix.ENOTCONN) {
		t.Fatalf("got %v, want ENOTCONN", err)
	}

	s, err := Mount(dir, testFiles, renderFunc(hello), Options{})
	if err != nil {
		t.Fatal(err)
	}
	closeInCleanup(t, s)
	addTestSlot(t, s)
	if _, err := os.ReadFile(file); err != nil {
		t.Error(err)
	}
	if mounts := mountsAt(t, dir); len(mounts) != 2 {
		t.Errorf("%d mounts at %s, want the bind mount and the server's", len(mounts), dir)
	}
}

func TestCleanStale(t *testing.T) {
	for name, prepare := range map[string]func(t *testing.T, dir string){
		"nothing":      func(*testing.T, string) {},
		"dead":         deadMount,
		"bind mount":   bindOnItself,
		"dead on bind": func(t *testing.T, dir string) { bindOnItself(t, dir); deadMount(t, dir) },
		"stacked": func(t *testing.T, dir string) {
			for range 3 {
				bindOnItself(t, dir)
				deadMount(t, dir)
				deadMount(t, dir)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := mountDir(t)
			prepare(t, dir)
			if err := CleanStale(dir); err != nil {
				t.Error(err)
			}
			if mounts := mountsAt(t, dir); len(mounts) != 0 {
				t.Errorf("%d mounts are left", len(mounts))
			}
			if _, err := os.ReadDir(dir); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestCleanStaleLeavesOtherMountsAlone(t *testing.T) {
	base := t.TempDir()
	dir := filepath.Join(base, "views")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	deadMount(t, dir)
	if err := CleanStale(filepath.Join(base, "..", filepath.Base(base), "views")); err != nil {
		t.Error(err)
	}
	if mounts := mountsAt(t, dir); len(mounts) != 1 || mounts[0].FSType != "tmpfs" {
		t.Errorf("got %v, want the tmpfs", mounts)
	}
}

func TestLiveServerIsLeftAlone(t *testing.T) {
	s := mountTest(t, renderFunc(hello))
	if err := CleanStale(s.dir); !errors.Is(err, ErrServed) {
		t.Errorf("clean: got %v, want ErrServed", err)
	}
	if _, err := Mount(s.dir, testFiles, renderFunc(hello), Options{}); !errors.Is(err, ErrServed) {
		t.Errorf("mount: got %v, want ErrServed", err)
	}
	if _, err := os.ReadFile(meminfo(s)); err != nil {
		t.Error(err)
	}
}

func TestMountErrors(t *testing.T) {
	dir := mountDir(t)
	link, file := filepath.Join(t.TempDir(), "link"), filepath.Join(t.TempDir(), "file")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, at := range map[string]string{
		"missing":        filepath.Join(dir, "missing"),
		"missing parent": filepath.Join(dir, "missing", "too"),
		"symbolic link":  link,
		"file":           file,
	} {
		if _, err := Mount(at, testFiles, renderFunc(hello), Options{}); err == nil {
			t.Errorf("%s: no error", name)
		}
		if mounts := mountsAt(t, at); len(mounts) != 0 {
			t.Errorf("%s: %d mounts are left", name, len(mounts))
		}
	}
	if _, err := Mount(dir, []File{{Path: "/", Mode: 0o444}}, renderFunc(hello), Options{}); err == nil {
		t.Error("bad file: no error")
	}
}
