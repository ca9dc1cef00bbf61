package emul

import (
	"bytes"
	"fmt"
	"strconv"

	"cloister/cgroupview"
)

// taskStatus is what of a task's /proc/TID/status its container's figures are made of.
// One that is parsed into again reuses its memory.
type taskStatus struct {
	state byte // 'R' or 'S'
	// ids are those in its pid namespaces, the outermost that the reader's procfs
	// shows first.
	ids []int
	// switches is how often it has left a CPU, if counted. The lines stand at the end,
	// which may be missing: a task can have more groups than there is room for.
	switches uint64
	counted  bool
}

// parse parses the complete lines of b.
func (t *taskStatus) parse(b []byte) error {
	*t = taskStatus{ids: t.ids[:0]}
	counts := 0
	for {
		line, rest, ok := bytes.Cut(b, []byte{'\n'})
		if !ok {
			t.counted = counts == 2
			return nil
		}
		b = rest
		key, value, _ := bytes.Cut(line, []byte(":\t"))
		var err error
		switch string(key) {
		case "State":
			t.state = append(value, ' ')[0]
		case "NSpid":
			err = t.parseIDs(value)
		case "voluntary_ctxt_switches", "nonvoluntary_ctxt_switches":
			var n uint64
			n, err = strconv.ParseUint(string(value), 10, 64)
			t.switches += n
			counts++
		}
		if err != nil {
			return fmt.Errorf("line %.60q: %w", line, cgroupview.ErrFormat)
		}
	}
}

func (t *taskStatus) parseIDs(list []byte) error {
	for field := range bytes.FieldsSeq(list) {
		id, err := strconv.Atoi(string(field))
		if err != nil {
			return err
		}
		t.ids = append(t.ids, id)
	}
	return nil
}
