//go:build root

package attach_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"cloister/internal/sealed"
	"cloister/internal/sys"
	"cloister/internal/sys/systest"
	"cloister/runtimehook/attach"
)

// allNamespaces are those that a container must have of its own.
const allNamespaces = sys.NewUser | sys.NewPID | sys.NewNS | sys.NewIPC | sys.NewUTS | sys.NewNet

func TestVerify(t *testing.T) {
	tests := []struct {
		name     string
		flags    uintptr
		promised []string
		shared   string // in the error
	}{
		{"isolated", allNamespaces, nil, ""},
		{"with a promised one", allNamespaces | sys.NewCgroup, []string{"cgroup"}, ""},
		{"without a promised one", allNamespaces, []string{"cgroup"}, "[cgroup]"},
		{"host's pid and network", sys.NewUser | sys.NewNS | sys.NewIPC | sys.NewUTS, nil, "[pid net]"},
		{"host's user namespace", allNamespaces &^ sys.NewUser, nil, "[user]"},
		{"nothing of its own", 0, nil, "[user pid mnt ipc uts net]"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := attach.Verify(systest.Process(t, tt.flags, firstID).Process.Pid, tt.promised)
			switch {
			case tt.shared == "" && err != nil:
				t.Errorf("got %v, want none", err)
			case tt.shared != "" && (!errors.Is(err, attach.ErrNotIsolated) || !strings.Contains(err.Error(), tt.shared)):
				t.Errorf("got %v, want %q shared", err, tt.shared)
			}
		})
	}
}

func TestNothingIsSealedAmongTheHostsMounts(t *testing.T) {
	w, views := workshop(t, "view of ", "proc/uptime")
	host := &container{t: t, root: "/", pid: os.Getpid()}
	for name, do := range map[string]func() ([]string, error){
		"attach":   func() ([]string, error) { return host.attach(w, sealed.Plan{Views: views}) },
		"reattach": func() ([]string, error) { return host.reattach(host.pid, w, sealed.Plan{Views: views}) },
	} {
		if _, err := do(); !errors.Is(err, attach.ErrNotIsolated) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestVerifyOfAProcessThatIsGone(t *testing.T) {
	p := systest.Process(t, 0, 0)
	_ = p.Process.Kill()
	_ = p.Wait()
	if err := attach.Verify(p.Process.Pid, nil); err == nil {
		t.Error("verified")
	}
}

func TestSysctlsAreWrittenInTheContainersNamespaces(t *testing.T) {
	pid := systest.Process(t, allNamespaces, firstID).Process.Pid
	tests := []struct {
		name, value string
		in          func(*sys.Namespace, func() error) error
		kind        string
	}{
		{"net.ipv4.ip_forward", "1", sys.InNetwork, "net"},
		{"net.ipv4.conf.lo.forwarding", "1", sys.InNetwork, "net"},
		{"kernel.shmmni", "1234", sys.InIPC, "ipc"},
		{"kernel.domainname", "example.org", sys.InUTS, "uts"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := "/proc/sys/" + strings.ReplaceAll(tt.name, ".", "/")
			before, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			var inside []byte
			_, err = onThread(func() ([]string, error) {
				if err := attach.Sysctls(pid, firstID, map[string]string{tt.name: tt.value}); err != nil {
					return nil, err
				}
				ns, err := sys.OpenPIDNamespace(pid, tt.kind)
				if err != nil {
					return nil, err
				}
				defer ns.Close()
				return nil, tt.in(ns, func() error { inside, err = os.ReadFile(path); return err })
			})
			if err != nil || strings.TrimSpace(string(inside)) != tt.value {
				t.Errorf("in the container: got %q, %v, want %s", inside, err, tt.value)
			}
			if after, err := os.ReadFile(path); err != nil || string(after) != string(before) {
				t.Errorf("on the host: %q before, %q after, %v", before, after, err)
			}
		})
	}
}

func TestSysctlsOfTheHostAreRefused(t *testing.T) {
	pid := systest.Process(t, allNamespaces, firstID).Process.Pid
	same, err := os.ReadFile("/proc/sys/vm/swappiness")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"vm.swappiness", "net.//.vm.swappiness", "fs.mqueue.//.//.vm.swappiness", "net.//.//.sys.vm.swappiness", "net./.swappiness", "../vm/swappiness", "net"} {
		_, err := onThread(func() ([]string, error) {
			return nil, attach.Sysctls(pid, firstID, map[string]string{name: string(same)})
		})
		if err == nil {
			t.Errorf("%s was written", name)
		}
	}
}

func TestPromiseSurvivesTheCommandLine(t *testing.T) {
	want := &attach.Promise{
		Root: "/run/c/rootfs with \"quotes\"", Namespaces: []string{"cgroup", "time"},
		Sysctls: map[string]string{"net.ipv4.ping_group_range": "0\t1"}, SharedMounts: true,
	}
	got, err := attach.ParsePromise(want.String())
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != want.String() || got.Root != want.Root || !got.SharedMounts {
		t.Errorf("got %v, want %v", got, want)
	}
	if _, err := attach.ParsePromise("{"); err == nil {
		t.Error("half a promise was read")
	}
}
