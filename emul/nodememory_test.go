package emul

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"cloister/cgroupview"
	"cloister/cgroupview/cgrouptest"
)

// nodeLines returns the lines of a node's meminfo, in KiB.
func nodeLines(tb testing.TB, c *Container, node int) map[string]uint64 {
	tb.Helper()
	values := map[string]uint64{}
	for line := range strings.Lines(readFile(tb, c, fmt.Sprintf("%s/node%d/meminfo", nodeDir, node))) {
		fields := strings.Fields(line)
		if len(fields) < 4 || fields[0] != "Node" || fields[1] != fmt.Sprint(node) {
			tb.Fatalf("line %q of node %d", line, node)
		}
		values[strings.TrimSuffix(fields[2], ":")] = number(tb, fields[3])
	}
	return values
}

// checkNodes checks that the nodes' figures add up to those that meminfo has, and returns
// how many these are.
func checkNodes(tb testing.TB, r *rig) (compared int) {
	tb.Helper()
	id, _, _ := lookUp(nodeDir + "/node*/meminfo")
	nodes, err := r.c.Members(id)
	if err != nil {
		tb.Fatal(err)
	}
	sums := map[string]uint64{}
	for _, node := range nodes {
		lines := nodeLines(tb, r.c, node)
		if lines["MemFree"] > lines["MemTotal"] || lines["MemUsed"] != lines["MemTotal"]-lines["MemFree"] {
			tb.Errorf("node %d: total %d, free %d, used %d", node, lines["MemTotal"], lines["MemFree"], lines["MemUsed"])
		}
		for name, v := range lines {
			sums[name] += v
		}
	}
	whole := r.meminfo()
	whole["MemUsed"], whole["FilePages"] = whole["MemTotal"]-whole["MemFree"], whole["Cached"]
	for name, sum := range sums {
		want, ok := whole[name]
		if !ok {
			continue
		}
		compared++
		if sum != want {
			tb.Errorf("%s of nodes %v adds up to %d, meminfo has %d", name, nodes, sum, want)
		}
	}
	return compared
}

// With one node, its figures are meminfo's, and what it has is not asked for.
func TestOneNode(t *testing.T) {
	r := newRig(t, cgroupview.Unified, func(r *rig) {
		r.cgroup.Update(goldenValues)
		r.cgroup.Update(func(v *cgrouptest.Values) { v.Mems = "1" })
		r.fake.Write(r.cgroup.File("memory", "memory.numa_stat"), "anon N0=x\n")
	})
	checkNodes(t, r)
	if got := nodeLines(t, r.c, 1); got["MemTotal"] != 512*kib || got["AnonPages"] != 180*kib {
		t.Errorf("node 1 has %v", got)
	}
}

func TestTwoNodes(t *testing.T) {
	inModes(t, func(t *testing.T, r *rig) {
		r.set(func(v *cgrouptest.Values) {
			goldenValues(v)
			v.MemoryMax, v.MemoryCurrent = gib, 600*mib
			v.Stat.Anon, v.Stat.File = 400*mib, 100*mib
			v.NUMA = []cgroupview.NodeMemory{{Node: 0, Anon: 300 * mib, File: 100 * mib}, {Node: 1, Anon: 100 * mib}}
		})
		checkNodes(t, r)
		for node, want := range [][3]uint64{{512, 300, 100}, {512, 100, 0}} {
			got := nodeLines(t, r.c, node)
			for i, name := range []string{"MemTotal", "AnonPages", "FilePages"} {
				if got[name] != want[i]*kib {
					t.Errorf("node %d: %s %d kB, want %d MiB", node, name, got[name], want[i])
				}
			}
		}
		// Of the 424 MiB that are free, more are on node 1: 112 MiB of node 0's part
		// are not known to be used, and 412 MiB of node 1's.
		free0, free1 := nodeLines(t, r.c, 0)["MemFree"], nodeLines(t, r.c, 1)["MemFree"]
		if free0+free1 != 424*kib || free0 > 112*kib || free1 > 412*kib {
			t.Errorf("free %d and %d kB", free0, free1)
		}
	})
}

// A node of the host's that is full has nothing free for a container either.
func TestFullNode(t *testing.T) {
	r := newRig(t, cgroupview.Unified, func(r *rig) {
		r.fake.Write("proc/meminfo", "MemTotal: 8388608 kB\nMemFree: 3145728 kB\nMemAvailable: 3145728 kB\n")
		r.fake.Write(nodeDir+"/node0/meminfo", "Node 0 MemTotal: 4194304 kB\nNode 0 MemFree: 0 kB\n")
		r.fake.Write(nodeDir+"/node1/meminfo", "Node 1 MemTotal: 4194304 kB\nNode 1 MemFree: 3145728 kB\n")
	})
	for node, want := range []uint64{0, 3 * gib} {
		if got := nodeLines(t, r.c, node); got["MemFree"] != want/kib || got["MemTotal"] != 4*gib/kib {
			t.Errorf("node %d: %v, want %d kB free", node, got, want/kib)
		}
	}
}

// The sums hold whatever the limits and the kernel's figures are.
func TestNodesAddUp(t *testing.T) {
	for _, host := range []string{"", "x86-6.1"} {
		for _, mode := range cgrouptest.Modes {
			rnd := rand.New(rand.NewPCG(uint64(mode), uint64(len(host))))
			r := newRig(t, mode, func(r *rig) {
				if host == "" {
					return
				}
				if err := copyHost(r.fake, host); err != nil {
					t.Fatal(err)
				}
			})
			for range 30 {
				r.set(func(v *cgrouptest.Values) { randomMemory(rnd, v) })
				if n := checkNodes(t, r); n < 30 || t.Failed() {
					t.Fatalf("host %q, %v: %d lines", host, mode, n)
				}
			}
		}
	}
}

// randomMemory sets what a cgroup has of memory, and where: figures that need not
// agree, as they are read at different times.
func randomMemory(rnd *rand.Rand, v *cgrouptest.Values) {
	bytes := func() uint64 {
		if rnd.IntN(4) == 0 {
			return 0
		}
		return rnd.Uint64N(gib)
	}
	v.Mems = []string{"0-1", "0-1", "0", "1"}[rnd.IntN(4)]
	v.MemoryMax, v.MemoryCurrent = rnd.Uint64N(9*gib), rnd.Uint64N(9*gib)
	v.Stat = cgroupview.MemoryStat{
		Anon: bytes(), File: bytes(), Shmem: bytes(), FileMapped: bytes(), FileDirty: bytes(), AnonThp: bytes(),
		InactiveAnon: bytes(), ActiveAnon: bytes(), InactiveFile: bytes(), ActiveFile: bytes(), Unevictable: bytes(),
		KernelStack: bytes(), Pagetables: bytes(), SecPagetables: bytes(), Swapcached: bytes(),
		Slab: bytes(), SlabReclaimable: bytes(), SlabUnreclaimable: bytes(), FileThp: bytes(), ShmemThp: bytes(),
	}
	v.NUMA = []cgroupview.NodeMemory{}
	for node := range rnd.IntN(4) {
		v.NUMA = append(v.NUMA, cgroupview.NodeMemory{
			Node: node, Anon: bytes(), File: bytes(), Shmem: bytes(), KernelStack: bytes(), Pagetables: bytes(),
			ActiveAnon: bytes(), InactiveFile: bytes(), SlabReclaimable: bytes(), FileMapped: bytes(),
		})
	}
}

// Where the memory lies is read once for a sample, and for no other file.
func TestNodeMemoryIsReadOncePerSample(t *testing.T) {
	r := newRig(t, cgroupview.Unified, func(r *rig) { r.cgroup.Update(goldenValues) })
	stat := r.cgroup.File("memory", "memory.numa_stat")
	before := nodeLines(t, r.c, 1)["AnonPages"]
	r.fake.Write(stat, "anon N0=x\n")
	if got := nodeLines(t, r.c, 1)["AnonPages"]; got != before {
		t.Errorf("AnonPages %d in the same sample, want %d", got, before)
	}
	r.step(testPeriod)
	r.read("proc/meminfo")
	r.read(nodeDir + "/node1/cpulist")
	id, _, _ := lookUp(nodeDir + "/node*/vmstat")
	if _, err := r.c.Render(nil, id, 1); !errors.Is(err, cgroupview.ErrFormat) {
		t.Errorf("vmstat from a damaged file: %v, want ErrFormat", err)
	}
	r.fake.Write(stat, "anon N0=1 N1=0\n")
	if got := nodeLines(t, r.c, 1)["AnonPages"]; got != 0 {
		t.Errorf("AnonPages %d from the new sample, want 0", got)
	}
	r.c.Close()
	if _, err := r.c.Render(nil, id, 1); !errors.Is(err, os.ErrClosed) {
		t.Errorf("closed: %v, want ErrClosed", err)
	}
}

func TestNodeVmstat(t *testing.T) {
	r := newRig(t, cgroupview.Unified, func(r *rig) {
		r.fake.Write(nodeDir+"/node0/vmstat", "nr_free_pages 777\nnr_anon_pages 777\nnr_new_thing 777\nnr_anon_transparent_hugepages 777\nnr_kernel_stack 777\n")
		r.cgroup.Update(goldenValues)
	})
	m := nodeLines(t, r.c, 0)
	want := fmt.Sprintf("nr_free_pages %d\nnr_anon_pages %d\nnr_new_thing 0\nnr_anon_transparent_hugepages 32\nnr_kernel_stack 384\n",
		m["MemFree"]/(pageSize>>10), 150*kib/(pageSize>>10))
	if got := r.read(nodeDir + "/node0/vmstat"); got != want {
		t.Errorf("vmstat %q, want %q", got, want)
	}
	refuses(t, parseNodeVmstat, "nr_free_pages\n", "nr_free_pages x\n", "\n")
}

// A node's meminfo has the lines that a node's has in the kernel, in its form.
func TestNodeMeminfoForm(t *testing.T) {
	for _, host := range []string{"x86-6.1", "x86-6.12", "x86-6.18"} {
		text, err := os.ReadFile("testdata/hosts/" + host + "/" + nodeDir + "/node0/meminfo")
		if err != nil {
			t.Fatal(err)
		}
		node, err := parseNodeMeminfo(text)
		if err != nil {
			t.Fatal(err)
		}
		v, n := &view{}, &nodeMemory{shares: []nodeShare{{host: node}}}
		got := string(renderNodeMeminfo(nil, v, node, input{nodes: n}))
		if shape(got) != shape(string(text)) || len(got) != len(text) {
			t.Errorf("%s:\n%s\nwant the form of\n%s", host, got, text)
		}
	}
	refuses(t, parseNodeMeminfo, "MemTotal: 5 kB\n", "Node 0 MemTotal: x kB\n", "Node 0 MemTotal:\n")
}

func FuzzParseNodeMeminfo(f *testing.F) {
	f.Add([]byte("Node 0 MemTotal:        4194304 kB\nNode 0 HugePages_Total:     0\nNode 0 New: 3 kB\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := parseNodeMeminfo(b)
		if err != nil {
			return
		}
		v := &view{memory: memory{total: 3 * gib, free: gib}}
		n := &nodeMemory{shares: []nodeShare{{host: h}, {number: 1, host: h}}}
		n.divide(&v.memory)
		again, err := parseNodeMeminfo(renderNodeMeminfo(nil, v, h, input{nodes: n}))
		if err != nil || len(again.lines) != len(h.lines) {
			t.Fatalf("%q reads back as %v, %v", b, again, err)
		}
		if n.shares[0].total+n.shares[1].total != 3*gib/kib || n.shares[0].free+n.shares[1].free != gib/kib {
			t.Fatalf("%q divides memory into %v", b, n.shares)
		}
	})
}

func FuzzParseNodeVmstat(f *testing.F) {
	f.Add([]byte("nr_free_pages 794777\nnr_anon_transparent_hugepages 3\nnew 1\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		list, err := parseNodeVmstat(b)
		if err != nil {
			return
		}
		n := &nodeMemory{shares: []nodeShare{{host: &hostNode{}}}}
		again, err := parseNodeVmstat(renderNodeVmstat(nil, &view{}, list, input{nodes: n}))
		if err != nil || len(again) != len(list) {
			t.Fatalf("%q reads back as %v, %v", b, again, err)
		}
	})
}
