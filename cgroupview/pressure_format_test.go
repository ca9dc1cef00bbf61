package cgroupview

import (
	"errors"
	"regexp"
	"testing"
)

const (
	someLine = "some avg10=0.01 avg60=1.64 avg300=100.00 total=3084374250\n"
	fullLine = "full avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"
)

func TestCheckPressure(t *testing.T) {
	for _, text := range []string{someLine + fullLine, someLine, fullLine} {
		if err := checkPressure([]byte(text)); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
	for _, text := range []string{
		"",
		"\n",
		fullLine + someLine,
		someLine + someLine,
		someLine + fullLine + "\n",
		someLine + "\n" + fullLine,
		someLine[:len(someLine)-1],
		someLine + fullLine[:len(fullLine)-1],
		" " + someLine,
		"some  avg10=0.01 avg60=1.64 avg300=1.43 total=1\n",
		"some avg10=0.01 avg60=1.64 avg300=1.43 total=\n",
		"some avg10=0.01 avg60=1.64 avg300=1.43 total=-1\n",
		"some avg10=0.01 avg60=1.64 avg300=1.43 total=1 \n",
		"some avg10=0.01 avg60=1.64 avg300=1.43\n",
		"some avg10=.01 avg60=1.64 avg300=1.43 total=1\n",
		"some avg10=1 avg60=1.64 avg300=1.43 total=1\n",
		"some avg10=nan avg60=1.64 avg300=1.43 total=1\n",
		"some avg60=1.64 avg10=0.01 avg300=1.43 total=1\n",
		"none avg10=0.01 avg60=1.64 avg300=1.43 total=1\n",
	} {
		if err := checkPressure([]byte(text)); !errors.Is(err, ErrFormat) {
			t.Errorf("%q: %v, want ErrFormat", text, err)
		}
	}
}

func FuzzCheckPressure(f *testing.F) {
	const line = ` avg10=\d+\.\d+ avg60=\d+\.\d+ avg300=\d+\.\d+ total=\d+\n`
	format := regexp.MustCompile(`^(some` + line + `(full` + line + `)?|full` + line + `)$`)
	f.Add([]byte(someLine + fullLine))
	f.Add([]byte(fullLine))
	f.Add([]byte("some avg10=#.# avg60=#.# avg300=#.# total=#\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := checkPressure(b); (err == nil) != format.Match(b) {
			t.Errorf("%q: %v", b, err)
		}
	})
}
