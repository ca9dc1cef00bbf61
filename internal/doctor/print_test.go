package doctor

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPrint(t *testing.T) {
	var b strings.Builder
	err := Print(&b, []Finding{
		{State: OK, Subject: "kernel", Detail: "fine"},
		{State: Warn, Subject: "docker", Detail: "installed, not configured", Next: "add this:\n{\n}"},
		{State: Fail, Subject: "run directory", Detail: "this is a long story that needs more than the one line which it could have here", Next: "chmod"},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := `fail  run directory  this is a long story that needs more than the one line
                     which it could have here
                     → chmod
warn  docker         installed, not configured
                     → add this:
                         {
                         }

ok    kernel         fine

1 fail, 1 warn, 1 ok
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
