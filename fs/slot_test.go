package fs

import "testing"

func TestParseSlot(t *testing.T) {
	for _, tt := range []struct {
		name string
		want Slot
		ok   bool
	}{
		{"0.0", Slot{0, 0}, true},
		{"7.3", Slot{7, 3}, true},
		{"65535.4294967295", Slot{65535, 1<<32 - 1}, true},
		{"65536.0", Slot{}, false},
		{"0.4294967296", Slot{}, false},
		{"", Slot{}, false},
		{".", Slot{}, false},
		{"7", Slot{}, false},
		{"7.", Slot{}, false},
		{".3", Slot{}, false},
		{"07.3", Slot{}, false},
		{"7.03", Slot{}, false},
		{"+7.3", Slot{}, false},
		{"-7.3", Slot{}, false},
		{"7.3.1", Slot{}, false},
		{"7.3 ", Slot{}, false},
		{"0x7.3", Slot{}, false},
		{"1_0.3", Slot{}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseSlot(tt.name)
			if got != tt.want || (err == nil) != tt.ok {
				t.Errorf("got %v, %v, want %v, ok %v", got, err, tt.want, tt.ok)
			}
		})
	}
}

func FuzzParseSlot(f *testing.F) {
	for _, seed := range []string{"7.3", "0.0", "65535.4294967295", "65536.1", "01.1", "1.1.1", ".", "٣.1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		s, err := ParseSlot(name)
		if err != nil {
			return
		}
		if s.String() != name {
			t.Errorf("%q is parsed as %s", name, s)
		}
		if s.Index >= MaxSlots {
			t.Errorf("%q gives index %d", name, s.Index)
		}
	})
}
