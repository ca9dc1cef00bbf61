package fs

import (
	"testing"
	"testing/synctest"
)

// Looks that are held up delay the requests by a limited time, and are limited in number.
func TestLookHeldUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, release := &slot{}, make(chan struct{})
		held := func() caller {
			<-release
			return caller{kind: callRead}
		}
		for range slotLooks {
			if got := s.look(lookLimit, held); got.kind != callUnknown {
				t.Errorf("got kind %v of a look that has not ended", got.kind)
			}
		}
		spliced := func() caller { return caller{kind: callSplice} }
		if got := s.look(lookLimit, spliced); got.kind != callUnknown {
			t.Errorf("got kind %v although too many looks are held up", got.kind)
		}
		close(release)
		synctest.Wait()
		if got := s.look(lookLimit, spliced); got.kind != callSplice {
			t.Errorf("got kind %v after they have ended", got.kind)
		}
	})
}
