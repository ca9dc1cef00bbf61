package bundle

import (
	"encoding"
	"strings"
	"testing"
)

func TestSize(t *testing.T) {
	for _, tt := range []struct {
		text string
		want Size
		err  string
	}{
		{text: "268435456", want: 256 << 20},
		{text: "256M", want: 256 << 20},
		{text: "256m", want: 256 << 20},
		{text: "256MB", want: 256 << 20},
		{text: "256mib", want: 256 << 20},
		{text: "1g", want: 1 << 30},
		{text: "1.5G", want: 3 << 29},
		{text: "2t", want: 2 << 40},
		{text: "4096b", want: 4096},
		{text: "512k", want: 512 << 10},
		{text: "8 gb", want: 8 << 30},
		{text: "", err: "256m"},
		{text: "m", err: "256m"},
		{text: "-1", err: "256m"},
		{text: "1.m", err: "256m"},
		{text: "12q", err: "256m"},
		{text: "1e3", err: "256m"},
		{text: "0", err: "more than 0"},
		{text: "0.1b", err: "more than 0"},
		{text: "9000000t", err: "too much"},
		{text: "9223372036854775808", err: "too much"},
	} {
		var got Size
		checkText(t, tt.text, &got, tt.err)
		if got != tt.want {
			t.Errorf("%q: got %d, want %d", tt.text, got, tt.want)
		}
	}
}

func TestSwapSize(t *testing.T) {
	for _, tt := range []struct {
		text string
		want SwapSize
		err  string
	}{
		{text: "-1", want: Unlimited},
		{text: "1g", want: 1 << 30},
		{text: "-2", err: "-1 is for unlimited"},
	} {
		var got SwapSize
		checkText(t, tt.text, &got, tt.err)
		if got != tt.want {
			t.Errorf("%q: got %d, want %d", tt.text, got, tt.want)
		}
	}
}

func TestCPUs(t *testing.T) {
	for _, tt := range []struct {
		text  string
		quota int64
		err   string
	}{
		{text: "0.5", quota: 50_000},
		{text: "2", quota: 200_000},
		{text: ".25", quota: 25_000},
		{text: "0.01", quota: 1000},
		{text: "1.005", quota: 100_500},
		{text: "0", err: "between 0.01 and 8192"},
		{text: "0.001", err: "between 0.01 and 8192"},
		{text: "-1", err: "between 0.01 and 8192"},
		{text: "10000", err: "between 0.01 and 8192"},
		{text: "NaN", err: "between 0.01 and 8192"},
		{text: "Inf", err: "between 0.01 and 8192"},
		{text: "half", err: "0.5"},
		{text: "", err: "0.5"},
	} {
		var got CPUs
		checkText(t, tt.text, &got, tt.err)
		if got.quota() != tt.quota {
			t.Errorf("%q: got a quota of %d, want %d", tt.text, got.quota(), tt.quota)
		}
	}
}

func TestCPUSet(t *testing.T) {
	for _, tt := range []struct{ text, want, err string }{
		{text: "0", want: "0"},
		{text: "0,1,2,5", want: "0-2,5"},
		{text: "3-4", want: "3-4"},
		{text: "", err: "0-3"},
		{text: "1-", err: "0-3"},
		{text: "all", err: "0-3"},
	} {
		var got CPUSet
		checkText(t, tt.text, &got, tt.err)
		if got.String() != tt.want {
			t.Errorf("%q: got %q, want %q", tt.text, got, tt.want)
		}
	}
}

func TestVolume(t *testing.T) {
	for _, tt := range []struct {
		text string
		want Volume
		err  string
	}{
		{text: "/a:/b", want: Volume{Source: "/a", Target: "/b"}},
		{text: "/a:/b:rw", want: Volume{Source: "/a", Target: "/b"}},
		{text: "/a,b:/b/c:ro", want: Volume{Source: "/a,b", Target: "/b/c", ReadOnly: true}},
		{text: "/a", err: "SOURCE:TARGET"},
		{text: "/a:/b:z", err: "SOURCE:TARGET"},
		{text: "/a:/b:ro:x", err: "SOURCE:TARGET"},
		{text: "data:/b", err: `"data" is not an absolute path`},
		{text: "/a:b", err: `"b" is not an absolute path`},
		{text: ":/b", err: "not an absolute path"},
		{text: "/a:/b/..", err: "--rootfs"},
	} {
		var got Volume
		checkText(t, tt.text, &got, tt.err)
		if tt.err == "" && got != tt.want {
			t.Errorf("%q: got %+v, want %+v", tt.text, got, tt.want)
		}
	}
}

func TestName(t *testing.T) {
	for _, tt := range []struct{ text, err string }{
		{text: "web"},
		{text: "Web_1.a-b"},
		{text: strings.Repeat("x", 64)},
		{text: strings.Repeat("x", 65), err: "64"},
		{text: "", err: "begin with"},
		{text: "-web", err: "begin with"},
		{text: "..", err: "begin with"},
		{text: "a/b", err: "begin with"},
		{text: "a\n", err: "begin with"},
	} {
		var got Name
		checkText(t, tt.text, &got, tt.err)
	}
}

func TestNewName(t *testing.T) {
	name := NewName()
	if NewName() == name {
		t.Errorf("got %q twice", name)
	}
	checkText(t, string(name), new(Name), "")
}

// checkText decodes text and compares the error with what it should contain.
func checkText(t *testing.T, text string, into encoding.TextUnmarshaler, want string) {
	t.Helper()
	err := into.UnmarshalText([]byte(text))
	switch {
	case want == "" && err != nil:
		t.Errorf("%q: got error %v, want none", text, err)
	case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
		t.Errorf("%q: got error %v, want one with %q", text, err, want)
	}
}

func FuzzSize(f *testing.F) {
	for _, s := range []string{"256M", "1.5g", "-1", "0", "9223372036854775807", "1ib"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var s Size
		if err := s.UnmarshalText([]byte(text)); err == nil && s < 1 {
			t.Errorf("%q: got %d", text, s)
		}
	})
}

func FuzzCPUs(f *testing.F) {
	for _, s := range []string{"0.5", "2", "nan", "1e9", "0x1p-3"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var c CPUs
		if err := c.UnmarshalText([]byte(text)); err == nil && c.quota() < 1000 {
			t.Errorf("%q: got a quota of %d", text, c.quota())
		}
	})
}

func FuzzVolume(f *testing.F) {
	for _, s := range []string{"/a:/b", "/a:/b:ro", "::", "/:/"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var v Volume
		if err := v.UnmarshalText([]byte(text)); err == nil && (v.Source[0] != '/' || v.Target[0] != '/') {
			t.Errorf("%q: got %+v", text, v)
		}
	})
}
