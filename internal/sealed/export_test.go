package sealed

import "cloister/internal/sys"

// LockAnd calls f while base is staged.
func (w *Workshop) LockAnd(base *sys.Tree, f func() error) error {
	return w.lock(base, func(*sys.FD) error { return nil }, func(string) error { return f() })
}
