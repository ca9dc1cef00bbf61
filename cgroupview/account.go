package cgroupview

// Account is a resource that is counted in bytes against a limit.
type Account struct {
	// Present is false if the kernel does not account the resource for this
	// cgroup or any of its ancestors. There is then no limit and no usage.
	Present bool
	// Own is false if only an ancestor accounts the resource, together with
	// its other children. Usage is then 0.
	Own bool
	// Limit is the lowest limit of the cgroup and its ancestors, or NoLimit.
	Limit uint64
	// Headroom is what can still be charged before the first limit is hit,
	// siblings' usage considered: the minimum of limit - usage over the
	// levels, 0 where usage exceeds the limit, NoLimit without any limit.
	Headroom uint64
	// Usage is what the cgroup and its children have charged.
	Usage uint64
}

var absentAccount = Account{Limit: NoLimit, Headroom: NoLimit}

// accountReader reads an Account from a pair of files per level, the cgroup's
// own level first.
type accountReader []accountLevel

type accountLevel struct{ limit, usage *file }

func newAccountReader(d *dir, limit, usage string) accountReader {
	r := make(accountReader, d.levels)
	for i := range r {
		r[i] = accountLevel{limit: d.file(i, limit), usage: d.file(i, usage)}
	}
	return r
}

// read walks up the levels once. An ancestor without a limit costs one pread.
// Precondition: *a is absentAccount.
func (r accountReader) read(buf *[]byte, a *Account) error {
	for i, level := range r {
		limit, ok, err := level.limit.limit(buf)
		if err != nil {
			return err
		}
		a.Present = a.Present || ok
		if !ok || limit == NoLimit && i > 0 {
			continue
		}
		usage, ok, err := level.usage.limit(buf)
		if err != nil {
			return err
		}
		if i == 0 {
			a.Own, a.Usage = ok, usage
		}
		if limit != NoLimit {
			a.Limit = min(a.Limit, limit)
			a.Headroom = min(a.Headroom, sub(limit, usage))
		}
	}
	return nil
}

func (r accountReader) close() {
	for _, level := range r {
		level.limit.close()
		level.usage.close()
	}
}
