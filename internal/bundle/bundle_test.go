package bundle

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// host makes a host with a merged /usr.
func host(t *testing.T) Root {
	t.Helper()
	r := Root(t.TempDir())
	r.write(t, "sys/devices/system/cpu/online", "0-1\n")
	r.write(t, "usr/bin/mawk", "")
	r.write(t, "usr/sbin/iptables-nft", "")
	r.write(t, "etc/shadow", "secret")
	r.write(t, "srv/data/file", "")
	for link, target := range map[string]string{
		"bin": "usr/bin", "sbin": "/usr/sbin", "lib": "usr/lib",
		"usr/bin/awk": "/etc/alternatives/awk", "etc/alternatives/awk": "/usr/bin/mawk",
		"usr/bin/nawk":       "/etc/alternatives/awk",
		"usr/sbin/iptables":  "/etc/alternatives/iptables",
		"usr/bin/vi":         "/etc/alternatives/vi", // leads nowhere
		"usr/bin/python3":    "python3.11",
		"usr/bin/shadow":     "/etc/shadow",
		"usr/bin/climber":    "/etc/alternatives/../shadow",
		"etc/alternatives/x": "/usr/share/man/man1/x.1", // no program's
	} {
		r.link(t, link, target)
	}
	r.link(t, "etc/alternatives/iptables", "/usr/sbin/iptables-nft")
	return r
}

func (r Root) write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(r.Path(path)), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(r.Path(path), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func (r Root) link(t *testing.T, path, target string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(r.Path(path)), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, r.Path(path)); err != nil {
		t.Fatal(err)
	}
}

func TestCreateTree(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "web")
	if err := Create(dir, host(t), &Options{Name: "web", Command: []string{"sh"}}); err != nil {
		t.Fatal(err)
	}
	want := `
drwx------ .
-rw------- config.json
drwxr-xr-x rootfs
Lrwxrwxrwx rootfs/bin -> usr/bin
drwxr-xr-x rootfs/dev
drwxr-xr-x rootfs/etc
drwxr-xr-x rootfs/etc/alternatives
Lrwxrwxrwx rootfs/etc/alternatives/awk -> /usr/bin/mawk
Lrwxrwxrwx rootfs/etc/alternatives/iptables -> /usr/sbin/iptables-nft
-rw-r--r-- rootfs/etc/group
-rw-r--r-- rootfs/etc/hostname
-rw-r--r-- rootfs/etc/hosts
-rw-r--r-- rootfs/etc/passwd
drwxr-xr-x rootfs/home
Lrwxrwxrwx rootfs/lib -> usr/lib
drwxr-xr-x rootfs/proc
drwx------ rootfs/root
drwxr-xr-x rootfs/run
Lrwxrwxrwx rootfs/sbin -> usr/sbin
drwxr-xr-x rootfs/sys
dtrwxrwxrwx rootfs/tmp
drwxr-xr-x rootfs/usr
drwxr-xr-x rootfs/var
`
	if diff := cmp.Diff(strings.TrimSpace(want), list(t, dir)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	hosts, err := os.ReadFile(filepath.Join(dir, "rootfs/etc/hosts"))
	if err != nil || !strings.Contains(string(hosts), "localhost web\n") {
		t.Errorf("got hosts %q (%v), want the container's name in it", hosts, err)
	}
}

// list describes all files below dir, a line each.
func list(t *testing.T, dir string) string {
	t.Helper()
	var lines []string
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		line := info.Mode().String() + " " + name
		if target, err := os.Readlink(path); err == nil {
			line += " -> " + target
		}
		lines = append(lines, line)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(lines, "\n")
}

func TestCreateWithRootfs(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "web")
	if err := Create(dir, host(t), &Options{Name: "web", Rootfs: "/srv/data"}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("drwx------ .\n-rw------- config.json", list(t, dir)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestCreateFails(t *testing.T) {
	for _, tt := range []struct {
		name    string
		prepare func(Root) error // of the host
		o       Options
		want    string
	}{
		{"rootfs is missing", nil, Options{Rootfs: "/srv/none"}, "/srv/none is not a directory"},
		{"rootfs is a file", nil, Options{Rootfs: "/srv/data/file"}, "/srv/data/file is not a directory"},
		{"volume is missing", nil, Options{Volumes: []Volume{{Source: "/srv/none", Target: "/x"}}}, "--volume:"},
		{"no such CPU", nil, Options{Limits: Limits{CPUSet: cpuSet(t, "1-2")}}, "CPU 2 is not there; the host's are 0-1"},
		{
			"usr is not merged",
			func(r Root) error { return errors.Join(os.Remove(r.Path("lib")), os.Mkdir(r.Path("lib"), 0o755)) },
			Options{},
			"/lib: this host keeps programs outside /usr",
		},
		{"no bin", func(r Root) error { return os.Remove(r.Path("bin")) }, Options{}, "--rootfs"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, bundles := host(t), t.TempDir()
			if tt.prepare != nil {
				if err := tt.prepare(r); err != nil {
					t.Fatal(err)
				}
			}
			err := Create(filepath.Join(bundles, "web"), r, &tt.o)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an error with %q", err, tt.want)
			}
			if left := list(t, bundles); strings.Contains(left, "web") {
				t.Errorf("something is left:\n%s", left)
			}
		})
	}
}

func TestCreateNameInUse(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "web")
	o := &Options{Name: "web"}
	if err := Create(dir, host(t), o); err != nil {
		t.Fatal(err)
	}
	before := list(t, dir)
	if err := Create(dir, host(t), o); !errors.Is(err, ErrInUse) {
		t.Errorf("got %v, want ErrInUse", err)
	}
	if diff := cmp.Diff(before, list(t, dir)); diff != "" {
		t.Errorf("the first one's bundle has changed (-want +got):\n%s", diff)
	}
}
