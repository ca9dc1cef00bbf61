package daemon

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseStateHead(t *testing.T) {
	const listener = "seccompFd"
	tests := []struct {
		name, text string
		fds        []string
		metadata   string
		enough, ok bool
	}{
		{"all of it", `{"ociVersion":"1","fds":["seccompFd"],"pid":7,"metadata":"7.3","state":{}}`, []string{listener}, "7.3", true, true},
		{"as much as counts", `{"ociVersion":"1","fds":["seccompFd"],"pid":7,"metadata":"7.3","state":{"id":`, []string{listener}, "7.3", true, true},
		{"state first", `{"state":{"a":[{}]},"metadata":"7.3","fds":["a","seccompFd"]}`, []string{"a", listener}, "7.3", true, true},
		{"no metadata", `{"fds":["seccompFd"]}`, []string{listener}, "", true, true},
		{"nothing", ``, nil, "", false, true},
		{"cut in a value", `{"fds":["seccompFd"],"metadata":"7.`, nil, "", false, true},
		{"cut before a key", `{"fds":["seccompFd"],`, nil, "", false, true},
		{"no object", `["fds"]`, nil, "", false, false},
		{"no JSON", `}`, nil, "", false, false},
		{"wrong type", `{"metadata":7}`, nil, "", false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h, enough, err := parseStateHead([]byte(tt.text))
			if enough != tt.enough || (err == nil) != tt.ok {
				t.Fatalf("enough %v, %v", enough, err)
			}
			if !enough {
				return
			}
			if diff := cmp.Diff(tt.fds, h.fds); diff != "" || h.metadata != tt.metadata {
				t.Errorf("metadata %q, descriptors (-want +got):\n%s", h.metadata, diff)
			}
		})
	}
}

// FuzzParseStateHead holds that more of a message changes nothing.
func FuzzParseStateHead(f *testing.F) {
	f.Add([]byte(`{"ociVersion":"1","fds":["seccompFd"],"pid":7,"metadata":"7.3","state":{}}`), uint(60))
	f.Fuzz(func(t *testing.T, text []byte, n uint) {
		whole, _, _ := parseStateHead(text)
		part, enough, err := parseStateHead(text[:min(n, uint(len(text)))])
		if enough && err == nil && n > 0 && (part.metadata != whole.metadata || !cmp.Equal(part.fds, whole.fds)) {
			t.Errorf("%q and its first %d bytes: %+v, %+v", text, n, whole, part)
		}
	})
}

func TestParseListenerName(t *testing.T) {
	key, number, ok := parseListenerName(listenerName("7.3", 12))
	if key != "7.3" || number != 12 || !ok {
		t.Errorf("got %q, %d, %v", key, number, ok)
	}
	for _, name := range []string{"seccomp", "seccomp.", "seccomp.7.3", "seccomp.7.3.", "seccomp.7.3.x", "seccomp.x.3.1", "arrival.1", journalName} {
		if key, number, ok := parseListenerName(name); ok {
			t.Errorf("%s is that of %q, %d", name, key, number)
		}
	}
}
