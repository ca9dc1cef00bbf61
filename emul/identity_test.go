package emul

import (
	"errors"
	"regexp"
	"testing"

	"golang.org/x/sys/unix"

	"cloister/cgroupview"
)

func TestIdentity(t *testing.T) {
	r := newRig(t, cgroupview.Unified, nil)
	read := func(id, start string) (bootID, productUUID string) {
		c := r.container(ContainerConfig{ID: id, Start: start, PID: initTask.TID})
		bootID = readFile(t, c, "proc/sys/kernel/random/boot_id")
		productUUID = readFile(t, c, "sys/devices/virtual/dmi/id/product_uuid")
		form := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\n$`)
		if !form.MatchString(bootID) || !form.MatchString(productUUID) || bootID == productUUID {
			t.Errorf("boot_id %q, product_uuid %q", bootID, productUUID)
		}
		return bootID, productUUID
	}
	boot, product := read("a", "1")
	if b, p := read("a", "1"); b != boot || p != product {
		t.Error("the same start of a container has another identity")
	}
	if b, p := read("a", "2"); b == boot || p != product {
		t.Errorf("another start: boot_id %q after %q, product_uuid %q after %q", b, boot, p, product)
	}
	if b, p := read("b", "1"); b == boot || p == product {
		t.Error("two containers have the same identity")
	}
	if b, p := read("a1", ""); b == boot || p == product {
		t.Error("two containers have the same identity")
	}
	r.fake.Write("proc/sys/kernel/random/boot_id", "4d777544-0777-4777-8777-b4c777f53333\n")
	for path, mode := range map[string]uint32{
		"proc/sys/kernel/random/boot_id": 0o444, "sys/devices/virtual/dmi/id/product_uuid": 0o400,
	} {
		id, _, _ := lookUp(path)
		if ok, err := r.host.Supported(id); err != nil || !ok || files[id].Mode != mode {
			t.Errorf("%s: Supported() = %v, %v, mode %o, want %o", path, ok, err, files[id].Mode, mode)
		}
	}
}

func TestEmptyDirectories(t *testing.T) {
	r := newRig(t, cgroupview.Unified, func(r *rig) { r.fake.Write("sys/kernel/debug/777", "") })
	for path, mode := range map[string]uint32{
		"sys/kernel/debug": 0o700, "sys/kernel/tracing": 0o700, "sys/kernel/security": 0o755, "sys/kernel/config": 0o755,
	} {
		id, _, _ := lookUp(path)
		if f := files[id]; !f.Dir || f.Mode != mode || f.series != noSeries {
			t.Errorf("%s: %+v", path, f)
		}
		if ok, err := r.host.Supported(id); err != nil || ok != (path == "sys/kernel/debug") {
			t.Errorf("%s: Supported() = %v, %v", path, ok, err)
		}
		if _, err := r.c.Render(nil, id, 0); !errors.Is(err, unix.EISDIR) {
			t.Errorf("%s: Render: %v, want EISDIR", path, err)
		}
	}
}
