package keeper

import (
	"time"

	"cloister/internal/sys"
)

// handle does what a worker says.
func (k *keeper) handle(e event) {
	switch {
	case e.worker != k.worker: // killed long ago
		closeAll(e.fds)
		if e.exit != nil {
			delete(k.unreaped, e.process.Pid)
		}
	case e.exit != nil:
		if e.killed != "" {
			e.exit.reason, e.exit.byOthers = e.killed, true
		}
		if e.failed != "" {
			e.exit.reason += ": " + e.failed
		}
		k.ended(e.exit)
	default:
		e.silent = 0
		k.keep(e.message, e.fds)
		k.listen(e.message)
	}
}

// keep changes what is stored, here and in systemd's store.
func (k *keeper) keep(m message, fds []*sys.FD) {
	first := len(k.store) == 0
	if err := k.store.change(m, fds); err != nil {
		k.check(err)
		return
	}
	if first {
		k.saveStatus()
	}
	switch name := m.get(fdName); {
	case m.has(fdStore):
		k.check(k.systemd.store(name, k.store[name].Int()))
	case m.has(fdStoreRemove):
		k.check(k.systemd.remove(name))
	}
}

// listen does the rest of what a message asks for. STOPPING is not for systemd: most
// often it is only the worker that stops.
func (k *keeper) listen(m message) {
	k.check(k.systemd.notify(m.only("READY", "STATUS", "RELOADING", "MONOTONIC_USEC")))
	if m.has(ready) && k.worker.ready.IsZero() {
		k.worker.ready, k.needed = time.Now(), true
		k.status.DownSince = time.Time{}
		k.saveStatus()
		if k.trial.program != "" {
			k.executeNew()
		}
	}
	if text := m.get(failure); text != "" {
		k.worker.failed = text
	}
	if path := m.get(upgradeTo); path != "" {
		k.tryUpgrade(path)
	}
}
