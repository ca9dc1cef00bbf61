package emul

import (
	"golang.org/x/sys/unix"

	"cloister/cgroupview"
)

// pressureFiles are the files of /proc/pressure, but for irq, which came later.
var pressureFiles = []File{pressureFile("cpu"), pressureFile("io"), pressureFile("memory")}

// pressureFile is /proc/pressure/RESOURCE, kernel/sched/psi.c: the file of the
// container's cgroup. A program may write a trigger to it and poll it.
func pressureFile(resource string) File {
	return File{
		Path: pressureDir + "/" + resource, Mode: 0o666,
		group: func(dst []byte, g *cgroupview.Group) ([]byte, error) {
			text, ok, err := g.Pressure(dst, resource)
			if err == nil && !ok {
				err = ErrNoPressure
			}
			return text, err
		},
	}
}

const pressureDir = "proc/pressure"

// ErrNoPressure says that the kernel counts no pressure for the container's cgroup, as
// with cgroup v1. It is what the kernel's file says if it counts none at all.
const ErrNoPressure = unix.EOPNOTSUPP
