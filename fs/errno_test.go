package fs

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"
	"testing"

	"github.com/hanwen/go-fuse/v2/fuse"
)

func TestStatus(t *testing.T) {
	for name, tt := range map[string]struct {
		err  error
		want fuse.Status
	}{
		"nil":               {nil, fuse.OK},
		"errno":             {syscall.ENODEV, fuse.ENODEV},
		"wrapped errno":     {fmt.Errorf("read memory.max: %w", &fs.PathError{Err: syscall.EACCES}), fuse.EACCES},
		"no errno":          {errors.New("no sample"), fuse.EIO},
		"switches open off": {syscall.ENOSYS, fuse.EIO},
		"no error":          {syscall.Errno(0), fuse.EIO},
		"kernel refuses it": {syscall.Errno(512), fuse.EIO},
		"panic":             {errPanic, fuse.EIO},
		"budget":            {errBudget, fuse.Status(syscall.ENFILE)},
	} {
		t.Run(name, func(t *testing.T) {
			if got := status(tt.err); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}
