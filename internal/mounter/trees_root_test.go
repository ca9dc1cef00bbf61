//go:build root

package mounter

import (
	"errors"
	"os"
	"runtime"
	"strconv"
	"testing"

	"cloister/internal/sealed"
	"cloister/internal/sys"
)

// inWorkshop calls f on a thread with a workshop of its own.
func inWorkshop(t *testing.T, f func(*sealed.Workshop) error) {
	t.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		w, err := sealed.Build(nil)
		if err == nil {
			err = errors.Join(f(w), w.Close())
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestTreesAreKeptWithinBounds(t *testing.T) {
	inWorkshop(t, func(w *sealed.Workshop) error {
		trees := &trees{workshop: w}
		pid, err := sys.OpenThreadNamespace("pid")
		if err != nil {
			return err
		}
		defer pid.Close()
		net, err := sys.OpenThreadNamespace("net")
		if err != nil {
			return err
		}
		defer net.Close()
		get := func(container, fstype string, ns *sys.Namespace, plan int, keep bool) {
			t.Helper()
			tree, err := trees.get(&wanted{
				spec: spec{container: container, fstype: fstype, ns: ns.ID(), plan: strconv.Itoa(plan)},
				ns:   ns, plan: &sealed.Plan{}, keep: keep,
			})
			if err := errors.Join(err, tree.Close()); err != nil {
				t.Fatal(err)
			}
		}
		get("a", typeSysfs, net, 0, false)
		if len(trees.kept) != 0 {
			t.Errorf("kept what was not to be: %v", trees.kept)
		}
		get("b", typeSysfs, net, 0, true)
		for plan := range maxKeptOne {
			get("a", typeProc, pid, plan, true)
		}
		made := trees.made
		get("a", typeProc, pid, 0, true) // which makes 1 the oldest
		if trees.made != made {
			t.Error("what is kept was made again")
		}
		oldest := trees.kept[1]
		get("a", typeProc, pid, maxKeptOne, true)
		if _, err := w.Clone(oldest.name); oldest.plan != "1" || !errors.Is(err, os.ErrNotExist) {
			t.Errorf("tree of plan %s: %v, want the oldest forgotten", oldest.plan, err)
		}
		if n := len(trees.kept); n != maxKeptOne+1 {
			t.Errorf("%d trees kept, want %d", n, maxKeptOne+1)
		}
		// What is lost is made again.
		if err := w.Forget(trees.kept[0].name); err != nil {
			return err
		}
		get("b", typeSysfs, net, 0, true)
		names := []string{}
		for _, k := range trees.kept {
			names = append(names, k.name)
		}
		if err := errors.Join(trees.drop("a"), trees.drop("b"), trees.drop("c")); err != nil || len(trees.kept) != 0 {
			t.Errorf("after drop: %v, %v", trees.kept, err)
		}
		for _, name := range names {
			if _, err := w.Clone(name); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("tree %s after drop: %v", name, err)
			}
		}
		return nil
	})
}
