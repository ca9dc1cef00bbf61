package keeper

import "time"

const (
	firstDelay = 100 * time.Millisecond
	maxDelay   = 10 * time.Second
	// steady is how long a worker has to be ready until what was before is forgotten.
	steady = 10 * time.Second
	// distrust is after how many crashes in a row a worker starts fresh.
	distrust = 5
)

// backoff decides when another worker is started, and how. It looks at those in a row
// that were never ready.
type backoff struct {
	delay   time.Duration // of the next start after a failure
	failed  int           // these
	crashed int           // of these: without being able to say why
}

// next returns the delay after a worker that was ready for some time, or never (0).
// One that has become ready and was ended by others is not to blame.
func (b *backoff) next(ready time.Duration, e *exit) time.Duration {
	if ready >= steady {
		b.delay = 0
	}
	if ready == 0 {
		b.failed++
		if e.crashed {
			b.crashed++
		}
	} else {
		b.failed, b.crashed = 0, 0
		if e.byOthers {
			return 0
		}
	}
	delay := b.delay
	b.delay = min(max(2*delay, firstDelay), maxDelay)
	return delay
}

// fresh tells whether the next worker should not trust what is stored. What ends a
// worker with an error, such as broken settings, is not in the store.
func (b *backoff) fresh() bool { return b.crashed >= distrust }
