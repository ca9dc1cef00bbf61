//go:build root

package attach

import "cloister/internal/sys"

// Replace puts something in the place of the mount at a point of a container.
func Replace(init *sys.FD, pid int, c *Container, point string, substitute func(*sys.Tree) (*sys.Tree, error)) error {
	_, err := inWorkshop(init, pid, c, func(w *worker) (*Attached, error) {
		return nil, w.replace(point, func(at *place) error { at.substitute = substitute; return nil })
	})
	return err
}
