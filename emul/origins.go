package emul

import (
	"os"
	"sync"
	"time"

	"cloister/cgroupview"
)

// origins are the files of the host that files of containers are derived from, each
// read at most once per period.
type origins struct {
	host  *Host
	files []hostFile    // by FileID: kept open, but for those that only change with the CPUs
	whole []*originOnce // by FileID, nil for a file without an origin or in a series
	// members are those of a series, by memberKey. There are no more of them than
	// the host has files; they are not kept open.
	members sync.Map
}

type memberKey struct {
	id     FileID
	number int
}

// originOnce is an origin's parsed content.
type originOnce = cached[originValue]

type originValue struct {
	parsed any
	// What the host had when it was read, or before.
	online, nodes cgroupview.CPUSet
}

func (o *origins) open(h *Host) {
	o.host = h
	o.files = make([]hostFile, len(files))
	o.whole = make([]*originOnce, len(files))
	for i := range files {
		f := &files[i]
		if f.origin.path == "" || f.series != noSeries {
			continue
		}
		path := h.root.Path(f.origin.path)
		read := func() ([]byte, error) { return os.ReadFile(path) }
		if !f.origin.hotplug {
			o.files[i].path = path
			read = o.files[i].read
		}
		o.whole[i] = o.once(f, read)
	}
}

func (o *origins) close() {
	for i := range o.files {
		o.files[i].close()
	}
}

// get returns the content of a file's origin, nil if it has none. number is the host's
// of a member.
func (o *origins) get(id FileID, number int, now time.Duration) (any, error) {
	if parsed, ok := o.fresh(id, number, now); ok {
		return parsed, nil
	}
	once := o.known(id, number)
	if once == nil {
		once = o.member(&files[id], memberKey{id, number})
	}
	s, err := once.get(now)
	if err != nil {
		return nil, err
	}
	return s.value.parsed, nil
}

// fresh is get as far as that takes no reading. It waits for nothing.
func (o *origins) fresh(id FileID, number int, now time.Duration) (parsed any, ok bool) {
	if files[id].origin.path == "" {
		return nil, true
	}
	if once := o.known(id, number); once != nil {
		if s := once.fresh(now); s != nil {
			return s.value.parsed, true
		}
	}
	return nil, false
}

// known returns a file's origin, nil if it is that of a member and has not been read.
func (o *origins) known(id FileID, number int) *originOnce {
	if once := o.whole[id]; once != nil {
		return once
	}
	if once, ok := o.members.Load(memberKey{id, number}); ok {
		return once.(*originOnce)
	}
	return nil
}

func (o *origins) member(f *File, key memberKey) *originOnce {
	path := o.host.root.Path(f.series.path(f.origin.path, key.number))
	once, _ := o.members.LoadOrStore(key, o.once(f, func() ([]byte, error) { return os.ReadFile(path) }))
	return once.(*originOnce)
}

func (o *origins) once(f *File, read func() ([]byte, error)) *originOnce {
	once := &originOnce{period: max(o.host.period, f.origin.period)}
	if f.origin.hotplug {
		once.period, once.valid = forever, o.isOfNow
	}
	once.read = func(now time.Duration) (v originValue, err error) {
		s, err := o.host.sample.get(now)
		if err != nil {
			return v, err
		}
		v.online, v.nodes = s.value.online, s.value.nodes
		text, err := read()
		if err != nil {
			return v, err
		}
		v.parsed, err = f.origin.parse(text)
		return v, inFile(err, o.host.root.Path(f.origin.path))
	}
	return once
}

// isOfNow reports whether the host has the CPUs and memory nodes that it had when the
// origin was read, as its last sample says.
func (o *origins) isOfNow(v *originValue) bool {
	s := o.host.sample.current.Load()
	return s != nil && v.online.Equal(s.value.online) && v.nodes.Equal(s.value.nodes)
}
