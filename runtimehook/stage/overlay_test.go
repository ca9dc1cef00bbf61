package stage

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseOverlay(t *testing.T) {
	tests := []struct {
		name, options, mountpoint string
		want                      overlay
	}{
		{
			"docker, absolute",
			"rw,lowerdir=/d/overlay2/l/AB:/d/overlay2/l/CD,upperdir=/d/overlay2/x/diff,workdir=/d/overlay2/x/work,nouserxattr",
			"/d/overlay2/x/merged",
			overlay{lower: []string{"/d/overlay2/l/AB", "/d/overlay2/l/CD"}, upper: "/d/overlay2/x/diff", work: "/d/overlay2/x/work"},
		},
		{
			"docker, many layers",
			"rw,lowerdir=l/AB:l/CD,upperdir=x/diff,workdir=x/work",
			"/d/overlay2/x/merged",
			overlay{lower: []string{"/d/overlay2/l/AB", "/d/overlay2/l/CD"}, upper: "/d/overlay2/x/diff", work: "/d/overlay2/x/work"},
		},
		{
			"containerd, shortened",
			"rw,relatime,lowerdir=3/fs:2/fs,upperdir=/c/snapshots/4/fs,workdir=/c/snapshots/4/work,index=off",
			"/run/containerd/io.containerd.runtime.v2.task/default/c/rootfs",
			overlay{lower: []string{"/c/snapshots/3/fs", "/c/snapshots/2/fs"}, upper: "/c/snapshots/4/fs", work: "/c/snapshots/4/work"},
		},
		{
			"options that change how layers are read",
			"rw,lowerdir=/a,upperdir=/u/diff,workdir=/u/work,index=on,nfs_export=on,redirect_dir=on,metacopy=on,userxattr,volatile",
			"/m",
			overlay{lower: []string{"/a"}, upper: "/u/diff", work: "/u/work", options: []string{"redirect_dir=on", "metacopy=on", "userxattr", "volatile"}},
		},
		{
			"data-only layers",
			"ro,lowerdir=/a:/b::/c::/d", "/m",
			overlay{lower: []string{"/a", "/b"}, data: []string{"/c", "/d"}},
		},
		{
			"layers of the new mount API",
			"ro,lowerdir+=/a,lowerdir+=/b,datadir+=/c", "/m",
			overlay{lower: []string{"/a", "/b"}, data: []string{"/c"}},
		},
		{
			"escaped names",
			`rw,lowerdir=/a\040b:/c\072d\054e,upperdir=/u\011/diff,workdir=/u\011/work`, "/m",
			overlay{lower: []string{"/a b", "/c:d,e"}, upper: "/u\t/diff", work: "/u\t/work"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseOverlay(tt.options, tt.mountpoint)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, *got, cmp.AllowUnexported(overlay{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseOverlayRefuses(t *testing.T) {
	tests := []struct{ options, want string }{
		{"rw", "without lower"},
		{"rw,lowerdir=", "without a name"},
		{"rw,lowerdir=/a::", "without a name"},
		{`rw,lowerdir=/a\134:b`, "backslash"},
		{`rw,lowerdir=/a\`, "backslash"},
		{`rw,lowerdir=/a\777`, "backslash"},
		{"rw,lowerdir=/a,upperdir=/u/diff,workdir=/w/work", "not side by side"},
		{"rw,lowerdir=/a,upperdir=/u/diff", "not side by side"},
	}
	for _, tt := range tests {
		if _, err := parseOverlay(tt.options, "/m"); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: got %v, want an error with %q", tt.options, err, tt.want)
		}
	}
}

func FuzzParseOverlay(f *testing.F) {
	f.Add("rw,lowerdir=l/AB:l/CD,upperdir=x/diff,workdir=x/work", "/d/x/merged")
	f.Add(`rw,lowerdir=/a\072b::/c`, "/m")
	f.Fuzz(func(t *testing.T, options, mountpoint string) {
		o, err := parseOverlay(options, mountpoint)
		if err != nil || !filepath.IsAbs(mountpoint) {
			return
		}
		for _, layer := range append(append([]string{}, o.lower...), o.data...) {
			if !filepath.IsAbs(layer) {
				t.Errorf("layer %q of %q is not absolute", layer, options)
			}
		}
		if o.upper != "" && filepath.Dir(o.upper) != filepath.Dir(WorkDir(o.upper, "1.2")) {
			t.Errorf("work directory is not beside %q", o.upper)
		}
	})
}

func TestUnescapeKeepsWhatIsNotEscaped(t *testing.T) {
	if got, err := unescape("/plain/ü"); err != nil || got != "/plain/ü" {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := unescape(`/a\134b`); !errors.Is(err, errBackslash) {
		t.Errorf("got %v, want errBackslash", err)
	}
}

func TestRemoveWorkDirIsCareful(t *testing.T) {
	for _, path := range []string{"", "/", "/etc", "work.cloister-1.2", t.TempDir()} {
		if err := RemoveWorkDir(path); err == nil {
			t.Errorf("%q: got no error", path)
		}
	}
}
