package daemon

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rs/zerolog"

	"cloister/fs"
	"cloister/internal/sys"
)

const (
	// listenerSocket is the name in the legacy of the socket that runtimes connect to.
	listenerSocket = "seccomp"
	// listenerPrefix is that of the descriptors which they send: seccomp.<key>.<number>.
	listenerPrefix = "seccomp."
	// arrivalPrefix is that of the connections on which one is under way:
	// arrival.<number>. The descriptor gets the connection's number.
	arrivalPrefix = "arrival."

	// arrivalLimit is how long a runtime may take to send what it has connected for.
	arrivalLimit = 5 * time.Second
	// maxArrivals is how many may do so at the same time.
	maxArrivals = 64
	// maxStateHead bounds what of a message comes before the state of the container. The
	// socket holds as much.
	maxStateHead = 128 << 10
	// maxState bounds the message: a container's annotations are in it.
	maxState = 16 << 20
)

// intake gets the listeners of containers' system calls from the runtimes: for each
// process that a runtime starts, a connection with a message and a descriptor. A runtime
// does not wait for an answer. What has arrived is not lost if this process is killed,
// since the keeper has the connection until it has the descriptor.
type intake struct {
	log  zerolog.Logger
	left legacy
	// knows returns an error for a key that is no container's.
	knows func(key string) error
	// add takes over the descriptor.
	add func(name, key string, fd *sys.FD) error

	refused atomic.Uint64
	last    atomic.Uint64  // number of a connection
	places  chan struct{}  // one is held by each connection that is looked at
	closing chan struct{}  // closed by close
	running sync.WaitGroup // connections, and who accepts them
}

func arrivalName(number uint64) string { return arrivalPrefix + strconv.FormatUint(number, 10) }

// listenerName is that of a descriptor in the legacy.
func listenerName(key string, number uint64) string {
	return listenerPrefix + key + "." + strconv.FormatUint(number, 10)
}

// parseListenerName reports whether it is one.
func parseListenerName(name string) (key string, number uint64, ok bool) {
	rest, ok := strings.CutPrefix(name, listenerPrefix)
	end := strings.LastIndexByte(rest, '.')
	if !ok || end < 0 {
		return "", 0, false
	}
	if _, err := fs.ParseSlot(rest[:end]); err != nil {
		return "", 0, false
	}
	number, err := strconv.ParseUint(rest[end+1:], 10, 64)
	return rest[:end], number, err == nil
}

// resume takes up what predecessors have left. A container keeps its listener whatever
// is known of it: closed, all its calls would fail from then on.
func (i *intake) resume() error {
	var errs []error
	var numbers []uint64
	for _, name := range i.left.names(listenerPrefix) {
		key, number, ok := parseListenerName(name)
		if !ok {
			continue
		}
		numbers = append(numbers, number)
		fd, err := i.left.takeFD(name)
		if err == nil {
			err = i.add(name, key, fd)
		}
		errs = append(errs, err)
	}
	arrivals := map[string]uint64{}
	for _, name := range i.left.names(arrivalPrefix) {
		number, err := strconv.ParseUint(strings.TrimPrefix(name, arrivalPrefix), 10, 64)
		if err != nil || slices.Contains(numbers, number) { // nothing was left to do but to forget it
			errs = append(errs, i.left.forget(name))
			continue
		}
		numbers = append(numbers, number)
		arrivals[name] = number
	}
	if len(numbers) > 0 {
		i.last.Store(slices.Max(numbers))
	}
	for name, number := range arrivals {
		errs = append(errs, i.resumeArrival(name, number))
	}
	return errors.Join(errs...)
}

func (i *intake) resumeArrival(name string, number uint64) error {
	f, err := i.left.take(name)
	if err != nil {
		return err
	}
	defer f.Close()
	conn, err := net.FileConn(f)
	if err == nil {
		if unix, ok := conn.(*net.UnixConn); ok {
			i.running.Go(func() { i.arrived(unix, number) })
			return nil
		}
		err = errors.Join(errors.New("not a unix socket"), conn.Close())
	}
	return errors.Join(fmt.Errorf("%s: %w", name, err), i.left.forget(name))
}

// serve accepts runtimes until close. One that is slow holds nobody else.
func (i *intake) serve(l *net.UnixListener) {
	for {
		conn, err := l.AcceptUnix()
		switch {
		case err == nil:
			number := i.last.Add(1)
			if err := i.left.leave(arrivalName(number), conn); err != nil {
				i.log.Warn().Err(err).Msg("a listener is lost if the daemon is killed now")
			}
			i.running.Go(func() { i.arrived(conn, number) })
		case errors.Is(err, net.ErrClosed):
			return
		default: // no descriptor is free, say
			i.log.Error().Err(err).Msg("runtimes that bring system calls have to wait")
			select {
			case <-time.After(100 * time.Millisecond):
			case <-i.closing:
			}
		}
	}
}

// close leaves what is under way to the successor, and returns when nobody is at work any
// more. Preconditions: the socket is closed.
func (i *intake) close() {
	close(i.closing)
	i.running.Wait()
}

// arrived handles one connection, in its turn.
func (i *intake) arrived(conn *net.UnixConn, number uint64) {
	defer conn.Close() // nothing was written
	select {
	case i.places <- struct{}{}:
		defer func() { <-i.places }()
	case <-i.closing:
		return
	}
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		select {
		case <-i.closing:
			_ = conn.SetReadDeadline(time.Now()) // fails only if it is over
		case <-stop:
		}
	}()
	err := i.receive(conn, number)
	if errors.Is(err, os.ErrDeadlineExceeded) && i.isClosing() {
		return // it is the successor's
	}
	if err != nil {
		i.refused.Add(1)
		i.log.Error().Err(err).Msg("a listener for a container's system calls is refused, they will fail")
	}
	if err := i.left.forget(arrivalName(number)); err != nil {
		i.log.Warn().Err(err).Msg("the keeper keeps the connection of a runtime")
	}
}

func (i *intake) isClosing() bool {
	select {
	case <-i.closing:
		return true
	default:
		return false
	}
}

func (i *intake) receive(conn *net.UnixConn, number uint64) (err error) {
	peer, err := sys.PeerCredentials(conn)
	if err != nil {
		return err
	}
	if peer.UID != 0 {
		return fmt.Errorf("process %d of user %d is not the host's root", peer.PID, peer.UID)
	}
	if err := conn.SetReadDeadline(time.Now().Add(arrivalLimit)); err != nil {
		return err
	}
	if i.isClosing() { // its deadline may have come before this one
		return os.ErrDeadlineExceeded
	}
	key, fd, err := receiveListener(conn)
	if err != nil {
		return fmt.Errorf("from process %d: %w", peer.PID, err)
	}
	if err := i.knows(key); err != nil {
		return errors.Join(err, fd.Close())
	}
	name := listenerName(key, number)
	if err := i.left.leaveFD(name, fd.Int()); err != nil {
		i.log.Warn().Str("key", key).Err(err).Msg("a listener is lost when the daemon ends")
	}
	if err := i.add(name, key, fd); err != nil {
		return errors.Join(err, i.left.forget(name))
	}
	if err := drain(conn); err != nil {
		i.log.Warn().Str("key", key).Err(err).Msg("a runtime may fail, and the container with it")
	}
	return nil
}

// drain reads the message, whose sender otherwise gets an error. Its end is that of the
// JSON: some runtimes keep the connection until they end themselves.
func drain(conn *net.UnixConn) error {
	var state json.RawMessage
	if err := json.NewDecoder(io.LimitReader(conn, maxState)).Decode(&state); err != nil {
		return fmt.Errorf("rest of a runtime's message: %w", err)
	}
	return nil
}

// receiveListener looks at the message of a runtime. All that counts of it is the key,
// which we have put into the container's config: of the rest runtimes differ.
func receiveListener(conn *net.UnixConn) (key string, listener *sys.FD, err error) {
	var h stateHead
	fds, err := sys.PeekStream(conn, maxStateHead, func(data []byte) (enough bool, err error) {
		h, enough, err = parseStateHead(data)
		return enough, err
	})
	defer func() {
		for _, fd := range fds {
			if fd != listener {
				err = errors.Join(err, fd.Close())
			}
		}
	}()
	if err != nil {
		return "", nil, fmt.Errorf("message of a runtime: %w", err)
	}
	n := slices.Index(h.fds, specs.SeccompFdName)
	if n < 0 || n >= len(fds) {
		return "", nil, fmt.Errorf("message of a runtime about %q with %d descriptors has no %s", h.fds, len(fds), specs.SeccompFdName)
	}
	if kind, err := os.Readlink(fds[n].ProcPath()); err != nil || kind != "anon_inode:seccomp notify" {
		return "", nil, fmt.Errorf("what a runtime has sent as %s is %s", specs.SeccompFdName, kind)
	}
	return h.metadata, fds[n], nil
}

// stateHead is what counts of a specs.ContainerProcessState. The state of the container
// comes after it, and may be longer than what a socket takes.
type stateHead struct {
	fds      []string
	metadata string
}

// parseStateHead reports whether data, the beginning of a message, is enough.
func parseStateHead(data []byte) (h stateHead, enough bool, err error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	fields := map[string]any{"fds": &h.fds, "metadata": &h.metadata}
	token, err := dec.Token()
	if err == nil && token != json.Delim('{') {
		err = errors.New("not an object")
	}
	for err == nil && len(fields) > 0 && dec.More() {
		if token, err = dec.Token(); err != nil {
			break
		}
		name, _ := token.(string)
		field, wanted := fields[name]
		if !wanted {
			field = new(json.RawMessage)
		}
		if err = dec.Decode(field); err == nil {
			delete(fields, name)
		}
	}
	if err == nil && len(fields) > 0 {
		if token, err = dec.Token(); err == nil && token == json.Delim('}') {
			return h, true, nil
		}
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return stateHead{}, false, nil
	}
	return h, err == nil, err
}
