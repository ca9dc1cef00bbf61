package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// watch looks for processes that are not the container's, and tries to get at them. It
// prints how many it has seen, and what it got.
func watch(args []string) error {
	flags := flag.NewFlagSet("watch", flag.ContinueOnError)
	duration := flags.Duration("for", time.Second, "how long to watch")
	if err := flags.Parse(args); err != nil {
		return err
	}
	w := &watcher{}
	for _, program := range []string{"/proc/self/exe", "/bin/busybox"} {
		id, err := fileID(program)
		if err != nil {
			return err
		}
		w.programs = append(w.programs, id)
	}
	for end := time.Now().Add(*duration); time.Now().Before(end); {
		all, err := filepath.Glob("/proc/[0-9]*")
		if err != nil {
			return err
		}
		for _, dir := range all {
			w.look(dir)
		}
	}
	return json.NewEncoder(os.Stdout).Encode(w)
}

type watcher struct {
	Strangers int
	Wrong     []string
	programs  []string // the container's own
}

func fileID(path string) (string, error) {
	var s unix.Stat_t
	err := unix.Stat(path, &s)
	return fmt.Sprint(s.Dev, s.Ino), err
}

// look tries a process whose program is not the container's, or can't be seen.
func (w *watcher) look(dir string) {
	id, err := fileID(dir + "/exe")
	if slices.Contains(w.programs, id) || answer(err) == "ENOENT" || answer(err) == "ESRCH" {
		return // or gone, or of the kernel
	}
	w.Strangers++
	for _, file := range []string{"exe", "mem", "root", "cwd", "maps", "ns/mnt", "fd/0"} {
		if err := open(dir+"/"+file, unix.O_RDONLY); err == nil {
			w.wrong("%s/%s can be opened", dir, file)
		}
	}
	pid, err := strconv.Atoi(strings.TrimPrefix(dir, "/proc/"))
	if err != nil {
		return
	}
	if err := unix.PtraceSeize(pid); err == nil {
		w.wrong("%s can be traced", dir)
	}
	if err := unix.Kill(pid, 0); err == nil {
		w.wrong("%s can be killed", dir)
	}
}

func (w *watcher) wrong(format string, a ...any) {
	if len(w.Wrong) < 20 {
		w.Wrong = append(w.Wrong, fmt.Sprintf(format, a...))
	}
}
