//go:build root

package mounter_test

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"cloister/internal/mounter"
	"cloister/internal/sealed"
	"cloister/internal/sys"
	"cloister/internal/sys/systest"
)

func init() { runtime.LockOSThread() } // the main thread is the one in the workshop

func TestMain(m *testing.M) {
	var err error
	switch role := os.Getenv(roleEnv); {
	case role == "container":
		err = inContainer(os.Args[1])
	case role == "hang":
		err = hang(os.Args[1])
	case role == "pointers":
		err = pointers()
	case role == "socketcall":
		err = socketcall(os.Args[1:])
	case role == "call":
		err = call(os.Args[1:])
	case slices.Equal(os.Args[1:], mounter.Args):
		err = mounter.Main()
	default:
		os.Exit(m.Run())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func TestOthersSealInItsWorkshop(t *testing.T) {
	views := systest.Dir(t)
	if err := os.WriteFile(views+"/view", []byte("VIEW"), 0o644); err != nil {
		t.Fatal(err)
	}
	p, err := mounter.Start(views)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	systest.InPrivateMounts(t, func(string) error {
		w, err := sealed.Open(p.PID, p.LockedFD)
		if err != nil {
			return err
		}
		defer w.Close()
		base, err := sys.NewMount("proc", 0)
		if err != nil {
			return err
		}
		tree, has, err := w.Seal(base, "proc", &sealed.Plan{Views: []sealed.View{{Source: views + "/view", Path: "proc/meminfo"}}})
		if err != nil || len(has) != 1 {
			t.Errorf("views %q, %v", has, err)
		}
		return tree.Close()
	})
}

func TestTheEndIsTold(t *testing.T) {
	p, err := mounter.Start()
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(p.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-p.Done()
	if _, err := sealed.Open(p.PID, p.LockedFD); !errors.Is(err, sealed.ErrGone) {
		t.Errorf("workshop of a process that was killed: %v, want ErrGone", err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
}

func TestItEndsWithTheDaemon(t *testing.T) {
	p, err := mounter.Start()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	<-p.Done()
}

func TestWhyItDoesNotStart(t *testing.T) {
	p, err := mounter.Start("/no/such/directory")
	if err == nil {
		t.Fatal(errors.Join(errors.New("it started"), p.Close()))
	}
	if !strings.Contains(err.Error(), "/no/such/directory") {
		t.Errorf("got %v, want the directory named", err)
	}
}
