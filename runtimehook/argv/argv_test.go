package argv

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParse(t *testing.T) {
	tests := []struct {
		name string
		line string
		want Command
	}{
		{"nothing", "", Command{}},
		{"version", "--version", Command{Args: f("--version")}},
		{"features", "features", Command{Verb: "features", Args: f("features")}},
		{
			"containerd shim",
			"--root /run/containerd/runc/moby --log /b/log.json --log-format json create --bundle /b --pid-file /b/init.pid 0123",
			Command{
				Verb: "create", ID: "0123", Bundle: "/b", Root: "/run/containerd/runc/moby", Log: "/b/log.json", LogFormat: "json",
				Args: f("--root /run/containerd/runc/moby --log /b/log.json --log-format json create --bundle /b --pid-file /b/init.pid 0123"),
			},
		},
		{
			"shim with terminal and systemd",
			"--root /r --log /b/log.json --log-format json --systemd-cgroup create --bundle /b --pid-file /p --console-socket /c.sock --no-pivot 0123",
			Command{
				Verb: "create", ID: "0123", Bundle: "/b", Root: "/r", Log: "/b/log.json", LogFormat: "json",
				Args: f("--root /r --log /b/log.json --log-format json --systemd-cgroup create --bundle /b --pid-file /p --console-socket /c.sock --no-pivot 0123"),
			},
		},
		{
			"conmon",
			"--log-format=json --log /l --root=/r create --bundle /b --pid-file /p --preserve-fds 1 abc",
			Command{
				Verb: "create", ID: "abc", Bundle: "/b", Root: "/r", Log: "/l", LogFormat: "json",
				Args: f("--log-format=json --log /l --root=/r create --bundle /b --pid-file /p --preserve-fds 1 abc"),
			},
		},
		{
			"own flags are taken out",
			"--run-dir /d --root /r --runtime-path=/usr/bin/crun run -b /b c1",
			Command{
				Verb: "run", ID: "c1", Bundle: "/b", Root: "/r", RunDir: "/d", RuntimePath: "/usr/bin/crun",
				Args: f("--root /r run -b /b c1"),
			},
		},
		{"single dash", "-root /r create -bundle=/b c", Command{Verb: "create", ID: "c", Bundle: "/b", Root: "/r", Args: f("-root /r create -bundle=/b c")}},
		{"short with equals", "create -b=/b c", Command{Verb: "create", ID: "c", Bundle: "/b", Args: f("create -b=/b c")}},
		{"crun config", "run --config my.json -b /b c", Command{Verb: "run", ID: "c", Bundle: "/b", Config: "my.json", Args: f("run --config my.json -b /b c")}},
		{"crun cgroup manager", "--cgroup-manager cgroupfs run c", Command{Verb: "run", ID: "c", CgroupManager: "cgroupfs", Args: f("--cgroup-manager cgroupfs run c")}},
		{"detached", "run -d --keep c", Command{Verb: "run", ID: "c", Args: f("run -d --keep c")}},
		{"double dash before the id", "create -- c", Command{Verb: "create", ID: "c", Args: f("create -- c")}},
		{"double dash before the verb", "--root /r -- create c", Command{Verb: "create", ID: "c", Root: "/r", Args: f("--root /r -- create c")}},
		{"a container called create", "start create", Command{Verb: "start", Args: f("start create")}},
		{"a bundle called run", "--root run state c", Command{Verb: "state", Root: "run", Args: f("--root run state c")}},
		{"exec keeps its command", "exec --process p.json c", Command{Verb: "exec", Args: f("exec --process p.json c")}},
		{"runc 1.2's pidfd", "create --pidfd-socket /s --bundle /b c", Command{Verb: "create", ID: "c", Bundle: "/b", Args: f("create --pidfd-socket /s --bundle /b c")}},
		{"help of create", "create --bundle /b --help", Command{Verb: "help", Bundle: "/b", Args: f("create --bundle /b --help")}},
		{"unknown verb", "frobnicate x", Command{Verb: "frobnicate", Args: f("frobnicate x")}},
		{"flag without its value", "--root", Command{Args: f("--root")}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Parse(f(tt.line))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, *got); diff != "" {
				t.Errorf("Parse(%q) (-want +got):\n%s", tt.line, diff)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	tests := []struct {
		line string
		want error
	}{
		{"--unknown value create c", ErrAmbiguous},
		{"--unknown value run c", ErrAmbiguous},
		{"--unknown value restore c", ErrAmbiguous},
		{"create", nil},
		{"create --bundle /b", nil},
		{"--run-dir= create c", nil},
		{"create --future value --bundle /b c", nil},
		{"create --future=value c", nil},
		{"create --bund=/b c", nil}, // crun takes it for --bundle
		{"run -b/b c", nil},
		{"run -dk c", nil},
		{"create c --bundle /b", nil}, // crun reads flags behind the id
		{"create c d", nil},
	}
	for _, tt := range tests {
		t.Run(tt.line, func(t *testing.T) {
			_, err := Parse(f(tt.line))
			if err == nil {
				t.Fatal("got no error")
			}
			if tt.want != nil && !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

// FuzzParse holds the two promises that matter: no word of the runtime's is lost
// or made up, and a line that names a starting verb outside flag values is either
// recognised or refused.
func FuzzParse(fz *testing.F) {
	for _, s := range []string{"--root /r create --bundle /b c", "--x y run c", "-- create c", "--run-dir /d state c", "-", "--=", "--log"} {
		fz.Add(s)
	}
	fz.Fuzz(func(t *testing.T, line string) {
		args := f(line)
		c, err := Parse(args)
		if err != nil {
			return
		}
		rest := args
		for _, a := range c.Args {
			i := slices.Index(rest, a)
			if i < 0 {
				t.Fatalf("%q: argument %q is not among the given ones in this order", line, a)
			}
			rest = rest[i+1:]
		}
		if len(args) > 1 && slices.Contains(startingVerbs, args[0]) && c.Verb != args[0] && c.Verb != "help" {
			t.Fatalf("%q: verb %q not seen", line, args[0])
		}
	})
}

func f(line string) []string { return strings.Fields(line) }
