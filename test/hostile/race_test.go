//go:build hostile

package hostile

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"cloister/internal/sys/systest/talk"
	"cloister/test/lab"
)

// decode takes the last line that a probe has printed.
func decode(t *testing.T, text string, into any) {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), into); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
}

// logCounts logs what answers there were.
func logCounts(t *testing.T, counts map[string]int) {
	t.Helper()
	for _, key := range slices.Sorted(maps.Keys(counts)) {
		t.Logf("%7d %s", counts[key], key)
	}
}

// TestArgumentsThatChange: a second thread changes strings and structures while a call is
// decided on.
func TestArgumentsThatChange(t *testing.T) {
	needDocker(t)
	h := watchHealth(t)
	rounds := 10_000
	if *full {
		rounds = 100_000
	}
	var got struct {
		Answers map[string]int
		Wrong   []string
	}
	decode(t, probe(t, docker{"cloister"}, privileged, nil, "race", "-rounds", strconv.Itoa(rounds), "-total", memoryKiB), &got)
	logCounts(t, got.Answers)
	for _, w := range got.Wrong {
		t.Error(w)
	}
	h.check(t, 0)
}

// TestArgumentsThatMakeNoSense: registers and pointers are random, in all ABIs.
func TestArgumentsThatMakeNoSense(t *testing.T) {
	needDocker(t)
	calls := 300_000
	if *full {
		calls = 10_000_000
	}
	neighbour := startDocker(t, "neighbour")
	var before, during struct{ P50, P99, Max int64 }
	measure := func(into any, duration string) {
		decode(t, neighbour.exec(t, probeName, "latency", "-for", duration), into)
	}
	measure(&before, "1s")
	h := watchHealth(t)
	answers := make(chan string)
	go func() {
		defer close(answers)
		answers <- probe(t, docker{"cloister"}, privileged, nil, "fuzz", "-calls", strconv.Itoa(calls))
	}()
	measure(&during, "3s")
	var counts map[string]int
	decode(t, <-answers, &counts)
	logCounts(t, counts)
	t.Logf("sysinfo(2) of a neighbour, in microseconds: %+v, before %+v", during, before)
	made := 0
	for _, n := range counts {
		made += n
	}
	if made < calls-10 {
		t.Errorf("%d calls were made, want %d", made, calls)
	}
	h.check(t, 0)
	rows := []row{{"the neighbour is served", "sysinfo; sysinfo i386; total /proc/meminfo", strings.Join([]string{memoryKiB, memoryKiB, memoryKiB}, "; ")}}
	holds(t, docker{"cloister"}, stock, rows)
}

// TestWorkerKilledAmongCalls kills the daemon's worker while a hundred threads wait for
// answers: all of them are right.
func TestWorkerKilledAmongCalls(t *testing.T) {
	needDocker(t)
	h := watchHealth(t)
	end := startLoad(t, docker{"cloister"}.command(t.Context(), t, privileged, "load", "-threads", "100", "-total", memoryKiB))
	const kills = 5
	for range kills {
		killWorker(t)
	}
	end()
	h.check(t, kills)
}

// signalsFor is how long calls are interrupted.
const signalsFor = 2 * time.Second

// TestSignalsAmongCalls: who is interrupted by a signal while he waits for an answer asks
// again. A mount must be one nevertheless.
func TestSignalsAmongCalls(t *testing.T) {
	eachEngine(t, func(t *testing.T, e engine) {
		end := startLoad(t, e.command(t.Context(), t, privileged, "load", "-threads", "20", "-pester", "-total", memoryKiB))
		<-time.After(signalsFor)
		end()
	})
}

// TestCallersThatBecomeOthers: a user's call must not get the rights of a setuid program
// that has taken the caller's place.
func TestCallersThatBecomeOthers(t *testing.T) {
	needDocker(t)
	h := watchHealth(t)
	var got struct{ Rounds, Mounted int }
	decode(t, probe(t, docker{"cloister"}, privileged, nil, "takeover"), &got)
	if got.Rounds == 0 || got.Mounted != 0 {
		t.Errorf("%d mounts in %d rounds", got.Mounted, got.Rounds)
	}
	h.check(t, 0)
}

// TestHelpersAreOutOfReach: who serves a container's mounts is for a moment among its
// processes, where nobody gets at it, or at the program that it runs (as CVE-2019-5736 did).
func TestHelpersAreOutOfReach(t *testing.T) {
	needDocker(t)
	const name = "watched"
	run := docker{"cloister"}.command(t.Context(), t, privileged, "load", "-threads", "10", "-total", memoryKiB)
	at := slices.Index(run.Args, "--rm")
	run.Args = slices.Insert(run.Args, at, "--name", name)
	end := startLoad(t, run)
	var got struct {
		Strangers int
		Wrong     []string
	}
	decode(t, dockerOK(t, "exec", "--privileged", name, probeName, "watch", "-for", "2s"), &got)
	end()
	t.Logf("%d times a process of others was seen", got.Strangers)
	for _, w := range got.Wrong {
		t.Error(w)
	}
}

// startLoad starts a container that makes calls in many threads, and returns what ends it
// and checks their answers.
func startLoad(t *testing.T, cmd *exec.Cmd) (end func()) {
	t.Helper()
	cmd.Stderr = t.Output()
	p := talk.Start(t, cmd)
	p.Hear("ready")
	return func() {
		t.Helper()
		text := p.Rest()
		if err := p.End(); err != nil {
			t.Fatal(err)
		}
		var got struct {
			Calls int
			Wrong []string
		}
		decode(t, text, &got)
		t.Logf("%d rounds of calls", got.Calls)
		for _, w := range got.Wrong {
			t.Error(w)
		}
	}
}

// killWorker kills the daemon's worker and waits until another one serves.
func killWorker(t *testing.T) {
	t.Helper()
	w, err := world.Daemon.Worker()
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Kill(); err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(time.Minute); ; <-tick.C {
		next, err := world.Daemon.Worker()
		if err == nil && next.Pid != w.Pid {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("no other worker within a minute: %v", err)
		}
	}
}

// health is what must be the same after an attack as before.
type health struct {
	restarts     int
	fds, threads int
}

// slack is how many descriptors and threads a daemon may have more after some work.
const slack = 32

func watchHealth(t *testing.T) health {
	t.Helper()
	s, err := world.Daemon.Client.Status()
	if err != nil {
		t.Fatal(err)
	}
	return health{s.Restarts, entries(t, s.WorkerPID, "fd"), entries(t, s.WorkerPID, "task")}
}

func entries(t *testing.T, pid int, dir string) int {
	t.Helper()
	all, err := os.ReadDir(fmt.Sprintf("/proc/%d/%s", pid, dir))
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

// check fails the test if the daemon has come to harm, but for a number of workers that
// were killed.
func (h health) check(t *testing.T, killed int) {
	t.Helper()
	now := watchHealth(t)
	if now.restarts != h.restarts+killed {
		t.Errorf("%d workers have ended, %d were killed", now.restarts-h.restarts, killed)
	}
	if now.fds > h.fds+slack || now.threads > h.threads+slack {
		t.Errorf("the daemon has %d descriptors and %d threads, before %d and %d", now.fds, now.threads, h.fds, h.threads)
	}
	log, err := os.ReadFile(world.Daemon.Log)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(log)) {
		if strings.Contains(line, "panic") || strings.Contains(line, "fatal error") {
			t.Errorf("the daemon's log says %s", line)
		}
	}
}

// running is a container of docker's in the background.
type running struct{ name string }

func startDocker(t *testing.T, name string) running {
	t.Helper()
	r := running{name}
	t.Cleanup(func() { _ = world.Command(t.Context(), lab.DockerClient(), "rm", "-f", name).Run() })
	dockerOK(t, "run", "-d", "--name", name, "--network=none", "--runtime=cloister", "--memory="+memoryLimit, lab.ImageName, "sleep", "1000")
	return r
}

func (r running) exec(t *testing.T, args ...string) string {
	t.Helper()
	return dockerOK(t, append([]string{"exec", r.name}, args...)...)
}

// dockerOK runs a docker command that must succeed and returns what it prints.
func dockerOK(t *testing.T, args ...string) string {
	t.Helper()
	out, err := world.Command(t.Context(), lab.DockerClient(), args...).CombinedOutput()
	if err != nil {
		t.Fatalf("docker %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}
