package daemon

import (
	"errors"
	"os"
	"testing"

	"cloister/emul"
)

func TestViewIsOpenedOnce(t *testing.T) {
	tries, want := 0, new(emul.Container)
	v := &view{open: func() (*emul.Container, error) {
		if tries++; tries == 1 {
			return nil, os.ErrPermission
		}
		return want, nil
	}}
	if _, err := v.get(); !errors.Is(err, os.ErrPermission) || v.opened.Load() != nil {
		t.Errorf("first try: %v, want that of open", err)
	}
	for range 2 {
		if c, err := v.get(); c != want || err != nil {
			t.Errorf("got %p, %v, want %p", c, err, want)
		}
	}
	if tries != 2 {
		t.Errorf("opened %d times, want 2", tries)
	}
}

func TestViewIsNotOpenedAfterClose(t *testing.T) {
	v := &view{open: func() (*emul.Container, error) {
		t.Error("opened")
		return nil, nil
	}}
	v.close()
	if _, err := v.get(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("got %v, want ErrClosed", err)
	}
}
