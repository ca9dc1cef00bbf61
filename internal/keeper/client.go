package keeper

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	"cloister/internal/sys"
)

// Client is the worker's side.
type Client struct {
	conn    *sys.PacketConn
	stored  store
	fresh   bool
	systemd bool
	events  chan Event
}

// Event is what the keeper wants of the worker.
type Event int

const (
	// Stop is the wish that the worker takes all away and ends.
	Stop Event = iota + 1
	// Handover is the wish that it ends so that a successor can go on.
	Handover
	// Lost is the end of the keeper: there will be no successor, unless the worker
	// calls TakeOver.
	Lost
)

// Connect gets what the keeper has. It returns nil in a process that is no worker,
// and so should be the keeper.
func Connect() (*Client, error) {
	number := os.Getenv(socketEnv)
	if number == "" {
		return nil, nil
	}
	if err := os.Unsetenv(socketEnv); err != nil {
		return nil, err
	}
	fd, err := strconv.Atoi(number)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", socketEnv, err)
	}
	conn, err := sys.NewPacketConn(fd)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", socketEnv, err)
	}
	nameProcess()
	c := &Client{conn: conn, stored: store{}, events: make(chan Event, 3)} // each event once
	if err := c.receiveStored(); err != nil {
		return nil, errors.Join(fmt.Errorf("get what is kept: %w", err), conn.Close())
	}
	go c.listen()
	return c, nil
}

// receiveStored reads the greeting.
func (c *Client) receiveStored() error {
	buf := make([]byte, maxMessage)
	for {
		text, fds, err := c.conn.Receive(buf)
		if err != nil {
			return err
		}
		m := parse(text)
		if count := m.get(stored); count != "" {
			c.fresh, c.systemd = m.has(startFresh), m.has(underSystemd)
			return c.complete(count)
		}
		c.emit(m)
		for i, name := range m.all(fdName) {
			if i < len(fds) {
				c.stored.put(name, fds[i])
			}
		}
	}
}

func (c *Client) complete(count string) error {
	if count != strconv.Itoa(len(c.stored)) {
		return fmt.Errorf("%d of %s descriptors have arrived: raise LimitNOFILE", len(c.stored), count)
	}
	return nil
}

// listen passes the keeper's wishes on until the keeper is gone.
func (c *Client) listen() {
	buf := make([]byte, maxMessage)
	for {
		text, fds, err := c.conn.Receive(buf)
		if err != nil {
			break
		}
		closeAll(fds) // there are none
		c.emit(parse(text))
	}
	if c.systemd {
		c.events <- Handover // to the keeper that systemd starts
		return
	}
	c.events <- Lost
}

func (c *Client) emit(m message) {
	switch {
	case m.has(stop):
		c.events <- Stop
	case m.has(handOver):
		c.events <- Handover
	}
}

// Events tells what the keeper wants, or that there is none any more.
func (c *Client) Events() <-chan Event { return c.events }

// Fresh tells that the workers before have crashed again and again, so that what they
// have left behind may be the reason.
func (c *Client) Fresh() bool { return c.fresh }

// Names returns the names of all that was kept when the worker started.
func (c *Client) Names() []string { return slices.Sorted(maps.Keys(c.stored)) }

// Stored returns what was kept under a name when the worker started, or nil. It is
// the caller's.
func (c *Client) Stored(name string) *sys.FD { return c.stored[name] }

// Store gives the keeper a duplicate of a descriptor, in the place of what it has
// under the name.
func (c *Client) Store(name string, fd int) error {
	if !validName(name) {
		return fmt.Errorf("store %q: not a name that systemd takes", name)
	}
	return c.send(message{fdStore, fdName + "=" + name}, fd)
}

// Remove lets the keeper close what it has under a name. It is not Stored any more.
func (c *Client) Remove(name string) error {
	delete(c.stored, name)
	return c.send(message{fdStoreRemove, fdName + "=" + name})
}

// Ready says that the worker serves.
func (c *Client) Ready() error { return c.send(message{ready}) }

// Alive says that the worker does not hang. Whoever is silent for Config.Watchdog is
// killed.
func (c *Client) Alive() error { return c.send(message{watchdog}) }

// Upgrade asks the keeper to go on with the program at path.
func (c *Client) Upgrade(path string) error { return c.send(message{upgradeTo + "=" + path}) }

// Failed says why the worker ends.
func (c *Client) Failed(err error) error {
	return c.send(message{failure + "=" + strings.ReplaceAll(err.Error(), "\n", "; ")})
}

func (c *Client) send(m message, fds ...int) error {
	if err := c.conn.Send(m.String(), fds...); err != nil {
		return fmt.Errorf("tell the keeper %s: %w", m[0], err)
	}
	return nil
}

// TakeOver makes this process the keeper after Lost, with the arguments of a keeper
// and the descriptors that its worker shall be given. It returns only if it fails.
func (c *Client) TakeOver(args []string, stored map[string]int) error {
	s := &state{Stored: stored}
	return fmt.Errorf("become the keeper: %w", s.exec(ownImage, append([]string{os.Args[0]}, args...)))
}
