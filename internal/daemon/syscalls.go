package daemon

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"cloister/internal/api"
	"cloister/internal/metrics"
	"cloister/internal/mounter"
	"cloister/internal/seccomp"
	"cloister/internal/sys"
)

// journalName is in the legacy: the calls that are being answered.
const journalName = "syscalls"

// syscalls answers the trapped system calls of all containers.
type syscalls struct {
	registry *registry
	mounter  *mounter.Mounter
	agent    *seccomp.Agent
	intake   *intake
	socket   *net.UnixListener // nil while nobody may connect
	metrics  *metrics.Syscalls

	served    atomic.Uint64
	listeners atomic.Int64
}

// handlers are who answers which call.
func (s *syscalls) handlers() (map[string]seccomp.Handler, error) {
	affinity, err := seccomp.NewAffinity(s.registry)
	if err != nil {
		return nil, err
	}
	m := &mounter.Handler{Mounter: s.mounter, Source: s.registry}
	all := map[string]seccomp.Handler{
		"sysinfo":           seccomp.NewSysinfo(s.registry),
		"sched_getaffinity": affinity,
		"syslog":            seccomp.NewSyslog(),
		"mount":             m,
		"umount":            m,
		"umount2":           m,
		"socketcall":        &mounter.SocketHandler{Mounter: s.mounter},
	}
	for name, h := range all {
		all[name] = &counted{Handler: h, syscalls: s}
	}
	return all, nil
}

// openSyscalls goes on with what a predecessor has left, or begins. Containers must be known.
func (d *Daemon) openSyscalls() (err error) {
	s := &syscalls{registry: d.registry, mounter: d.mounter, metrics: metrics.NewSyscalls()}
	if s.agent, err = s.newAgent(d); err != nil {
		return fmt.Errorf("system calls: %w", err)
	}
	d.syscalls = s
	s.intake = &intake{
		log: d.log, left: d.legacy, add: s.add, places: make(chan struct{}, maxArrivals), closing: make(chan struct{}),
		knows: func(key string) error { _, err := d.registry.get(key); return err },
	}
	if err := s.intake.resume(); err != nil {
		d.log.Error().Err(err).Msg("system calls of some containers fail from now on")
	}
	s.agent.Start()
	if s.socket, err = d.listen(listenerSocket, api.ListenerPath(d.RunDir)); err != nil {
		return err
	}
	s.intake.running.Go(func() { s.intake.serve(s.socket) })
	return nil
}

func (s *syscalls) newAgent(d *Daemon) (*seccomp.Agent, error) {
	handlers, err := s.handlers()
	if err != nil {
		return nil, err
	}
	o := seccomp.Options{Handlers: handlers, Log: d.log, Ended: func(l seccomp.Listener) {
		s.listeners.Add(-1)
		if err := d.legacy.forget(l.Name); err != nil {
			d.log.Warn().Str("key", l.Container).Err(err).Msg("the keeper keeps a listener that has ended")
		}
	}}
	if d.legacy.trusted() && d.legacy.has(journalName) {
		if o.Journal, err = d.legacy.takeFD(journalName); err != nil {
			return nil, err
		}
		agent, err := seccomp.New(o)
		err = errors.Join(err, o.Journal.Close())
		if !errors.Is(err, seccomp.ErrJournal) {
			return agent, err
		}
	}
	if err := d.legacy.forget(journalName); err != nil {
		return nil, err
	}
	if o.Journal, err = seccomp.CreateJournal(); err != nil {
		return nil, err
	}
	if err := d.legacy.leaveFD(journalName, o.Journal.Int()); err != nil {
		return nil, errors.Join(err, o.Journal.Close())
	}
	agent, err := seccomp.New(o)
	return agent, errors.Join(err, o.Journal.Close())
}

// add has the agent serve a listener.
func (s *syscalls) add(name, key string, fd *sys.FD) error {
	s.listeners.Add(1) // it may end at once
	if err := s.agent.Add(seccomp.Listener{Container: key, Name: name, FD: fd}); err != nil {
		s.listeners.Add(-1)
		return errors.Join(err, fd.Close())
	}
	return nil
}

// close leaves the calls to a successor. Who connects from now on waits for it, too.
func (s *syscalls) close() error {
	var err error
	if s.socket != nil {
		err = s.socket.Close()
	}
	s.intake.close()
	return errors.Join(err, s.agent.Close())
}

// end is close if there will be no successor: calls of containers fail from now on.
func (s *syscalls) end(runDir string) error {
	return errors.Join(s.close(), ignoreMissing(os.Remove(api.ListenerPath(runDir))))
}

func (s *syscalls) stats() api.SyscallStats {
	return api.SyscallStats{Served: s.served.Load(), Listeners: int(s.listeners.Load()), Refused: s.intake.refused.Load()}
}

// counted counts what a handler does, which is asked for containers that are known.
type counted struct {
	seccomp.Handler
	syscalls *syscalls
}

// Serve implements seccomp.Handler.
func (c *counted) Serve(r *seccomp.Request) seccomp.Answer {
	begin := time.Now()
	answer := c.serve(r)
	c.syscalls.served.Add(1)
	c.syscalls.metrics.Count(r.Call, answer.Outcome(), time.Since(begin))
	return answer
}

// serve asks nobody about a container that has processes but no registration any more: its
// record can't be read, say. Mounting is safe to leave to the kernel.
func (c *counted) serve(r *seccomp.Request) seccomp.Answer {
	if _, err := c.syscalls.registry.get(r.Container); err == nil {
		return c.Handler.Serve(r)
	}
	switch r.Call {
	case "mount", "umount", "umount2":
		return seccomp.Continue()
	}
	return seccomp.Errno(syscall.ENOSYS)
}
