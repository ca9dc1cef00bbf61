package keeper

import (
	"slices"
	"strings"
)

// message is the text of a message: lines of KEY=value, as of sd_notify(3).
type message []string

// The lines of messages.
const (
	fdStore       = "FDSTORE=1"
	fdStoreRemove = "FDSTOREREMOVE=1"
	fdName        = "FDNAME"
	ready         = "READY=1"
	watchdog      = "WATCHDOG=1"
	reloading     = "RELOADING=1"
	stopping      = "STOPPING=1"
	upgradeTo     = "CLOISTER_UPGRADE"
	failure       = "CLOISTER_ERROR"
	stored        = "CLOISTER_STORED"
	startFresh    = "CLOISTER_FRESH=1"
	underSystemd  = "CLOISTER_SYSTEMD=1"
	stop          = "CLOISTER_STOP=1"
	handOver      = "CLOISTER_HANDOVER=1"
)

// maxMessage is the length of the longest message that is understood.
const maxMessage = 64 << 10

func parse(text string) message {
	return strings.FieldsFunc(text, func(r rune) bool { return r == '\n' })
}

func (m message) String() string { return strings.Join(m, "\n") }

// has tells whether the message contains the line.
func (m message) has(line string) bool { return slices.Contains(m, line) }

// all returns the values of a key.
func (m message) all(key string) []string {
	var values []string
	for _, line := range m {
		if k, value, ok := strings.Cut(line, "="); ok && k == key {
			values = append(values, value)
		}
	}
	return values
}

// get returns the first value of a key, or "".
func (m message) get(key string) string {
	if values := m.all(key); len(values) > 0 {
		return values[0]
	}
	return ""
}

// only returns the lines that have one of the keys.
func (m message) only(keys ...string) message {
	var lines message
	for _, line := range m {
		for _, key := range keys {
			if strings.HasPrefix(line, key+"=") {
				lines = append(lines, line)
			}
		}
	}
	return lines
}

// maxName is systemd's limit (FDNAME_MAX).
const maxName = 255

// validName holds systemd's rules, so that all that is kept can go into its store.
func validName(name string) bool {
	for _, c := range []byte(name) {
		if c < ' ' || c > '~' || c == ':' {
			return false
		}
	}
	return name != "" && len(name) <= maxName
}
