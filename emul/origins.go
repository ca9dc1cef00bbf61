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
	files []hostFile    // by FileID: kept open, but for those that are stable
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
	online cgroupview.CPUSet // of the host, when it was read
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
		if !f.origin.stable {
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
	f := &files[id]
	if f.origin.path == "" {
		return nil, nil
	}
	once := o.whole[id]
	if once == nil {
		once = o.member(f, memberKey{id, number})
	}
	s, err := once.get(now)
	if err != nil {
		return nil, err
	}
	return s.value.parsed, nil
}

func (o *origins) member(f *File, key memberKey) *originOnce {
	if once, ok := o.members.Load(key); ok {
		return once.(*originOnce)
	}
	path := o.host.root.Path(f.series.path(f.origin.path, key.number))
	once, _ := o.members.LoadOrStore(key, o.once(f, func() ([]byte, error) { return os.ReadFile(path) }))
	return once.(*originOnce)
}

func (o *origins) once(f *File, read func() ([]byte, error)) *originOnce {
	once := &originOnce{period: max(o.host.period, f.origin.period)}
	once.read = func(now time.Duration) (v originValue, err error) {
		s, err := o.host.sample.get(now)
		if err != nil {
			return v, err
		}
		v.online = s.value.online
		if last := once.current.Load(); last != nil && f.origin.stable && last.value.online.Equal(v.online) {
			return last.value, nil
		}
		text, err := read()
		if err != nil {
			return v, err
		}
		v.parsed, err = f.origin.parse(text)
		return v, inFile(err, o.host.root.Path(f.origin.path))
	}
	return once
}
