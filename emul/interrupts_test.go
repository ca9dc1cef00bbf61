package emul

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"cloister/cgroupview/cgrouptest"
)

func TestInterrupts(t *testing.T) {
	inModes(t, func(t *testing.T, r *rig) {
		r.set(func(v *cgrouptest.Values) { v.CPUs = "1,3" })
		got := r.read("proc/interrupts")
		const want = "           CPU0       CPU1       \n" +
			"NMI:          0          0   Non-maskable interrupts\n" +
			"LOC:          0          0   Local timer interrupts\n"
		if !strings.HasPrefix(got, want) || !strings.Contains(got, "\nERR:          0\nMIS:          0\nPIN:          0          0   Posted") {
			t.Errorf("interrupts\n%s\nwant\n%s…", got, want)
		}
	})
}

// A machine on which nothing has happened shows its container the same rows, byte for
// byte.
func TestInterruptsUnchanged(t *testing.T) {
	const arm64 = "           CPU0       CPU1       \n" +
		"IPI0:          0          0       Rescheduling interrupts\n" +
		"IPI1:          0          0       Function call interrupts\n" +
		"Err:          0\n"
	const arm64FewInterrupts = "           CPU0       CPU1       \n" +
		"IPI0:         0          0        Rescheduling interrupts\n" +
		"Err:          0\n"
	const oneCPU = "           CPU0       \n" +
		"NMI:          0   Non-maskable interrupts\n" +
		"ERR:          0\n"
	for _, text := range []string{arm64, arm64FewInterrupts, oneCPU} {
		h, err := parseInterrupts([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		v := &view{cpus: cpus{visible: strings.Count(text, "CPU")}}
		if got := string(renderInterrupts(nil, v, h, input{})); got != text {
			t.Errorf("interrupts\n%s\nwant\n%s", got, text)
		}
	}
}

func TestInterruptsOfManyCPUs(t *testing.T) {
	h, err := parseInterrupts([]byte("           CPU0       \nLOC:       4711   Local timer interrupts\n"))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(renderInterrupts(nil, &view{cpus: cpus{visible: 1001}}, h, input{})), "\n")
	for _, cpu := range []int{9, 10, 999, 1000} {
		column := 4 + 11*(cpu+1)
		if i := strings.Index(lines[0], "CPU"+strconv.Itoa(cpu)+" "); i != column-4 {
			t.Errorf("CPU%d begins at %d, want %d", cpu, i, column-4)
		}
		if lines[1][column-1] != '0' || lines[1][column] != ' ' {
			t.Errorf("figure of CPU%d does not end at %d", cpu, column)
		}
	}
}

func TestParseInterrupts(t *testing.T) {
	for host, want := range map[string]int{"x86-6.1": 15, "x86-6.12": 19, "x86-6.18": 16} {
		text, err := os.ReadFile("testdata/hosts/" + host + "/proc/interrupts")
		if err != nil {
			t.Fatal(err)
		}
		if h, err := parseInterrupts(text); err != nil || len(h.rows) != want {
			t.Errorf("%s: %d rows, %v, want %d", host, len(h.rows), err, want)
		}
	}
	const header = "           CPU0       CPU1       \n"
	refuses(t, parseInterrupts, "", "x\n", header+"NMI\n", header+"NMI:          0   Non\n", header+"NMI: x\n")
}

func FuzzParseInterrupts(f *testing.F) {
	f.Add([]byte("           CPU0       CPU1       \n 24:  1  0  IO-APIC   5-edge      ACPI:Ged\nNMI:   7   8   Non-maskable interrupts\nERR:  0\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := parseInterrupts(b)
		if err != nil {
			return
		}
		text := renderInterrupts(nil, &view{cpus: cpus{visible: 2}}, h, input{})
		if again, err := parseInterrupts(text); err != nil || len(again.rows) > len(h.rows) {
			t.Fatalf("%q reads back as %v, %v", text, again, err)
		}
	})
}
