package daemon

import (
	"strings"
	"testing"
)

func TestLoopbackAddress(t *testing.T) {
	for _, tt := range []struct {
		address, want string // want is part of the error, if there is to be one
	}{
		{"", ""},
		{"127.0.0.1:9477", ""},
		{"127.3.2.1:9477", ""},
		{"[::1]:9477", ""},
		{"[::ffff:127.0.0.1]:9477", ""},
		{"0.0.0.0:9477", "other hosts can reach"},
		{"[::]:9477", "other hosts can reach"},
		{"192.168.1.1:9477", "other hosts can reach"},
		{"[fe80::1%eth0]:9477", "other hosts can reach"},
		{":9477", "give an address of the loopback interface"},
		{"127.0.0.1", "give an address of the loopback interface"},
		{"localhost:9477", "give an address of the loopback interface"},
		{"127.0.0.1:http", "give an address of the loopback interface"},
	} {
		t.Run(tt.address, func(t *testing.T) {
			_, err := loopbackAddress(tt.address)
			switch {
			case tt.want == "" && err != nil:
				t.Errorf("refused: %v", err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("got %v, want an error with %q", err, tt.want)
			}
		})
	}
}
