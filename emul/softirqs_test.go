package emul

import (
	"testing"

	"cloister/cgroupview/cgrouptest"
)

func TestSoftirqs(t *testing.T) {
	inModes(t, func(t *testing.T, r *rig) {
		r.set(func(v *cgrouptest.Values) { v.CPUs = "0-1" })
		const want = `                    CPU0       CPU1       
          HI:          0          0
       TIMER:          0          0
      NET_TX:          0          0
      NET_RX:          0          0
       BLOCK:          0          0
    IRQ_POLL:          0          0
     TASKLET:          0          0
       SCHED:          0          0
     HRTIMER:          0          0
         RCU:          0          0
`
		if got := r.read("proc/softirqs"); got != want {
			t.Errorf("softirqs\n%s\nwant\n%s", got, want)
		}
	})
}

func TestParseSoftirqsRefuses(t *testing.T) {
	refuses(t, parseSoftirqs, "", "HI: 0\n", "   CPU0\nHI\n")
}

func FuzzParseSoftirqs(f *testing.F) {
	f.Add([]byte("                    CPU0       \n          HI:          5\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		labels, err := parseSoftirqs(b)
		if err != nil {
			return
		}
		text := renderSoftirqs(nil, &view{cpus: cpus{visible: 2}}, labels, input{})
		if again, err := parseSoftirqs(text); err != nil || len(again) != len(labels) {
			t.Fatalf("%q reads back as %q, %v", text, again, err)
		}
	})
}
