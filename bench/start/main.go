// Command start measures what cloister adds to the life of a container: create,
// start and delete of the same bundle with plain runc, in a user namespace over
// files that were shifted beforehand, and with cloister-runtime. The two take turns.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"

	"cloister/internal/api"
	"cloister/internal/bundle"
)

func main() {
	rounds := flag.Int("rounds", 50, "how often each container is run")
	runtime := flag.String("runtime", "runc", "low-level runtime")
	program := flag.String("cloister", "bin/cloister", "the program to measure")
	flag.Parse()
	if err := run(*rounds, *runtime, *program); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(rounds int, runtime, program string) (err error) {
	dir, err := os.MkdirTemp("", "cbench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := os.Chmod(dir, 0o755); err != nil {
		return err
	}
	b := &bench{dir: dir, runtime: runtime}
	if b.cloister, err = filepath.Abs(program); err != nil {
		return err
	}
	stop, err := b.startDaemon()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	if err := b.makeBundles(); err != nil {
		return err
	}
	if err := b.measure(rounds); err != nil {
		return err
	}
	return b.report(rounds)
}

// bench is a run of the benchmark.
type bench struct {
	dir, runtime, cloister string
	subjects               []*subject
}

// subject is one way to run the container.
type subject struct {
	name  string
	argv  []string // the runtime with its flags
	dir   string   // the bundle
	times map[string][]time.Duration
}

// phases are what is timed, and their sum.
var phases = []string{"create", "start", "delete", "total"}

func (b *bench) startDaemon() (stop func() error, err error) {
	runDir := filepath.Join(b.dir, "run")
	cmd := exec.Command(b.cloister, "daemon", "--run-dir", runDir, "--state-dir", filepath.Join(b.dir, "state"), "--log-level", "error")
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	stop = func() error { return errors.Join(cmd.Process.Signal(os.Interrupt), cmd.Wait()) }
	client := api.NewClient(runDir)
	for deadline := time.Now().Add(10 * time.Second); ; {
		_, err := client.Status()
		if err == nil {
			return stop, nil
		}
		if time.Now().After(deadline) {
			return nil, errors.Join(err, stop())
		}
	}
}

// shift is where the ids of the container without cloister begin.
const shift = 1_900_000_000

func (b *bench) makeBundles() error {
	wrapper := filepath.Join(b.dir, "cloister-runtime")
	if err := os.Symlink(b.cloister, wrapper); err != nil {
		return err
	}
	root := []string{"--root", filepath.Join(b.dir, "state-of-runtime")}
	plain := &subject{name: b.runtime, argv: append([]string{b.runtime}, root...)}
	ours := &subject{name: "cloister", argv: append([]string{wrapper, "--run-dir", filepath.Join(b.dir, "run"), "--runtime-path", b.runtime}, root...)}
	b.subjects = []*subject{plain, ours}
	for _, s := range b.subjects {
		s.dir, s.times = filepath.Join(b.dir, "bundle-"+s.name), map[string][]time.Duration{}
		if err := s.makeBundle(s == plain); err != nil {
			return err
		}
	}
	return nil
}

// makeBundle makes a bundle of the shape of docker's, with busybox and three bind
// mounts.
func (s *subject) makeBundle(shifted bool) error {
	rootfs := filepath.Join(s.dir, "rootfs")
	for _, d := range []string{"bin", "proc", "sys", "dev", "etc"} {
		if err := os.MkdirAll(filepath.Join(rootfs, d), 0o755); err != nil {
			return err
		}
	}
	o := &bundle.Options{Name: bundle.Name("bench-" + s.name), Command: []string{"/bin/busybox", "true"}, Rootfs: rootfs}
	for _, f := range []string{"hosts", "hostname", "resolv.conf"} {
		path := filepath.Join(s.dir, f)
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			return err
		}
		o.Volumes = append(o.Volumes, bundle.Volume{Source: path, Target: "/etc/" + f})
	}
	config := bundle.Spec(o)
	if shifted {
		config.Linux.Namespaces = append(config.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace})
		config.Linux.UIDMappings = []specs.LinuxIDMapping{{ContainerID: 0, HostID: shift, Size: 65536}}
		config.Linux.GIDMappings = config.Linux.UIDMappings
	}
	text, err := json.Marshal(config)
	if err != nil {
		return err
	}
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(s.dir, "config.json"), text, 0o600); err != nil {
		return err
	}
	copyTree := fmt.Sprintf("cp %s %s/bin/busybox", busybox, rootfs)
	if shifted {
		copyTree += fmt.Sprintf(" && chown -R %d:%[1]d %s", shift, rootfs)
	}
	return exec.Command("sh", "-c", copyTree).Run()
}

// measure runs the containers in turns. The first round is not counted.
func (b *bench) measure(rounds int) error {
	for i := range rounds + 1 {
		for _, s := range b.subjects {
			if err := s.live(fmt.Sprintf("%s-%d", filepath.Base(b.dir), i)); err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			if i == 0 {
				clear(s.times)
			}
		}
	}
	return nil
}

// live takes a container through its life.
func (s *subject) live(id string) error {
	pidFile := filepath.Join(s.dir, "pid")
	create, err := s.step("create", "--bundle", s.dir, "--pid-file", pidFile, id)
	if err != nil {
		return err
	}
	start, err := s.step("start", id)
	if err != nil {
		return err
	}
	if err := waitForEnd(pidFile); err != nil {
		return err
	}
	del, err := s.step("delete", id)
	if err != nil {
		return err
	}
	for phase, d := range map[string]time.Duration{"create": create, "start": start, "delete": del, "total": create + start + del} {
		s.times[phase] = append(s.times[phase], d)
	}
	return nil
}

// step calls the runtime and returns how long it took.
func (s *subject) step(args ...string) (time.Duration, error) {
	var stderr strings.Builder
	cmd := exec.Command(s.argv[0], append(slices.Clone(s.argv[1:]), args...)...)
	cmd.Stderr = &stderr
	if args[0] == "create" { // the container keeps the streams, and with them a pipe
		cmd.Stderr = os.Stderr
	}
	begin := time.Now()
	if err := cmd.Run(); err != nil {
		return 0, fmt.Errorf("%s: %w: %s", args[0], err, stderr.String())
	}
	return time.Since(begin), nil
}

// waitForEnd waits until the container's process is gone, which is not timed.
func waitForEnd(pidFile string) error {
	pid, err := os.ReadFile(pidFile)
	if err != nil {
		return err
	}
	for {
		if _, err := os.Stat("/proc/" + string(pid)); errors.Is(err, os.ErrNotExist) {
			return nil
		}
	}
}

// report prints medians, and the median of the rounds' ratios with the middle half
// of them.
func (b *bench) report(rounds int) error {
	plain, ours := b.subjects[0], b.subjects[1]
	w := tabwriter.NewWriter(os.Stdout, 0, 8, 3, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "median of %d\t%s + user namespace\tcloister\tratio\tmiddle half\t\n", rounds, plain.name)
	for _, p := range phases {
		ratios := make([]float64, rounds)
		for i := range ratios {
			ratios[i] = float64(ours.times[p][i]) / float64(plain.times[p][i])
		}
		slices.Sort(ratios)
		fmt.Fprintf(w, "%s\t%.1f ms\t%.1f ms\t%.2f\t%.2f to %.2f\t\n", p, medianMS(plain.times[p]), medianMS(ours.times[p]),
			ratios[rounds/2], ratios[rounds/4], ratios[rounds*3/4])
	}
	return w.Flush()
}

// medianMS returns the median in milliseconds.
func medianMS(times []time.Duration) float64 {
	sorted := slices.Sorted(slices.Values(times))
	return float64(sorted[len(sorted)/2].Microseconds()) / 1000
}
