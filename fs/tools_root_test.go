//go:build root

package fs

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"cloister/fs/fstest"
)

// need skips a test for lack of a program, or fails it where no test may be skipped.
func need(tb testing.TB, name string) {
	tb.Helper()
	if _, err := exec.LookPath(name); err == nil {
		return
	}
	if os.Getenv("CLOISTER_TEST_STRICT") != "" {
		tb.Fatalf("%s is not installed", name)
	}
	tb.Skipf("%s is not installed", name)
}

// run returns what a command prints.
func run(tb testing.TB, name string, args ...string) string {
	tb.Helper()
	need(tb, name)
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		tb.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
	return string(out)
}

func TestToolsReadWholeFiles(t *testing.T) {
	s := mountTest(t, &editions{})
	file := meminfo(s)
	for name, command := range map[string][]string{
		"cat":     {"cat", file},
		"dd":      {"dd", "if=" + file, "bs=1", "status=none"},
		"grep":    {"grep", "", file},
		"awk":     {"awk", "{print}", file},
		"sed":     {"sed", "", file},
		"tail":    {"tail", "-n", "+1", file},
		"head":    {"head", "-c", "1000000", file},
		"sh read": {"sh", "-c", `while read -r line; do echo "$line"; done < "$0"`, file},
		"python3": {"python3", "-c", "import sys; sys.stdout.write(open(sys.argv[1]).read())", file},
		"perl":    {"perl", "-pe", "", file},
		"busybox": {"busybox", "cat", file},
		"bash":    {"bash", "-c", `echo "$(< "$0")"`, file},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := fstest.Parse([]byte(run(t, command[0], command[1:]...))); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestCopies(t *testing.T) {
	s := mountTest(t, &editions{})
	for name, copyTo := range map[string]func(target string) error{
		"cp":      func(target string) error { run(t, "cp", meminfo(s), target); return nil },
		"io.Copy": func(target string) error { return copyFile(meminfo(s), target) },
	} {
		t.Run(name, func(t *testing.T) {
			target := filepath.Join(t.TempDir(), "copy")
			if err := copyTo(target); err != nil {
				t.Fatal(err)
			}
			content, err := os.ReadFile(target)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := fstest.Parse(content); err != nil {
				t.Error(err)
			}
		})
	}
}

// copyFile tries copy_file_range(2) first, which takes the size at its word.
func copyFile(source, target string) error {
	in, err := os.Open(source)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(target)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

func TestListing(t *testing.T) {
	s := mountTest(t, renderFunc(hello))
	if err := s.Add(Slot{Index: 8, Generation: 1}, testOwner); err != nil {
		t.Fatal(err)
	}
	const want = `
sys:
devices

sys/devices:
system

sys/devices/system:
cpu

sys/devices/system/cpu:
online
`
	got := run(t, "sh", "-c", `cd "$0" && LC_ALL=C ls -R sys`, s.Path(testSlot))
	if "\n"+got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	found := strings.Fields(run(t, "sh", "-c", `cd "$0" && find . -type f | LC_ALL=C sort`, filepath.Dir(s.Path(testSlot))))
	if want := 2 * len(testFiles); len(found) != want || found[0] != "./7.3/proc/meminfo" || found[len(found)-1] != "./8.1/sys/devices/system/cpu/online" {
		t.Errorf("find shows %q, want %d files", found, want)
	}
}

func TestStat(t *testing.T) {
	s := mountTest(t, renderFunc(hello))
	for path, mode := range map[string]uint32{
		"":                           syscall.S_IFDIR | 0o555,
		"proc":                       syscall.S_IFDIR | 0o555,
		"proc/meminfo":               syscall.S_IFREG | 0o444,
		"proc/sys/kernel/domainname": syscall.S_IFREG | 0o644,
	} {
		var st unix.Stat_t
		if err := unix.Lstat(filepath.Join(s.Path(testSlot), path), &st); err != nil {
			t.Fatal(err)
		}
		if st.Mode != mode || st.Uid != testOwner.UID || st.Gid != testOwner.GID || st.Blksize < 4096 || st.Ino>>32 != 0 {
			t.Errorf("%q: %+v", path, st)
		}
	}
	var file unix.Stat_t
	if err := unix.Stat(meminfo(s), &file); err != nil || file.Size != minSize {
		t.Errorf("size is %d, %v, want %d", file.Size, err, minSize)
	}
	var st unix.Statfs_t
	if err := unix.Statfs(s.Path(testSlot), &st); err != nil {
		t.Fatal(err)
	}
	if want := int64(unix.ST_RDONLY | unix.ST_NOSUID | unix.ST_NODEV | unix.ST_NOEXEC); int64(st.Flags)&want != want {
		t.Errorf("mount flags are %#x, want %#x", st.Flags, want)
	}
}

func TestNothingCanBeWritten(t *testing.T) {
	s := mountTest(t, renderFunc(hello))
	file := filepath.Join(s.Path(testSlot), "proc/sys/kernel/domainname")
	for name, write := range map[string]func() error{
		"O_WRONLY": func() error { return openClose(file, unix.O_WRONLY) },
		"O_RDWR":   func() error { return openClose(file, unix.O_RDWR) },
		"O_TRUNC":  func() error { return openClose(file, unix.O_TRUNC) },
		"O_CREAT":  func() error { return openClose(file+"2", unix.O_WRONLY|unix.O_CREAT) },
		"truncate": func() error { return unix.Truncate(file, 0) },
		"chmod":    func() error { return unix.Chmod(file, 0o666) },
		"chown":    func() error { return unix.Chown(file, 0, 0) },
		"unlink":   func() error { return unix.Unlink(file) },
		"mkdir":    func() error { return unix.Mkdir(file+"2", 0o755) },
		"setxattr": func() error { return unix.Setxattr(file, "user.x", []byte("1"), 0) },

		"removexattr": func() error { return unix.Removexattr(file, "user.x") },
		"utimes":      func() error { return unix.Utimes(file, make([]unix.Timeval, 2)) },
		"W_OK":        func() error { return unix.Access(file, unix.W_OK) },
		"link":        func() error { return unix.Link(file, file+"2") },
		"symlink":     func() error { return unix.Symlink("x", file+"2") },
		"rename":      func() error { return unix.Rename(file, file+"2") },
		"mknod":       func() error { return unix.Mknod(file+"2", unix.S_IFIFO|0o600, 0) },
		"socket":      func() error { return bindSocket(file + "2") },
	} {
		if err := write(); !errors.Is(err, unix.EROFS) {
			t.Errorf("%s: got %v, want EROFS", name, err)
		}
	}
}

func bindSocket(path string) error {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	dir, err := unix.Open(filepath.Dir(path), unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	// Its own path may be too long for an address.
	return unix.Bind(fd, &unix.SockaddrUnix{Name: fmt.Sprintf("/proc/self/fd/%d/%s", dir, filepath.Base(path))})
}

func openClose(path string, flags int) error {
	fd, err := unix.Open(path, flags|unix.O_CLOEXEC, 0o644)
	if err != nil {
		return err
	}
	return unix.Close(fd)
}

// isatty asks with an ioctl, which the kernel's own files answer with ENOTTY.
func TestIsNoTerminal(t *testing.T) {
	s := mountTest(t, renderFunc(hello))
	f := open(t, meminfo(s))
	if _, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS); !errors.Is(err, unix.ENOTTY) {
		t.Errorf("got %v, want ENOTTY", err)
	}
}

// The root of a user namespace owns its slot's files, and may not write them.
func TestInUserNamespace(t *testing.T) {
	s := mountTest(t, renderFunc(hello))
	script := `stat -c %u:%g:%a "$0" && cat "$0" && ! echo x > "$0"`
	cmd := exec.Command("sh", "-c", script, passable(t, bindFile(t, meminfo(s))))
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: int(testOwner.UID), Size: 1000}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: int(testOwner.GID), Size: 1000}},
	}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.HasPrefix(string(out), "0:0:444\n7.3/proc/meminfo") || !strings.Contains(string(out), "Read-only file system") {
		t.Errorf("got %q, %v", out, err)
	}
}
