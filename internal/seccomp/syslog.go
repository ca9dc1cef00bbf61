package seccomp

import "golang.org/x/sys/unix"

// Actions of syslog(2), include/linux/syslog.h.
const (
	syslogReadAll    = 3
	syslogReadClear  = 4
	syslogClear      = 5
	syslogSizeUnread = 9
	syslogSizeBuffer = 10
)

// syslogBuffer is the size of the kernel's log by default (CONFIG_LOG_BUF_SHIFT 17).
const syslogBuffer = 1 << 17

type syslog struct{}

// NewSyslog returns the handler of syslog(2), to which the kernel's log is empty. It may be
// cleared by who has CAP_SYSLOG in its own user namespace.
func NewSyslog() Handler { return syslog{} }

func (syslog) Serve(r *Request) Answer {
	action := int32(r.Args[0])
	switch action {
	case syslogReadAll:
		return checkSyslogBuffer(r.Args[1], int32(r.Args[2]))
	case syslogSizeBuffer:
		return Return(syslogBuffer)
	case syslogReadClear, syslogClear, syslogSizeUnread:
	default:
		return Continue() // the kernel asks for CAP_SYSLOG on the host
	}
	capable, err := hasCapability(r, unix.CAP_SYSLOG)
	switch {
	case err != nil:
		return failed(err)
	case !capable:
		return Errno(unix.EPERM)
	case action == syslogReadClear:
		return checkSyslogBuffer(r.Args[1], int32(r.Args[2]))
	}
	return Return(0)
}

// checkSyslogBuffer fails as the kernel does before it reads, or tells that nothing was
// read.
func checkSyslogBuffer(addr uint64, length int32) Answer {
	switch {
	case addr == 0 || length < 0:
		return Errno(unix.EINVAL)
	case length > 0 && addr>>63 != 0: // the kernel's half
		return Errno(unix.EFAULT)
	}
	return Return(0)
}

// hasCapability tells whether the caller has a capability in its user namespace.
func hasCapability(r *Request, number int) (bool, error) {
	set, err := r.statusSet("CapEff")
	return set>>number&1 != 0, err
}
