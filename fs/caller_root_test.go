//go:build root

package fs

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// watched is a file system whose root directory is one file long: "file", three pages
// that are read through the page cache. It tells what its readers do.
type watched struct {
	fuse.RawFileSystem
	callers chan caller
}

const (
	watchedSize  = 3 << 12
	watchedInode = 2
)

func attrOf(node uint64, a *fuse.Attr) {
	a.Ino, a.Nlink = node, 1
	if a.Mode = unix.S_IFREG | 0o444; node == fuse.FUSE_ROOT_ID {
		a.Mode = unix.S_IFDIR | 0o555
	}
	a.Size = watchedSize
}

func (w *watched) Lookup(_ <-chan struct{}, _ *fuse.InHeader, _ string, out *fuse.EntryOut) fuse.Status {
	out.NodeId = watchedInode
	attrOf(watchedInode, &out.Attr)
	return fuse.OK
}

func (w *watched) GetAttr(_ <-chan struct{}, in *fuse.GetAttrIn, out *fuse.AttrOut) fuse.Status {
	attrOf(in.NodeId, &out.Attr)
	return fuse.OK
}

func (w *watched) Open(<-chan struct{}, *fuse.OpenIn, *fuse.OpenOut) fuse.Status { return fuse.OK }

func (w *watched) Read(_ <-chan struct{}, in *fuse.ReadIn, buf []byte) (fuse.ReadResult, fuse.Status) {
	call := callerAt("/proc", in.Pid, briefly)
	select {
	case w.callers <- call:
	default: // what is read ahead beyond the first
	}
	return fuse.ReadResultData(buf[:max(0, min(int(in.Size), watchedSize-int(in.Offset)))]), fuse.OK
}

func mountWatched(t *testing.T) (*watched, string) {
	t.Helper()
	w := &watched{RawFileSystem: fuse.NewDefaultRawFileSystem(), callers: make(chan caller, 1)}
	dir := mountDir(t)
	server, err := fuse.NewServer(w, dir, &fuse.MountOptions{DirectMountStrict: true, FsName: fsName, Name: fsName})
	if err != nil {
		t.Fatal(err)
	}
	go server.Serve()
	t.Cleanup(func() {
		if err := server.Unmount(); err != nil {
			t.Error(err)
		}
	})
	if err := server.WaitMount(); err != nil {
		t.Fatal(err)
	}
	return w, filepath.Join(dir, "file")
}

func TestCallerAtOfRealTasks(t *testing.T) {
	need(t, "python3")
	w, file := mountWatched(t)
	for name, tt := range map[string]struct {
		script string
		want   caller
	}{
		"read":         {`os.read(f, 100)`, caller{callRead, 0, 100, watchedInode}},
		"read further": {`os.lseek(f, 4500, 0); os.read(f, 100)`, caller{callRead, 4500, 100, watchedInode}},
		"readv":        {`os.lseek(f, 7, 0); os.readv(f, [bytearray(9), bytearray(9)])`, caller{callRead, 7, -1, watchedInode}},
		"pread":        {`os.pread(f, 100, 0)`, caller{callRead, 0, 100, watchedInode}},
		"pread at 512": {`os.lseek(f, 7, 0); os.pread(f, 512, 512)`, caller{callRead, 512, 512, watchedInode}},
		"preadv":       {`os.preadv(f, [bytearray(9)], 8191)`, caller{callRead, 8191, -1, watchedInode}},
		"preadv2":      {`os.preadv(f, [bytearray(9)], 3, os.RWF_HIPRI)`, caller{callRead, 3, -1, watchedInode}},
		"preadv2 at the position": {
			`os.lseek(f, 33, 0); os.preadv(f, [bytearray(9)], -1, os.RWF_HIPRI)`,
			caller{callRead, 33, -1, watchedInode},
		},
		"by a thread": {
			`os.lseek(f, 6, 0); t = threading.Thread(target=os.read, args=(f, 9)); t.start(); t.join()`,
			caller{callRead, 6, 9, watchedInode},
		},
		"mmap":     {`mmap.mmap(f, 4096, prot=mmap.PROT_READ)[5]`, caller{kind: callFault}},
		"sendfile": {`os.sendfile(os.pipe()[1], f, None, 4096)`, caller{kind: callSplice}},
		"splice":   {`os.splice(f, os.pipe()[1], 4096)`, caller{kind: callSplice}},
		"by a mapping in another call": {
			`os.write(os.memfd_create("x"), mmap.mmap(f, 4096, prot=mmap.PROT_READ))`,
			caller{kind: callOther},
		},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, "python3", "-c", "import os, sys, mmap, threading; f = os.open(sys.argv[1], os.O_RDONLY)\n"+tt.script, file)
			if got := <-w.callers; got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

// program32 reads the file that it has as descriptor 0 at offset 5000.
const program32 = `
static long call(long nr, long a, long b, long c, long d, long e) {
	long r;
	asm volatile("int $0x80" : "=a"(r) : "a"(nr), "b"(a), "c"(b), "d"(c), "S"(d), "D"(e) : "memory");
	return r;
}
void _start(void) {
	static char buf[8];
	call(CALL, 0, (long)buf, sizeof buf, 5000, 0);
	call(1, 0, 0, 0, 0, 0);
}
`

func TestCallerAtOf32BitTasks(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("needs an amd64 that runs i386 programs")
	}
	need(t, "gcc")
	w, file := mountWatched(t)
	for number, want := range map[string]caller{"3": {callRead, 0, 8, watchedInode}, "180": {callRead, 5000, 8, watchedInode}} {
		dir := t.TempDir()
		source, program := filepath.Join(dir, "program.c"), filepath.Join(dir, "program")
		if err := os.WriteFile(source, []byte(program32), 0o600); err != nil {
			t.Fatal(err)
		}
		run(t, "gcc", "-m32", "-nostdlib", "-static", "-fno-stack-protector", "-fno-pic", "-no-pie", "-DCALL="+number, "-o", program, source)
		if err := exec.Command("sh", "-c", `exec "$0" < "$1"`, program, file).Run(); err != nil {
			t.Skipf("the kernel runs no i386 programs: %v", err)
		}
		if got := <-w.callers; got != want {
			t.Errorf("call %s: got %+v, want %+v", number, got, want)
		}
	}
}
