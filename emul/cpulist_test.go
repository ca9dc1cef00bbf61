package emul

import (
	"testing"

	"cloister/cgroupview"
)

func cpuSet(tb testing.TB, list string) cgroupview.CPUSet {
	tb.Helper()
	set, err := cgroupview.ParseCPUSet([]byte(list))
	if err != nil {
		tb.Fatal(err)
	}
	return set
}

func TestMask(t *testing.T) {
	for _, tt := range []struct {
		n    int
		set  string
		want string
	}{
		{1, "0", "1"},
		{2, "", "0"},
		{4, "0,3", "9"},
		{5, "4", "10"},
		{8, "0-7", "ff"},
		{12, "1,11", "802"},
		{32, "31", "80000000"},
		{33, "0,32", "1,00000001"},
		{36, "0-35", "f,ffffffff"},
		{64, "63,32", "80000001,00000000"},
		{65, "", "0,00000000,00000000"},
		{100, "99,0", "8,00000000,00000000,00000001"},
	} {
		dst, mask := appendMask([]byte("before "), tt.n)
		for cpu := range cpuSet(t, tt.set).All() {
			mask.set(cpu)
		}
		if got := string(dst); got != "before "+tt.want {
			t.Errorf("mask of %d with %q: %q, want %q", tt.n, tt.set, got, tt.want)
		}
	}
}

func TestCPUsAmong(t *testing.T) {
	c := cpus{visible: 3, physical: cpuSet(t, "1,4-5,9")}
	for host, want := range map[string]string{"0-15": "0-2 7", "1,5": "0,2 5", "9": " 0", "0,2-3": " 0", "": " 0", "4": "1 2"} {
		set := cpuSet(t, host)
		if got := string(c.appendMap(append(c.appendList(nil, set), ' '), set)); got != want {
			t.Errorf("of %q: %q, want %q", host, got, want)
		}
	}
}
