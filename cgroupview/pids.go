package cgroupview

// pidsReader reads the pids controller, which is the same in v1 and v2.
type pidsReader struct{ current *file }

func newPids(d *dir) reader { return &pidsReader{current: d.file(0, "pids.current")} }

func (r *pidsReader) read(buf *[]byte, u *Usage) (err error) {
	u.Pids, u.PidsOwn, err = r.current.limit(buf)
	return err
}

func (r *pidsReader) close() { r.current.close() }
