package emul

// miscFiles are views that stand alone: what identifies the machine, and directories
// of the kernel's that a container has no business in. Those it sees empty, and can
// mount over.
var miscFiles = []File{
	{Path: "proc/sys/kernel/random/boot_id", Mode: 0o444, Stable: true, render: renderBootID},
	{Path: "sys/devices/virtual/dmi/id/product_uuid", Mode: 0o400, Stable: true, render: renderProductUUID},
	{Path: "sys/kernel/debug", Mode: 0o700, Dir: true, Stable: true},
	{Path: "sys/kernel/tracing", Mode: 0o700, Dir: true, Stable: true},
	{Path: "sys/kernel/security", Mode: 0o755, Dir: true, Stable: true},
	{Path: "sys/kernel/config", Mode: 0o755, Dir: true, Stable: true},
	pressureFile("irq"), // since Linux 6.1, with CONFIG_IRQ_TIME_ACCOUNTING
}
