package hostpath

import (
	"os"
	"path/filepath"
	"testing"
)

func TestOpenSeesThroughLinks(t *testing.T) {
	dir := realTempDir(t)
	target := filepath.Join(dir, "target")
	mkdir(t, target)
	link := filepath.Join(dir, "link")
	if err := os.Symlink(target, link); err != nil {
		t.Fatal(err)
	}
	f := open(t, link)
	if f.Path != target {
		t.Errorf("got %s, want %s", f.Path, target)
	}
	if direct := open(t, target); direct.Place != f.Place || direct.Stat.ID() != f.Stat.ID() {
		t.Errorf("got %+v through the link and %+v directly", f.Place, direct.Place)
	}
}

func TestPlaceOfWhatIsNotThere(t *testing.T) {
	dir := realTempDir(t)
	got := table(t).Place(filepath.Join(dir, "a", "b"))
	parent := open(t, dir)
	want := Place{
		Path: filepath.Join(dir, "a/b"), Inside: filepath.Join(parent.Inside, "a/b"),
		Device: parent.Device, FSType: parent.FSType,
	}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestOverlapsAndContains(t *testing.T) {
	disk, other := Device{8, 1}, Device{8, 2}
	etc := Place{Path: "/etc", Device: disk, Inside: "/etc"}
	tests := []struct {
		name                         string
		place                        Place
		byName, byIdentity, contains bool
	}{
		{"itself", etc, true, true, true},
		{"below", Place{Path: "/etc/ssh", Device: disk, Inside: "/etc/ssh"}, true, true, true},
		{"above", Place{Path: "/", Device: disk, Inside: "/"}, true, true, false},
		{"beside, with a name that begins alike", Place{Path: "/etcetera", Device: disk, Inside: "/etcetera"}, false, false, false},
		{"bind-mounted elsewhere", Place{Path: "/mnt", Device: disk, Inside: "/etc/ssh"}, false, true, true},
		{"the disk mounted elsewhere", Place{Path: "/mnt", Device: disk, Inside: "/"}, false, true, false},
		{"another disk with the same directory", Place{Path: "/mnt", Device: other, Inside: "/etc"}, false, false, false},
		{"another disk mounted below", Place{Path: "/etc/x", Device: other, Inside: "/"}, true, false, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			byName, byIdentity := etc.Overlaps(&tt.place)
			if byName != tt.byName || byIdentity != tt.byIdentity {
				t.Errorf("Overlaps: got %v, %v, want %v, %v", byName, byIdentity, tt.byName, tt.byIdentity)
			}
			if got := etc.Contains(&tt.place); got != tt.contains {
				t.Errorf("Contains: got %v, want %v", got, tt.contains)
			}
		})
	}
}

func TestLeadsTo(t *testing.T) {
	data := Place{Path: "/var/lib/docker", Device: Device{8, 1}, Inside: "/var/lib/docker"}
	tests := []struct {
		name  string
		place Place
		want  bool
	}{
		{"itself", data, true},
		{"below", Place{Path: "/var/lib/docker/v", Device: Device{8, 1}, Inside: "/var/lib/docker/v"}, true},
		{"another directory mounted below", Place{Path: "/var/lib/docker/v", Device: Device{8, 1}, Inside: "/etc"}, false},
		{"itself mounted below", Place{Path: "/var/lib/docker/v", Device: Device{8, 1}, Inside: "/var/lib/docker"}, false},
		{"another disk mounted below", Place{Path: "/var/lib/docker/v", Device: Device{8, 2}, Inside: "/"}, false},
		{"elsewhere", Place{Path: "/mnt", Device: Device{8, 1}, Inside: "/var/lib/docker"}, false},
	}
	for _, tt := range tests {
		if got := data.LeadsTo(&tt.place); got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestBelow(t *testing.T) {
	tab := table(t)
	root, err := tab.Open("/")
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for _, p := range tab.Below(root) {
		if p.Path == "/proc" && p.FSType == "proc" && p.Inside == "/" {
			return
		}
	}
	t.Error("/proc is not among the mounts below /")
}

func table(t *testing.T) *Table {
	t.Helper()
	tab, err := ReadTable()
	if err != nil {
		t.Fatal(err)
	}
	return tab
}

func open(t *testing.T, path string) *File {
	t.Helper()
	f, err := table(t).Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// realTempDir returns a temporary directory by its name without links.
func realTempDir(t *testing.T) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func mkdir(t *testing.T, path string) {
	t.Helper()
	if err := os.MkdirAll(path, 0o755); err != nil {
		t.Fatal(err)
	}
}
