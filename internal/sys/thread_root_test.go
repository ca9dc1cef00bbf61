//go:build root

package sys_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"cloister/internal/sys"
	"cloister/internal/sys/systest"
)

func TestUserNamespaceLeavesNoProcess(t *testing.T) {
	before := children(t)
	ns, err := sys.NewUserNamespace(firstID, 65536)
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Close()
	if after := children(t); !slices.Equal(before, after) {
		t.Errorf("child processes: %v before, %v after", before, after)
	}
	own, err := sys.OpenThreadNamespace("user")
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	parent, err := ns.Owner()
	if err != nil {
		t.Fatal(err)
	}
	defer parent.Close()
	if parent.ID() != own.ID() || ns.ID() == own.ID() {
		t.Errorf("namespace %v with parent %v, want a new one below %v", ns.ID(), parent.ID(), own.ID())
	}
}

func TestImpossibleMapsAreAnError(t *testing.T) {
	ns, err := sys.NewUserNamespace(1<<32-10, 65536)
	if err == nil {
		ns.Close()
		t.Fatal("ids beyond 32 bits were mapped")
	}
	if !strings.Contains(err.Error(), "with ids 4294967286 to 4295032821") {
		t.Errorf("got %v, want the ids named", err)
	}
}

func TestUsersAreGivenBack(t *testing.T) {
	systest.InPrivateMounts(t, func(string) error {
		before := credentials(t)
		err := errors.Join(
			sys.AsFSUser(firstID, firstID, func() error {
				if now := credentials(t); now["Uid"] != fmt.Sprintf("0 0 0 %d", firstID) || now["CapEff"] != before["CapEff"] {
					t.Errorf("as file system user: %v", now)
				}
				return nil
			}),
			sys.AsUser(firstID, func() error {
				if now := credentials(t); now["Uid"] != fmt.Sprintf("0 %d 0 %[1]d", firstID) || now["CapEff"] != before["CapEff"] {
					t.Errorf("as effective user: %v", now)
				}
				return nil
			}),
		)
		for key, value := range credentials(t) {
			if value != before[key] {
				t.Errorf("%s: %s before, %s after", key, before[key], value)
			}
		}
		return err
	})
}

func TestInNamespaceComesBack(t *testing.T) {
	p := systest.Process(t, sys.NewNet|sys.NewNS|sys.NewUTS|sys.NewIPC, 0)
	systest.InPrivateMounts(t, func(string) error {
		for kind, in := range map[string]func(*sys.Namespace, func() error) error{
			"net": sys.InNetwork, "mnt": sys.InMounts, "uts": sys.InUTS, "ipc": sys.InIPC,
		} {
			its, err := sys.OpenPIDNamespace(p.Process.Pid, kind)
			if err != nil {
				return err
			}
			before, failed := current(t, kind), errors.New("f failed")
			err = in(its, func() error {
				if now := current(t, kind); now != its.ID() {
					t.Errorf("%s: in %v, want %v", kind, now, its.ID())
				}
				return failed
			})
			if !errors.Is(err, failed) {
				t.Errorf("%s: got %v, want the error of f", kind, err)
			}
			if after := current(t, kind); after != before {
				t.Errorf("%s: the thread stays in %v", kind, after)
			}
			if err := its.Close(); err != nil {
				return err
			}
		}
		return nil
	})
}

func current(t *testing.T, kind string) sys.FileID {
	t.Helper()
	ns, err := sys.OpenThreadNamespace(kind)
	if err != nil {
		t.Error(err)
		return sys.FileID{}
	}
	defer ns.Close()
	return ns.ID()
}

// children returns the child processes of all threads.
func children(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("/proc/self/task/*/children")
	if err != nil {
		t.Fatal(err)
	}
	var pids []string
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			continue // a thread that has ended
		}
		pids = append(pids, strings.Fields(string(text))...)
	}
	slices.Sort(pids)
	return pids
}

// credentials returns the lines of the calling thread's status that tell who it is.
func credentials(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("/proc/thread-self/status")
	if err != nil {
		t.Error(err)
	}
	out := map[string]string{}
	for _, line := range strings.Split(string(text), "\n") {
		if key, value, _ := strings.Cut(line, ":"); key == "Uid" || key == "Gid" || strings.HasPrefix(key, "Cap") {
			out[key] = strings.Join(strings.Fields(value), " ")
		}
	}
	return out
}

func TestACapabilityIsGivenBack(t *testing.T) {
	systest.InPrivateMounts(t, func(string) error {
		before := credentials(t)["CapEff"]
		failed := errors.New("as told")
		err := sys.WithoutCapability(unix.CAP_SYS_CHROOT, func() error {
			want, err := strconv.ParseUint(before, 16, 64)
			if err != nil {
				return err
			}
			want &^= 1 << unix.CAP_SYS_CHROOT
			if now := credentials(t)["CapEff"]; now == before || now != fmt.Sprintf("%016x", want) {
				t.Errorf("capabilities %s before, %s without one", before, now)
			}
			return failed
		})
		if !errors.Is(err, failed) {
			t.Errorf("got %v, want %v", err, failed)
		}
		if now := credentials(t)["CapEff"]; now != before {
			t.Errorf("capabilities: %s before, %s after", before, now)
		}
		return nil
	})
}
