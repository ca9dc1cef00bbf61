package emul

import (
	"errors"
	"os"
	"testing"

	"cloister/cgroupview"
	"cloister/cgroupview/cgrouptest"
)

// The fake host has CPUs 0-1 on node 0 and 2-3 on node 1.
func TestNodeFiles(t *testing.T) {
	for _, tt := range []struct {
		cpus, mems string
		want       map[string]string
	}{
		{"0-3", "0-1", map[string]string{
			"online": "0-1", "possible": "0-1", "has_cpu": "0-1", "has_memory": "0-1", "has_normal_memory": "0-1",
			"node0/cpulist": "0-1", "node0/cpumap": "3", "node1/cpulist": "2-3", "node1/cpumap": "c",
			"node0/distance": "10 21", "node1/distance": "21 10",
		}},
		{"1,3", "0-1", map[string]string{
			"has_cpu":       "0-1",
			"node0/cpulist": "0", "node0/cpumap": "1", "node1/cpulist": "1", "node1/cpumap": "2",
		}},
		{"3", "1", map[string]string{
			"online": "1", "possible": "1", "has_cpu": "1", "has_memory": "1", "has_normal_memory": "1",
			"node1/cpulist": "0", "node1/cpumap": "1", "node1/distance": "10",
		}},
		{"0-1", "0-1", map[string]string{
			"online": "0-1", "has_cpu": "0", "has_memory": "0-1", "node1/cpulist": "", "node1/cpumap": "0",
		}},
		{"0-1", "1", map[string]string{
			"online": "1", "has_cpu": "", "node1/cpulist": "", "node1/cpumap": "0", "node1/distance": "10",
		}},
	} {
		r := newRig(t, cgroupview.Unified, func(r *rig) {
			r.cgroup.Update(func(v *cgrouptest.Values) { v.CPUs, v.Mems = tt.cpus, tt.mems })
		})
		for name, want := range tt.want {
			if got := r.read(nodeDir + "/" + name); got != want+"\n" {
				t.Errorf("CPUs %s, nodes %s: %s is %q, want %q", tt.cpus, tt.mems, name, got, want)
			}
		}
		if got, want := r.read(nodeDir+"/node1/numastat"), "numa_hit 0\nnuma_miss 0\nnuma_foreign 0\ninterleave_hit 0\nlocal_node 0\nother_node 0\n"; got != want {
			t.Errorf("numastat %q, want %q", got, want)
		}
	}
}

func TestNodesOfOthers(t *testing.T) {
	r := newRig(t, cgroupview.Unified, func(r *rig) {
		r.cgroup.Update(func(v *cgrouptest.Values) { v.Mems = "1" })
	})
	id, _, _ := lookUp(nodeDir + "/node*/meminfo")
	if got, err := r.c.Members(id); err != nil || len(got) != 1 || got[0] != 1 {
		t.Errorf("nodes %v, %v, want 1", got, err)
	}
	for _, node := range []int{-1, 0, 2} {
		if _, err := r.c.Render(nil, id, node); !errors.Is(err, ErrNoMember) {
			t.Errorf("meminfo of node %d: %v, want ErrNoMember", node, err)
		}
	}
}

// A host of which CPUs and nodes come and go. The column of a node is its place among
// those that are online.
func TestNodeHotplug(t *testing.T) {
	r := newRig(t, cgroupview.Unified, nil)
	if got := r.read(nodeDir + "/node0/cpulist"); got != "0-1\n" {
		t.Errorf("cpulist %q at first", got)
	}
	r.fake.Write(cpuDir+"/online", "0-2\n")
	r.fake.Write(nodeDir+"/online", "0,2\n")
	r.fake.Write(nodeDir+"/node0/cpulist", "0\n")
	r.fake.Write(nodeDir+"/node2/cpulist", "1-2\n")
	r.fake.Write(nodeDir+"/node2/distance", "31 10\n")
	r.fake.Write(nodeDir+"/node2/meminfo", "Node 2 MemTotal: 1048576 kB\nNode 2 MemFree: 1048576 kB\n")
	r.set(func(v *cgrouptest.Values) { v.CPUs, v.Mems = "0-2", "2" })
	for name, want := range map[string]string{"has_cpu": "2\n", "node2/cpulist": "1-2\n", "node2/distance": "10\n"} {
		if got := r.read(nodeDir + "/" + name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

// On a kernel without nodes their files are not there, and all others are.
func TestWithoutNodes(t *testing.T) {
	r := newRig(t, cgroupview.Unified, func(r *rig) {
		if err := os.RemoveAll(r.fake.Root.Path(nodeDir)); err != nil {
			t.Fatal(err)
		}
	})
	for id, f := range files {
		if ok, err := r.host.Supported(FileID(id)); err != nil || ok && viewOf(&f).Path == nodeDir {
			t.Errorf("Supported(%s) = %v, %v", f.Path, ok, err)
		}
	}
	readAll(t, r.c)
}

func TestParseDistance(t *testing.T) {
	if row, err := parseDistance([]byte("10 21 31\n")); err != nil || len(row) != 3 || row[1] != 21 {
		t.Errorf("row %v, %v", row, err)
	}
	refuses(t, parseDistance, "10 x\n", "-1\n", "10,21\n")
}

func FuzzParseDistance(f *testing.F) {
	f.Add([]byte("10 21\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		row, err := parseDistance(b)
		if err != nil {
			return
		}
		v := &view{host: &hostSample{nodes: cpuSet(t, "0-63")}, nodes: cpuSet(t, "0-63")}
		again, err := parseDistance(renderDistance(nil, v, row, input{}))
		if err != nil || len(again) != min(len(row), 64) {
			t.Fatalf("%v reads back as %v, %v", row, again, err)
		}
	})
}
