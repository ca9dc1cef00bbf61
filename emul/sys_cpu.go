package emul

import (
	"bytes"
	"slices"
	"strconv"

	"cloister/cgroupview"
)

const cpuDir = "sys/devices/system/cpu"

// cpuFiles are those of /sys/devices/system/cpu, drivers/base/cpu.c: a machine of one
// socket with a core of one thread for each CPU that the container sees, as cpuinfo
// describes it too. What says how the host idles or is plugged is not there, and
// neither are symbolic links, such as that from a CPU to its memory node.
var cpuFiles = slices.Concat(
	allStable([]File{
		{Path: cpuDir + "/online", Mode: 0o444, render: renderCPUs},
		{Path: cpuDir + "/possible", Mode: 0o444, render: renderCPUs},
		{Path: cpuDir + "/present", Mode: 0o444, render: renderCPUs},
		{Path: cpuDir + "/enabled", Mode: 0o444, render: renderCPUs},
		{Path: cpuDir + "/offline", Mode: 0o444, render: renderNone},
		{Path: cpuDir + "/isolated", Mode: 0o444, render: renderNone},
		derived(cpuDir+"/nohz_full", 0o444, parseNohzFull, renderText),
		{Path: cpuDir + "/kernel_max", Mode: 0o444, render: renderKernelMax},
		{Path: cpuDir + "/smt/active", Mode: 0o444, render: renderSMTActive},
		{Path: cpuDir + "/smt/control", Mode: 0o444, render: renderSMTControl},
		{Path: cpuDir + "/cpu*/online", Mode: 0o444, render: renderCPUIsOnline},
	}),
	constants(cpuDir+"/cpu*", "cpu_capacity"),
	constants(
		cpuDir+"/vulnerabilities",
		"gather_data_sampling", "ghostwrite", "indirect_target_selection", "itlb_multihit", "l1tf", "mds", "meltdown",
		"mmio_stale_data", "old_microcode", "reg_file_data_sampling", "retbleed", "spec_rstack_overflow",
		"spec_store_bypass", "spectre_v1", "spectre_v2", "srbds", "tsa", "tsx_async_abort", "vmscape",
	),
	// arch/arm64/kernel/cpuinfo.c
	constants(cpuDir+"/cpu*/regs/identification", "midr_el1", "revidr_el1", "aidr_el1", "smidr_el1"),
	topologyFiles(cpuDir+"/cpu*/topology"),
	cacheFiles(cpuDir+"/cpu*/cache"),
	cpufreqFiles(),
)

// constants are verbatim files that describe the machine.
func constants(dir string, names ...string) []File {
	return allStable(verbatim(dir, names...))
}

// verbatim are files in dir of which the container sees the host's text, of a CPU that
// of the one it runs on.
func verbatim(dir string, names ...string) []File {
	var list []File
	for _, name := range names {
		list = append(list, derived(dir+"/"+name, 0o444, parseText, renderText))
	}
	return list
}

func parseText(b []byte) (string, error) { return string(b), nil }

func renderText(dst []byte, _ *view, text string, _ input) []byte { return append(dst, text...) }

// renderCPUs renders the list of all CPUs.
func renderCPUs(dst []byte, v *view, _ input) []byte {
	return append(appendUpTo(dst, v.cpus.visible), '\n')
}

// renderNone renders an empty list. Which CPUs the host keeps for itself or for others
// is not the container's business.
func renderNone(dst []byte, _ *view, _ input) []byte { return append(dst, '\n') }

// parseNohzFull returns an empty list, in the form that the kernel has for it: without
// the boot parameter, those from before 6.18 print a null pointer.
func parseNohzFull(b []byte) (string, error) {
	if bytes.Equal(bytes.TrimSpace(b), []byte("(null)")) {
		return string(b), nil
	}
	_, err := cgroupview.ParseCPUSet(b)
	return "\n", err
}

// renderKernelMax renders the highest number of a CPU. The kernel's is that of what it
// was built for, which would have tools allocate sets of thousands.
func renderKernelMax(dst []byte, v *view, _ input) []byte {
	return append(strconv.AppendInt(dst, int64(v.cpus.visible-1), 10), '\n')
}

// renderSMTActive and renderSMTControl render the files of kernel/cpu.c on a machine
// whose cores have one thread.
func renderSMTActive(dst []byte, _ *view, _ input) []byte { return append(dst, "0\n"...) }

func renderSMTControl(dst []byte, _ *view, _ input) []byte { return append(dst, "notsupported\n"...) }

func renderCPUIsOnline(dst []byte, _ *view, _ input) []byte { return append(dst, "1\n"...) }
