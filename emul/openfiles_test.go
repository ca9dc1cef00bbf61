package emul

import (
	"testing"

	"cloister/cgroupview"
)

// Containers that are read in turn have no more descriptors than there may be, and those
// that were read last keep theirs.
func TestOpenFilesAreBounded(t *testing.T) {
	r := newRig(t, cgroupview.Hybrid, nil)
	each := r.c.group.OpenFiles()
	if each < 10 {
		t.Fatalf("%d descriptors of a container that was read, want some", each)
	}
	r.host.openFiles.limit = 4 * (2*each + 1) // of which a fourth is for containers in any case
	all := []*Container{r.c}
	for range 5 {
		all = append(all, r.container(ContainerConfig{PID: initTask.TID}))
	}
	for i := range 3 * len(all) {
		r.step(inUse + testPeriod)
		readFile(t, all[i%len(all)], "proc/meminfo")
		if n := total(all); n > 2*each || n != r.host.openFiles.total {
			t.Errorf("%d descriptors are open and %d noted, want no more than %d", n, r.host.openFiles.total, 2*each)
		}
		if all[i%len(all)].group.OpenFiles() == 0 {
			t.Error("the container that was just read has none")
		}
	}
	for _, c := range all {
		c.Close()
	}
	if o := r.host.openFiles; o.total != 0 || o.containers != 0 || o.queue.Len() != 0 {
		t.Errorf("after the last container: %d descriptors of %d containers, %d queued", o.total, o.containers, o.queue.Len())
	}
}

func total(containers []*Container) (n int) {
	for _, c := range containers {
		n += c.group.OpenFiles()
	}
	return n
}
