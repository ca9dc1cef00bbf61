package seccomp

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"cloister/internal/sys"
	"cloister/internal/sys/systest/talk"
)

// What is known of a program does not count for the next that the process executes.
func TestMappingsOfTheLastProgramAreLookedUpAgain(t *testing.T) {
	p := talk.Start(t, exec.Command("sh", "-c", "echo shell; read go; exec cat"))
	p.Hear("shell")
	r := &Request{TID: p.PID, listener: &listener{container: &container{}}}
	known := &r.listener.mappings
	defer known.put(0, nil)
	shell, err := sys.OpenMappings(r.TID)
	if err != nil {
		t.Fatal(err)
	}
	known.put(r.TID, shell)
	p.Say("go", "cat")
	p.Hear("cat")

	memory, err := sys.OpenProcessMemory(r.TID)
	if err != nil {
		t.Fatal(err)
	}
	defer memory.Close()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", r.TID))
	if err != nil {
		t.Fatal(err)
	}
	data, got := []byte("written"), make([]byte, 7)
	for line := range bytes.Lines(text) {
		var start, end uint64
		var access string
		if _, err := fmt.Sscanf(string(line), "%x-%x %s", &start, &end, &access); err != nil || access[1] != 'w' {
			continue
		}
		if err := r.write(memory, end-uint64(len(data)), data); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if _, err := sys.ReadProcessMemory(r.TID, end-uint64(len(data)), got); err != nil || !bytes.Equal(got, data) {
			t.Errorf("%s: %q, %v", line, got, err)
		}
		return // what comes later may be the stack that it uses
	}
	t.Fatal("nothing can be written to")
}

func TestMappingsAreThoseOfTheThreadThatAsks(t *testing.T) {
	var known lastMappings
	own, err := sys.OpenMappings(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	known.put(1, own)
	if known.take(2) != nil || known.take(1) != own || known.take(1) != nil {
		t.Error("taken by another, or by two")
	}
	known.put(1, own)
	known.put(1, nil)
	if _, err := own.Writable(4096, 1); err == nil {
		t.Error("what was replaced stays open")
	}
}
