package syscalls

import (
	"io"
	"strings"
	"testing"
)

func TestRoundSaysWhatIsWrong(t *testing.T) {
	c := &Case{Name: MountTmpfs, Count: 3, Parts: []Part{{Name: "mount"}, {Name: "umount"}}}
	for _, tt := range []struct{ name, answer, want string }{
		{"it works", `{"Parts":[[1],[2]]}`, ""},
		{"it fails", `{"Error":"mount: operation not permitted"}`, "tmpfs: mount: operation not permitted"},
		{"a part is missing", `{"Parts":[[1]]}`, "tmpfs: the probe has timed 1 parts, not 2"},
		{"it is gone", "", "tmpfs: the probe has ended"},
		{"nonsense", "mount", "tmpfs: invalid character 'm' looking for beginning of value"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := NewProbe(io.Discard, strings.NewReader(tt.answer)).Round(c)
			got := ""
			if err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
