package emul

import (
	"strings"
	"testing"
)

func TestSlabinfo(t *testing.T) {
	inModes(t, func(t *testing.T, r *rig) {
		const want = "slabinfo - version: 2.1\n# name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab>" +
			" : tunables <limit> <batchcount> <sharedfactor> : slabdata <active_slabs> <num_slabs> <sharedavail>\n"
		if got := r.read("proc/slabinfo"); got != want {
			t.Errorf("slabinfo %q, want %q", got, want)
		}
	})
}

func TestParseSlabinfoRefuses(t *testing.T) {
	refuses(t, parseSlabinfo, "", "slabinfo - version: 2.1\n", "slabinfo - version: 2.1\nkmem_cache 1 2\n", "x\n# name\n")
}

func FuzzParseSlabinfo(f *testing.F) {
	f.Add([]byte("slabinfo - version: 2.1\n# name <active_objs>\nkmem_cache 1 2\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if header, err := parseSlabinfo(b); err == nil && strings.Count(header, "\n") != 2 {
			t.Fatalf("header %q", header)
		}
	})
}
