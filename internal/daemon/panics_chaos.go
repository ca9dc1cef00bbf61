//go:build chaos

package daemon

import (
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
)

// panicOnSignal lets SIGUSR1 crash the process from a goroutine that nobody guards.
func panicOnSignal() {
	usr1 := make(chan os.Signal, 1)
	signal.Notify(usr1, syscall.SIGUSR1)
	go func() {
		<-usr1
		panic("injected by the chaos suite")
	}()
}

// panickingFile is the file of which one render in eight panics.
const panickingFile = "proc/zoneinfo"

var panicking atomic.Uint64

func panicInRender(path string) {
	if path == panickingFile && panicking.Add(1)%8 == 0 {
		panic("injected into a render by the chaos suite")
	}
}
