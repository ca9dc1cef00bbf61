//go:build root

package sys_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"cloister/internal/sys"
	"cloister/internal/sys/systest"
)

func newStub(t *testing.T) *sys.Stub {
	t.Helper()
	return startStub(t, sys.NewStub)
}

func startStub(t *testing.T, start func() (*sys.Stub, error)) *sys.Stub {
	t.Helper()
	s, err := start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { <-s.End() })
	return s
}

func newZygote(t *testing.T) *sys.Zygote {
	t.Helper()
	z := new(sys.Zygote)
	t.Cleanup(z.End)
	return z
}

func TestAStubHasNoDescriptorsButThoseGiven(t *testing.T) {
	t.Run("of a fork", func(t *testing.T) { hasNoDescriptorsButThoseGiven(t, newStub(t)) })
	z := newZygote(t)
	t.Run("of a zygote", func(t *testing.T) { hasNoDescriptorsButThoseGiven(t, startStub(t, z.NewStub)) })
	if left := descriptors(t, z.PID()); len(left) != 2 {
		t.Errorf("descriptors of the zygote: %q", left)
	}
}

func hasNoDescriptorsButThoseGiven(t *testing.T, s *sys.Stub) {
	before := descriptors(t, s.PID())
	f, err := sys.OpenPath("/usr")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	given, err := s.Give(f, f)
	if err != nil {
		t.Fatal(err)
	}
	if after := descriptors(t, s.PID()); len(before) != 2 || len(after) != 4 || after[len(given)-1] == "" {
		t.Errorf("descriptors: %q, then %q", before, after)
	}
	want, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range given {
		if st, mount, err := s.Stat(fd); err != nil || st.ID() != want.ID() || mount == 0 {
			t.Errorf("%+v on mount %d, %v, want %+v", st, mount, err, want)
		}
	}
	if free, left := s.LetGo(), descriptors(t, s.PID()); !free || len(left) != 1 {
		t.Errorf("it has let go: %v; descriptors: %q", free, left)
	}
}

func TestAZygoteThatIsKilledIsReplaced(t *testing.T) {
	z := newZygote(t)
	before := startStub(t, z.NewStub)
	killed := z.PID()
	if err := unix.Kill(killed, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	after := startStub(t, z.NewStub)
	if z.PID() == killed {
		t.Errorf("it is still process %d", killed)
	}
	for _, s := range []*sys.Stub{before, after} {
		if _, err := s.OpenPath(unix.AT_FDCWD, "/", 0, 0); err != nil {
			t.Error(err)
		}
	}
}

func TestStubsOfAZygoteAreWithoutMemory(t *testing.T) {
	forked, small := memoryOf(t, newStub(t).PID()), memoryOf(t, startStub(t, newZygote(t).NewStub).PID())
	if small >= forked {
		t.Errorf("anonymous memory: %d kB, of a fork %d kB", small, forked)
	}
}

// memoryOf returns how much anonymous memory a process has, in kB.
func memoryOf(t *testing.T, pid int) (n int) {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(text), "RssAnon:")
	if _, err := fmt.Sscan(after, &n); err != nil {
		t.Fatalf("%v:\n%s", err, text)
	}
	return n
}

func descriptors(t *testing.T, pid int) (out []string) {
	t.Helper()
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		out = append(out, f.Name())
	}
	return out
}

func TestAStubBecomesSomebody(t *testing.T) {
	p := systest.Process(t, sys.NewUser|sys.NewNS, firstID)
	dir := systest.Dir(t)
	if err := errors.Join(
		os.Mkdir(filepath.Join(dir, "theirs"), 0o700), os.Chown(filepath.Join(dir, "theirs"), firstID+5, firstID+5),
		os.Mkdir(filepath.Join(dir, "hosts"), 0o700), os.Symlink("/theirs", filepath.Join(dir, "link")),
	); err != nil {
		t.Fatal(err)
	}
	id := sys.Identity{
		UID: [4]uint32{firstID + 1, firstID + 2, firstID + 3, firstID + 4}, GID: [4]uint32{firstID + 6, firstID + 7, firstID + 8, firstID + 9},
		Groups: []uint32{firstID + 11, firstID + 10}, Effective: 1 << unix.CAP_CHOWN, Permitted: 1<<unix.CAP_CHOWN | 1<<unix.CAP_DAC_OVERRIDE,
	}
	become := func(id sys.Identity) *sys.Stub {
		s := newStub(t)
		var files []*sys.FD
		for _, path := range []string{fmt.Sprintf("/proc/%d/ns/mnt", p.Process.Pid), fmt.Sprintf("/proc/%d/ns/user", p.Process.Pid), dir} {
			f, err := sys.Open(path, unix.O_RDONLY)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			files = append(files, f)
		}
		given, err := s.Give(files...)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Become(given[0], given[1], given[2], &id); err != nil {
			t.Fatal(err)
		}
		return s
	}
	open := func(s *sys.Stub, path string) error {
		_, err := s.OpenPath(unix.AT_FDCWD, path, 0, 0)
		return err
	}
	s := become(id)
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.PID()))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		fmt.Sprintf("Uid:\t%d\t%d\t%d\t%d", firstID+1, firstID+2, firstID+3, firstID+4),
		fmt.Sprintf("Gid:\t%d\t%d\t%d\t%d", firstID+6, firstID+7, firstID+8, firstID+9),
		fmt.Sprintf("Groups:\t%d %d", firstID+10, firstID+11), "CapEff:\t0000000000000001", "CapPrm:\t0000000000000003",
	} {
		if !slices.ContainsFunc(strings.Split(string(text), "\n"), func(l string) bool { return strings.TrimSpace(l) == want }) {
			t.Errorf("no line %q in:\n%s", want, text)
		}
	}
	for path, want := range map[string]error{"/theirs": nil, "/link": nil, "/theirs/x": unix.EACCES, "/../../usr": unix.ENOENT} {
		if err := open(s, path); !errors.Is(err, want) {
			t.Errorf("%s: got %v, want %v", path, err, want)
		}
	}
	id.Effective = id.Permitted
	s = become(id)
	for path, want := range map[string]error{"/theirs/x": unix.ENOENT, "/hosts/x": unix.EACCES} { // of an id that is not theirs
		if err := open(s, path); !errors.Is(err, want) {
			t.Errorf("%s with CAP_DAC_OVERRIDE: got %v, want %v", path, err, want)
		}
	}
	if s.LetGo() {
		t.Error("a root of its own keeps nothing busy")
	}
	dir = fmt.Sprintf("/proc/%d/root", p.Process.Pid)
	if !become(id).LetGo() {
		t.Error("the root of all keeps a mount busy")
	}
}

func TestAStubThatWaitsHoldsUpNobody(t *testing.T) {
	s := newStub(t)
	if err := s.SetDeadline(time.Now().Add(10 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if err := s.Wait(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v, want that the deadline is over", err)
	}
	s = newStub(t)
	if err := unix.Kill(s.PID(), unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Stat(0); !errors.Is(err, sys.ErrStubGone) {
		t.Errorf("got %v, want that it is gone", err)
	}
}

func TestNewProcShowsItsNamespace(t *testing.T) {
	p := systest.Process(t, sys.NewPID, 0)
	for name, newProc := range map[string]func(*sys.Namespace) (*sys.Tree, error){
		"the kernel's way": func(ns *sys.Namespace) (*sys.Tree, error) {
			return sys.NewProc(ns, sys.NoDev, [2]string{"hidepid", "1"})
		},
		"by a member": func(ns *sys.Namespace) (*sys.Tree, error) {
			return sys.ProcByMember(ns, sys.NoDev, [][2]string{{"hidepid", "1"}})
		},
	} {
		systest.InPrivateMounts(t, func(dir string) error {
			ns, err := sys.OpenPIDNamespace(p.Process.Pid, "pid")
			if err != nil {
				return err
			}
			defer ns.Close()
			tree, err := newProc(ns)
			if err != nil {
				return err
			}
			defer tree.Close()
			if err := tree.MoveTo(dir); err != nil {
				return err
			}
			var pids []string
			files, err := os.ReadDir(dir)
			for _, f := range files {
				if f.Name()[0] >= '1' && f.Name()[0] <= '9' {
					pids = append(pids, f.Name())
				}
			}
			if !slices.Equal(pids, []string{"1"}) {
				t.Errorf("%s: processes %q, want 1", name, pids)
			}
			if cmd, err := os.ReadFile(dir + "/1/comm"); err != nil || string(cmd) != "cat\n" {
				t.Errorf("%s: process 1 is %q, %v", name, cmd, err)
			}
			_, wrong := sys.NewProc(ns, 0, [2]string{"hidepid", "9"})
			_, wrongByMember := sys.ProcByMember(ns, 0, [][2]string{{"hidepid", "9"}})
			if !errors.Is(wrong, unix.EINVAL) || !errors.Is(wrongByMember, unix.EINVAL) {
				t.Errorf("a wrong option: %v, %v", wrong, wrongByMember)
			}
			return errors.Join(err, sys.Detach(dir))
		})
	}
}

func BenchmarkStub(b *testing.B) {
	var z sys.Zygote
	defer z.End()
	for _, from := range []struct {
		name string
		make func() (*sys.Stub, error)
	}{{"fork", sys.NewStub}, {"zygote", z.NewStub}} {
		b.Run(from.name, func(b *testing.B) {
			for b.Loop() {
				s, err := from.make()
				if err != nil {
					b.Fatal(err)
				}
				<-s.End()
			}
		})
	}
}
