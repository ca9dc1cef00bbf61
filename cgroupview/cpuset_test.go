package cgroupview

import (
	"errors"
	"slices"
	"testing"
)

func TestParseCPUSet(t *testing.T) {
	tests := []struct {
		list string
		want []int
	}{
		{"", nil},
		{"\n", nil},
		{"0\n", []int{0}},
		{"0-3,5", []int{0, 1, 2, 3, 5}},
		{"1,2", []int{1, 2}},
		{"1-3,5", []int{1, 2, 3, 5}},
		{"1,4-5", []int{1, 4, 5}},
		{"62-65,128\n", []int{62, 63, 64, 65, 128}},
		{"3,1,1-2", []int{1, 2, 3}},
	}
	for _, tt := range tests {
		s, err := ParseCPUSet([]byte(tt.list))
		if err != nil {
			t.Errorf("ParseCPUSet(%q): %v", tt.list, err)
			continue
		}
		if got := slices.Collect(s.All()); !slices.Equal(got, tt.want) {
			t.Errorf("ParseCPUSet(%q) = %v, want %v", tt.list, got, tt.want)
		}
		if s.Len() != len(tt.want) {
			t.Errorf("ParseCPUSet(%q).Len() = %d, want %d", tt.list, s.Len(), len(tt.want))
		}
	}
}

func TestParseCPUSetRefuses(t *testing.T) {
	for _, list := range []string{"a", "1-", "-1", "3-1", "1,,2", "1,", "0-4294967295", "0-7:2/4", "1 2", "99999999999999999999"} {
		if s, err := ParseCPUSet([]byte(list)); !errors.Is(err, ErrFormat) {
			t.Errorf("ParseCPUSet(%q) = %v, %v, want ErrFormat", list, s, err)
		}
	}
}

func TestCPUSetString(t *testing.T) {
	for list, want := range map[string]string{
		"":            "",
		"0":           "0",
		"0,1":         "0-1",
		"0-1,2,4,6-9": "0-2,4,6-9",
		"63,64":       "63-64",
	} {
		s, err := ParseCPUSet([]byte(list))
		if err != nil || s.String() != want {
			t.Errorf("ParseCPUSet(%q).String() = %q, %v, want %q", list, s, err, want)
		}
	}
}

func TestCPUSetEqual(t *testing.T) {
	parse := func(list string) CPUSet {
		s, err := ParseCPUSet([]byte(list))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	long := parse("0-3,100")
	if err := long.parse([]byte("0-3")); err != nil {
		t.Fatal(err)
	}
	if !long.Equal(parse("0,1,2,3")) || long.Equal(parse("0-2")) || long.Equal(parse("0-3,64")) {
		t.Error("Equal depends on more than the members")
	}
}

func FuzzParseCPUSet(f *testing.F) {
	for _, seed := range []string{"", "0", "0-3,5\n", "3-1", "0-65535", "65536", ",", "1-2-3"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, list string) {
		s, err := ParseCPUSet([]byte(list))
		if err != nil {
			if s.Len() != 0 || !errors.Is(err, ErrFormat) {
				t.Fatalf("ParseCPUSet(%q) = %v, %v", list, s, err)
			}
			return
		}
		again, err := ParseCPUSet(s.AppendList(nil))
		if err != nil || !again.Equal(s) || again.String() != s.String() {
			t.Fatalf("%q reads back as %v, %v, want %v", list, again, err, s)
		}
	})
}
