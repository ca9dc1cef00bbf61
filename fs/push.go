package fs

import (
	"slices"
	"sync"
)

// changes are the slots whose files are others now.
type changes struct {
	mu     sync.Mutex
	slots  []*slot            // guarded by mu
	queued map[*slot]struct{} // guarded by mu; what is in slots
	call   chan struct{}
}

func newChanges() changes {
	return changes{queued: map[*slot]struct{}{}, call: make(chan struct{}, 1)}
}

func (c *changes) add(s *slot) {
	c.mu.Lock()
	if _, ok := c.queued[s]; !ok {
		c.queued[s] = struct{}{}
		c.slots = append(c.slots, s)
	}
	c.mu.Unlock()
	select {
	case c.call <- struct{}{}:
	default:
	}
}

func (c *changes) take() []*slot {
	c.mu.Lock()
	defer c.mu.Unlock()
	changed := c.slots
	c.slots, c.queued = nil, map[*slot]struct{}{}
	return changed
}

// pushAlways tells the kernel of changes until the connection is gone.
func (d *device) pushAlways() {
	turns := newTurns(&d.tasks)
	for {
		for _, s := range d.changes.take() {
			id := newNodeID(s.id, firstNumber, 0)
			turns.take(id, func() { d.push(s) }, func() { d.changes.add(s) })
		}
		select {
		case <-d.changes.call:
		case <-d.ended:
			return
		}
	}
}

// push has the kernel know a slot's files as they are now. What it doesn't know of, it
// will ask for.
func (d *device) push(s *slot) {
	d.knowMembers(s)
	for i := range d.sb.tree.nodes {
		number := firstNumber + i
		n := d.sb.tree.node(number)
		if !n.shown {
			continue
		}
		last := 0
		if n.member {
			last = int(s.members.Load()) - 1
		}
		for member := 0; member <= last; member++ {
			d.pushNode(d.sb.at(s, number, member))
		}
	}
}

// knowMembers sees to the members that the kernel has learnt of from a predecessor.
func (d *device) knowMembers(s *slot) {
	for i := range d.sb.tree.nodes {
		number := firstNumber + i
		series := d.sb.tree.node(number)
		if !series.series || !series.shown || !d.sb.slots.serves(s) {
			continue
		}
		if members, err := d.sb.members(place{slot: s}, series); err == nil && len(members) > 0 {
			s.knows(newNodeID(s.id, number, members[len(members)-1]))
		}
	}
}

func (d *device) pushNode(at place) {
	if !d.sb.slots.serves(at.slot) { // reads are to come here, and get an error
		_ = d.invalPages(at.id)
		return
	}
	if !at.isFile() {
		_ = d.invalPages(at.id)
		for _, star := range at.node.stars {
			d.forgetMembers(at, d.sb.tree.node(star))
		}
		return
	}
	content, _, err := d.sb.renderAt(at, nil, slow)
	if err == nil {
		at.slot.sizes[at.node.file].raise(len(content))
	}
	// sendfile(2) goes by the size that the kernel has, and never asks for it. It comes
	// before the pages are dropped: told of a size while a READ is under way, the kernel
	// does not believe that reply's, and the reader sees zeros behind the content.
	if err == nil {
		_ = d.notify(append(appendStoreHeader(nil, at.id, 0, len(content)), content...))
	}
	_ = d.invalPages(at.id)
}

// forgetMembers has the kernel forget the names of members that there are no more.
func (d *device) forgetMembers(dir place, series *node) {
	members, err := d.sb.members(dir, series)
	if err != nil {
		return
	}
	for member := range int(dir.slot.members.Load()) {
		if !slices.Contains(members, member) {
			_ = d.notify(invalEntryMessage(dir.id, series.memberName(member)))
		}
	}
}
