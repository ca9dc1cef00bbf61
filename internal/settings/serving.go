package settings

import (
	"encoding/json"
	"fmt"
	"time"
)

// Serving is how views reach their readers.
type Serving struct {
	// Protocol is for the files that change all the time; see Lease and Direct.
	Protocol Protocol `json:"protocol"`
	// MaxStale, if it is not 0, lets the kernel show these files for as long without
	// asking: faster, and what is read in several pieces may be of several moments.
	MaxStale Duration `json:"maxStale"`
}

// Protocol is how exact files are served.
type Protocol string

const (
	// Lease puts what is short into the page cache as it is opened.
	Lease Protocol = "lease"
	// Direct has every read asked for.
	Direct Protocol = "direct"
)

// UnmarshalJSON takes no other name.
func (p *Protocol) UnmarshalJSON(data []byte) error {
	var name string
	if err := json.Unmarshal(data, &name); err != nil {
		return err
	}
	if name != string(Lease) && name != string(Direct) {
		return fmt.Errorf("protocol %q is neither %q nor %q", name, Lease, Direct)
	}
	*p = Protocol(name)
	return nil
}

// Duration is one as time.ParseDuration takes it, for example "5ms".
type Duration struct{ time.Duration }

// maxDuration is the longest that makes sense here.
const maxDuration = time.Minute

// UnmarshalJSON takes none that is negative or long.
func (d *Duration) UnmarshalJSON(data []byte) error {
	var text string
	if err := json.Unmarshal(data, &text); err != nil {
		return err
	}
	parsed, err := time.ParseDuration(text)
	if err != nil {
		return err
	}
	if parsed < 0 || parsed > maxDuration {
		return fmt.Errorf("duration %s is not between 0 and %s", text, maxDuration)
	}
	d.Duration = parsed
	return nil
}

// MarshalJSON is the inverse.
func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(d.String()) }
