package attach

import (
	"encoding/json"
	"fmt"
)

// Promise is what whoever prepared a container has promised for it. It is an
// argument of the prestart hook in the container's config.
type Promise struct {
	// Root is the container's root file system, as the runtime sees it.
	Root string `json:"root,omitempty"`
	// Namespaces are those that the container has of its own besides the ones
	// that every container must have, by their names in /proc/<pid>/ns.
	Namespaces []string `json:"namespaces,omitempty"`
	// Sysctls are to be written from outside, in the container's namespaces.
	Sysctls map[string]string `json:"sysctls,omitempty"`
	// Masked and ReadOnly are paths of proc and sysfs, as sealed.Plan has them.
	Masked   []string `json:"masked,omitempty"`
	ReadOnly []string `json:"readOnly,omitempty"`
	// Locked are mount points that stay read-only.
	Locked []string `json:"locked,omitempty"`
	// SharedMounts tells that the staged mounts are in the mount namespace of the
	// runtime, and have to be cleared.
	SharedMounts bool `json:"sharedMounts,omitempty"`
}

// String returns the argument.
func (p *Promise) String() string {
	text, err := json.Marshal(p)
	if err != nil {
		panic(fmt.Sprintf("attach: a promise does not marshal: %v", err)) // strings and flags
	}
	return string(text)
}

// ParsePromise reads the argument; an empty one promises nothing.
func ParsePromise(text string) (*Promise, error) {
	p := &Promise{}
	if text == "" {
		return p, nil
	}
	if err := json.Unmarshal([]byte(text), p); err != nil {
		return nil, fmt.Errorf("read what was promised for the container: %w", err)
	}
	return p, nil
}
