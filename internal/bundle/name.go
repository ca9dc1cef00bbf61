package bundle

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"regexp"
)

// Name is the name of a container. It is its id, its hostname and the name of its
// cgroup as well.
type Name string

// maxName is the kernel's limit of a hostname (__NEW_UTS_LEN).
const maxName = 64

var namePattern = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]*$`)

// UnmarshalText implements encoding.TextUnmarshaler.
func (n *Name) UnmarshalText(text []byte) error {
	if !namePattern.Match(text) {
		return fmt.Errorf("%q is not a name for a container: it must begin with a letter or a digit, followed by letters, digits and any of _ . -", text)
	}
	if len(text) > maxName {
		return fmt.Errorf("%q is longer than %d characters", text, maxName)
	}
	*n = Name(text)
	return nil
}

// NewName makes up a name.
func NewName() Name {
	var b [3]byte
	_, _ = rand.Read(b[:]) // never fails
	return Name("run-" + hex.EncodeToString(b[:]))
}
