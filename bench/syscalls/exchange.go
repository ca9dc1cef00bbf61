package syscalls

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// Request asks the probe for a round of a case. Requests and replies are JSON, one after
// the other, on the probe's standard input and output.
type Request struct {
	Case  string
	Count int
}

// Reply has the times of a round: of each part, those of each time it was done.
type Reply struct {
	Parts [][]time.Duration
	// Views are how many mounts there are over what the case mounts.
	Views int
	Error string
}

// Probe is a probe that runs.
type Probe struct {
	to   *json.Encoder
	from *json.Decoder
}

// NewProbe returns a probe that reads in and writes to out.
func NewProbe(in io.Writer, out io.Reader) *Probe {
	return &Probe{to: json.NewEncoder(in), from: json.NewDecoder(out)}
}

// Round has the probe do a round of a case.
func (p *Probe) Round(c *Case) (*Reply, error) {
	if err := p.to.Encode(Request{Case: c.Name, Count: c.Count}); err != nil {
		return nil, err
	}
	r := &Reply{}
	switch err := p.from.Decode(r); {
	case errors.Is(err, io.EOF):
		return nil, fmt.Errorf("%s: the probe has ended", c.Name)
	case err != nil:
		return nil, fmt.Errorf("%s: %w", c.Name, err)
	case r.Error != "":
		return nil, fmt.Errorf("%s: %s", c.Name, r.Error)
	case len(r.Parts) != len(c.Parts):
		return nil, fmt.Errorf("%s: the probe has timed %d parts, not %d", c.Name, len(r.Parts), len(c.Parts))
	}
	return r, nil
}
