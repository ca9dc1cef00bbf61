package emul

import "fmt"

// CPUs returns how many CPUs the container sees in its files. Errors are those of Render.
func (c *Container) CPUs() (int, error) {
	if err := c.refresh(c.host.now()); err != nil {
		return 0, fmt.Errorf("number of CPUs: %w", err)
	}
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.view.cpus.visible, nil
}
