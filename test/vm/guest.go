package vm

import (
	"cmp"
	"context"
	"os"
	"path/filepath"
	"strconv"
)

// Guest describes a virtual machine. Kernel and Busybox are needed, everything
// else may be left out.
type Guest struct {
	Kernel  *Kernel
	Busybox string   // a static one, of the host's files
	Modules []string // kernel modules to load, besides those of the disk
	Files   []File
	Disk    int64 // size of the ext4 file system at /data; 4 GiB if 0
	Swap    int64 // size of the swap space; none if 0
	Memory  int   // MiB; 1024 if 0
	CPUs    int   // 2 if 0
	// Accelerator is qemu's -accel; emulation if empty. In a virtual machine that
	// is inside of another, kvm may hang.
	Accelerator string
}

// diskModules drive the disks.
var diskModules = [...]string{"virtio_pci", "virtio_blk", "ext4"}

// Names in a machine's directory. qemu runs there and gets these, as its options
// can't hold every path.
const (
	initramfsFile = "initramfs.img"
	diskFile      = "data.img"
	swapFile      = "swap.img"
	consoleFile   = "console.log"
)

// prepare makes the files that the machine starts from.
func (g *Guest) prepare(ctx context.Context, dir string) error {
	if err := g.writeInitramfs(filepath.Join(dir, initramfsFile)); err != nil {
		return err
	}
	if err := makeSparse(filepath.Join(dir, diskFile), cmp.Or(g.Disk, 4<<30)); err != nil {
		return err
	}
	if g.Swap > 0 {
		if err := makeSparse(filepath.Join(dir, swapFile), g.Swap); err != nil {
			return err
		}
	}
	_, err := run(ctx, dir, nil, "mkfs.ext4", "-q", diskFile)
	return err
}

func makeSparse(name string, size int64) error {
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		return err
	}
	return os.Truncate(name, size)
}

// emulation lets the guest's CPUs take turns. With a thread for each of them, qemu
// 7.2 executes instructions that one is replacing under the other: the guest's
// kernel ends with "Oops: int3", most often when the first cgroup gets a CPU quota.
const emulation = "tcg,thread=single"

// processor has everything but cmpxchg16b, which leaves garbage in the flags of
// qemu 7.2: the guest's kernel ends with a double fault.
const processor = "max,-cx16"

// args are the arguments for qemu. Its standard input and output are the guest's
// second serial port; the first is the kernel's console.
func (g *Guest) args() []string {
	args := []string{
		"-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
		"-accel", cmp.Or(g.Accelerator, emulation), "-cpu", processor,
		"-m", strconv.Itoa(cmp.Or(g.Memory, 1024)), "-smp", strconv.Itoa(cmp.Or(g.CPUs, 2)),
		"-kernel", g.Kernel.Image, "-initrd", initramfsFile, "-append", "console=ttyS0 oops=panic panic=-1 psi=1 quiet",
		"-chardev", "file,id=console,path=" + consoleFile, "-serial", "chardev:console",
		"-chardev", "stdio,id=agent,signal=off", "-serial", "chardev:agent",
		"-drive", "if=virtio,format=raw,cache=unsafe,file=" + diskFile,
	}
	if g.Swap > 0 {
		args = append(args, "-drive", "if=virtio,format=raw,cache=unsafe,file="+swapFile)
	}
	return args
}
