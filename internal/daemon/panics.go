//go:build !chaos

package daemon

// Only the daemon that the chaos suite builds (tag chaos) panics on demand.

func panicOnSignal() {}

func panicInRender(string) {}
