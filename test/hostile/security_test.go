//go:build hostile

package hostile

import (
	"fmt"
	"strings"
)

const intro = "# What hostile containers can do\n\n" +
	"`sudo make test-hostile` runs containers that attack. This table is what it has found with docker and\n" +
	"runc 1.1.5, once with runc alone and once with `--runtime=cloister`; the same attacks are made with the\n" +
	"host's crun and with the newest runc and crun, by bundles. Written by `go test -tags hostile\n" +
	"./test/hostile -update`.\n\n" +
	"What is in the third column is made of `docker run`'s arguments, and of the steps that a program in the\n" +
	"container takes, [test/hostile/probe](../test/hostile/probe). Answers are in the order of the steps: `ok`,\n" +
	"the name of an errno, or what was read. `append` opens a file to write to its end, and writes nothing;\n" +
	"`new` mounts a file system; `total` reads the total of memory, which in these containers is " + memoryKiB + " kB.\n" +
	"`enter userns…` takes the following steps in namespaces that the container has made; `api` chooses other\n" +
	"system calls for the same.\n\n"

func (r *results) outro() string {
	var b strings.Builder
	b.WriteString("\nNot in the table:\n\n")
	for _, n := range notTried {
		fmt.Fprintf(&b, "- %s: %s: %s.\n", n.id, n.what, n.why)
	}
	fmt.Fprintf(&b, "\nThe kernel that this was written on has nothing of the kind for %s: there these rows say nothing.\n", strings.Join(r.missing(), ", "))
	b.WriteString("\nBesides, the suite changes every mount of a container in every way and from every place\n" +
		"(`TestInitialMounts`, `TestFreshProcAndSysfs`), changes arguments while they are looked at\n" +
		"(T16, `TestArgumentsThatChange`), makes calls that make no sense (`TestArgumentsThatMakeNoSense`), kills the\n" +
		"daemon's worker while a hundred threads wait for answers (`TestWorkerKilledAmongCalls`), interrupts callers\n" +
		"by signals (`TestSignalsAmongCalls`), and reaches for the processes that serve mounts\n" +
		"(`TestHelpersAreOutOfReach`).\n")
	return b.String()
}
