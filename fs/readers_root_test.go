//go:build root

package fs

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"cloister/fs/fstest"
)

// readersTimeout is for readers that the server doesn't answer. They need a hundredth.
const readersTimeout = 2 * time.Minute

// leaseAge is how old what a reader of a kept file gets may be under lease, and how long
// a machine under load may take to see to it. Readers that drop pages on their way meet a
// sweep at their start by chance only.
const leaseAge = 100*time.Millisecond + 3*time.Second

// snapshotting are the protocols that give each open file a snapshot.
var snapshotting = map[string]struct {
	protocol Protocol
	maxAge   time.Duration
}{
	"leased": {Exact, leaseAge},
	"direct": {Direct, 0},
}

func longPath(s *Server) string { return filepath.Join(s.Path(testSlot), longFile) }

// isPrivateMapping: those of a file that is read by requests are of pages that nobody
// keeps fresh, and are as long as stat says, which is more than there is. The kernel
// lets nobody refuse them.
func isPrivateMapping(habit string) bool { return strings.HasPrefix(habit, "mmap private") }

// wantsPages: what the kernel does with the page cache or not at all.
func wantsPages(habit string) bool {
	return slices.ContainsFunc([]string{"sendfile", "splice", "mmap shared"}, func(name string) bool {
		return strings.HasPrefix(habit, name)
	})
}

func tasksOf(task fstest.Task, without func(habit string) bool) []fstest.Task {
	var tasks []fstest.Task
	for _, h := range fstest.Habits() {
		if !without(h.Name) {
			task.Habit = h.Name
			tasks = append(tasks, task)
		}
	}
	return tasks
}

// Readers of all habits read a file at the same time, a short one and one of several
// READs.
func TestReadersOfEveryHabit(t *testing.T) {
	for name, tt := range snapshotting {
		s := mountWith(t, &editions{}, Options{Protocol: tt.protocol})
		for file, passes := range map[string]int{meminfo(s): 20, longPath(s): 1} {
			t.Run(name+"/"+filepath.Base(file), func(t *testing.T) {
				task := fstest.Task{File: file, Passes: passes, MaxAge: tt.maxAge}
				readTogether(t, s, tasksOf(task, isPrivateMapping))
			})
		}
	}
}

// Who has a file alone, and the file leased, is refused nothing.
func TestReadersAlone(t *testing.T) {
	for name, tt := range snapshotting {
		s := mountWith(t, &editions{}, Options{Protocol: tt.protocol})
		for _, file := range []string{meminfo(s), longPath(s)} {
			lease := tt.protocol == Exact && file == meminfo(s)
			t.Run(name+"/"+filepath.Base(file), func(t *testing.T) {
				without := func(habit string) bool { return !lease && isPrivateMapping(habit) }
				for _, task := range tasksOf(fstest.Task{File: file, Passes: 3, MaxAge: tt.maxAge}, without) {
					settleOpens(s)
					got := readTogether(t, s, []fstest.Task{task})[0]
					checkRefused(t, got, !lease && wantsPages(task.Habit))
				}
			})
		}
	}
}

// checkRefused: all passes are refused or none. Containers often have no io_uring.
func checkRefused(t *testing.T, got fstest.Result, all bool) {
	t.Helper()
	want := 0
	if all {
		want = got.Passes
	}
	if got.Refused != want && !strings.HasPrefix(got.Habit, "io_uring") {
		t.Errorf("%s: %d of %d passes are refused, want %d", got.Habit, got.Refused, got.Passes, want)
	}
}

// told says what it is told to.
type told struct {
	editions
	edition atomic.Uint64
}

func (e *told) Render(dst []byte, _ Slot, ref Ref) ([]byte, error) {
	return appendEdition(dst, ref, e.edition.Load()), nil
}

func (e *told) TryRender(dst []byte, slot Slot, ref Ref) ([]byte, bool) {
	content, err := e.Render(dst, slot, ref)
	return content, err == nil
}

// Readers of all habits have what is pushed as it is since the last change, which made
// it longer or shorter. Each edition is an hour younger than the one before.
func TestPushedReadersOfEveryHabit(t *testing.T) {
	content := &told{}
	s := mountWith(t, content, Options{Protocol: Pushed, MaxStale: 24 * time.Hour})
	for round, lines := range []uint64{3, 7, 0, 5} {
		young := time.Duration(round) * time.Hour
		edition := (uint64(fstest.Now())+uint64(young))&^7 | lines
		content.edition.Store(edition)
		s.Changed(testSlot)
		for _, file := range []string{meminfo(s), longPath(s)} {
			awaitEdition(t, file, edition)
			task := fstest.Task{File: file, Passes: 2, MaxAge: 2*readersTimeout - young}
			for _, got := range readTogether(t, s, tasksOf(task, func(string) bool { return false })) {
				checkRefused(t, got, false)
			}
		}
	}
}

// awaitEdition reads a file until it is of an edition.
func awaitEdition(t *testing.T, file string, want uint64) {
	for edition := uint64(0); edition != want; {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Error(err)
			return
		}
		edition, _ = fstest.Parse(content) // 0 if it is torn
	}
}

// Readers that drop the pages of a file make its other readers ask for them again, at
// any time. A server that then waits for these pages itself waits for ever.
func TestDroppedPages(t *testing.T) {
	s := mountTest(t, &editions{})
	var tasks []fstest.Task
	for _, habit := range []string{"read by 65536", "read by 512", "drop and read", "drop and read, kept"} {
		tasks = append(tasks, fstest.Task{Habit: habit, File: meminfo(s), Passes: 3000, MaxAge: leaseAge})
	}
	readTogether(t, s, tasks)
}

// Who moves pages of a file that was lent to somebody else, who closes it, gets no more than
// these have.
func TestMovedPages(t *testing.T) {
	s := mountTest(t, &editions{})
	tasks := slices.Repeat([]fstest.Task{{Habit: "sendfile", File: meminfo(s), Passes: 5000, MaxAge: leaseAge}}, 2)
	readTogether(t, s, tasks)
}

// readTogether does tasks in processes of their own, some at a time. If they don't end
// it aborts the connection: nothing else ends those who wait for a reply of a thread
// that waits for itself.
func readTogether(t *testing.T, s *Server, tasks []fstest.Task) []fstest.Result {
	t.Helper()
	const atOnce = 8
	ctx, cancel := context.WithTimeout(t.Context(), readersTimeout)
	defer cancel()
	stuck := context.AfterFunc(ctx, func() {
		t.Error("readers are stuck")
		if err := unix.Unmount(s.dir, unix.MNT_FORCE); err != nil {
			t.Logf("abort: %v", err) // that it is busy is told after the abort
		}
	})
	defer stuck()
	var readers sync.WaitGroup
	free := make(chan struct{}, atOnce)
	results := make([]fstest.Result, len(tasks))
	for i, task := range tasks {
		readers.Go(func() {
			free <- struct{}{}
			defer func() { <-free }()
			result, err := task.Run(ctx)
			if err == nil {
				err = result.Err()
			}
			if err != nil {
				t.Error(err)
			}
			results[i] = result
		})
	}
	readers.Wait()
	return results
}
