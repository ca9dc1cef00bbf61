package lab

import (
	"errors"
	"os"
	"path/filepath"
	"time"
)

// ConmonCgroup is where podman puts its monitors, and leaves it.
const ConmonCgroup = "conmon"

// CgroupParent is the cgroup of all containers of the tests.
func (l *Lab) CgroupParent() string { return "/" + filepath.Base(l.Dir) }

// CgroupDirs are the directories of that cgroup.
func (l *Lab) CgroupDirs() []string {
	v1, _ := filepath.Glob("/sys/fs/cgroup/*" + l.CgroupParent()) // the pattern is right
	v2, _ := filepath.Glob("/sys/fs/cgroup" + l.CgroupParent())
	return append(v1, v2...)
}

// removeCgroups removes the cgroups that runtimes made for the tests, which have to
// be empty once podman's monitors have ended.
func (l *Lab) removeCgroups() error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.Now().Add(time.Minute)
	for {
		var errs []error
		for _, dir := range l.CgroupDirs() {
			_ = os.Remove(filepath.Join(dir, ConmonCgroup))
			errs = append(errs, os.Remove(dir))
		}
		err := errors.Join(errs...)
		if err == nil || time.Now().After(deadline) {
			return err
		}
		<-tick.C
	}
}
