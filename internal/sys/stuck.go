package sys

import (
	"bytes"
	"fmt"
	"os"
)

// Stuck reports whether no thread of a process runs: each that there is waits in the
// kernel where no signal reaches it (state D), or has ended. A process that was killed and
// is stuck does nothing more of its own.
func Stuck(pid int) bool {
	dir := fmt.Sprintf("/proc/%d/task", pid)
	tasks, err := os.ReadDir(dir)
	if err != nil {
		return true // it has ended
	}
	for _, task := range tasks {
		stat, err := os.ReadFile(dir + "/" + task.Name() + "/stat")
		if err != nil {
			continue // so has the thread
		}
		_, rest, ok := bytes.Cut(stat[bytes.LastIndexByte(stat, ')')+1:], []byte(" "))
		if ok && len(rest) > 0 && !bytes.ContainsRune([]byte("DZX"), rune(rest[0])) {
			return false
		}
	}
	return true
}
