//go:build root

package seccomp

import (
	"testing"

	"golang.org/x/sys/unix"
)

// BenchmarkSysinfo is what a call costs its caller, without and with the agent.
func BenchmarkSysinfo(b *testing.B) {
	run := func(b *testing.B, tr *tracee, threads int) {
		o := order{Nr: unix.SYS_SYSINFO, Args: [6]uint64{arena}, Stride: 256, Threads: threads}
		tr.do(o)
		o.Repeat = (b.N + threads - 1) / threads
		b.ResetTimer()
		tr.start(o)()
	}
	b.Run("plain", func(b *testing.B) { run(b, startTracee(b, "CLOISTER_TEST_PLAIN=1"), 1) })
	b.Run("trapped", func(b *testing.B) { run(b, contain(b, map[string]Handler{callSysinfo: sameFigures}), 1) })
	b.Run("trapped-16-threads", func(b *testing.B) { run(b, contain(b, map[string]Handler{callSysinfo: sameFigures}), 16) })
	b.Run("answered-only", func(b *testing.B) {
		nothing := handlerFunc(func(*Request) Answer { return Return(0) })
		run(b, contain(b, map[string]Handler{callSysinfo: nothing}), 1)
	})
}
