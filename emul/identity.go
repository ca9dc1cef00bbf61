package emul

import (
	"crypto/sha256"
	"encoding/hex"
)

// identity is what tells one container's machine from another's. It follows from the
// container's names, so that a daemon that is started again gives the same.
type identity struct {
	// bootID is that of the container's start, productUUID that of the container.
	bootID, productUUID string
}

func newIdentity(id, start string) identity {
	return identity{
		bootID:      uuid("boot_id", id+"\x00"+start),
		productUUID: uuid("product_uuid", id),
	}
}

// uuid makes a UUID of version 8 (RFC 9562, section 5.8) of a name.
func uuid(kind, name string) string {
	sum := sha256.Sum256([]byte("cloister " + kind + "\x00" + name))
	b := sum[:16]
	b[6] = b[6]&0x0f | 0x80
	b[8] = b[8]&0x3f | 0x80
	text := hex.EncodeToString(b)
	return text[:8] + "-" + text[8:12] + "-" + text[12:16] + "-" + text[16:20] + "-" + text[20:]
}

// renderBootID renders /proc/sys/kernel/random/boot_id, drivers/char/random.c.
func renderBootID(dst []byte, v *view, _ input) []byte {
	return append(append(dst, v.identity.bootID...), '\n')
}

// renderProductUUID renders /sys/devices/virtual/dmi/id/product_uuid,
// drivers/firmware/dmi-id.c.
func renderProductUUID(dst []byte, v *view, _ input) []byte {
	return append(append(dst, v.identity.productUUID...), '\n')
}
