package main

import (
	"bytes"
	"encoding/json"
	"testing"

	"cloister/bench/syscalls"
)

func TestEveryCaseIsKnown(t *testing.T) {
	for _, c := range syscalls.Cases {
		if steps := cases[c.Name]; len(steps) != len(c.Parts) {
			t.Errorf("%s: got %d steps for %d parts", c.Name, len(steps), len(c.Parts))
		}
	}
	if len(cases) != len(syscalls.Cases) {
		t.Errorf("got %d cases, want %d", len(cases), len(syscalls.Cases))
	}
}

func TestServeAnswersUntilTheEnd(t *testing.T) {
	in := bytes.NewBufferString(`{"Case":"getppid","Count":3}{"Case":"nothing"}`)
	var out bytes.Buffer
	if err := serve(in, &out); err != nil {
		t.Fatal(err)
	}
	var timed, failed syscalls.Reply
	answers := json.NewDecoder(&out)
	if err := answers.Decode(&timed); err != nil || len(timed.Parts) != 1 || len(timed.Parts[0]) != 3 || timed.Parts[0][0] <= 0 {
		t.Errorf("got %+v (%v), want three times of one part", timed, err)
	}
	if err := answers.Decode(&failed); err != nil || failed.Error != "unknown" {
		t.Errorf("got %+v (%v), want an error", failed, err)
	}
}
