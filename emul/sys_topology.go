package emul

import "strconv"

// topologyFiles are those of drivers/base/topology.c, the names from before 5.3
// included. Not among them is ppin, the serial number of a processor.
func topologyFiles(dir string) []File {
	var list []File
	add := func(render func([]byte, *view, input) []byte, names ...string) {
		for _, name := range names {
			list = append(list, File{Path: dir + "/" + name, Mode: 0o444, render: render})
		}
	}
	add(renderZero, "physical_package_id", "die_id")
	add(renderMember, "cluster_id", "core_id")
	add(renderOwnMask, "core_cpus", "thread_siblings", "cluster_cpus")
	add(renderMember, "core_cpus_list", "thread_siblings_list", "cluster_cpus_list")
	add(renderAllMask, "package_cpus", "core_siblings", "die_cpus")
	add(renderCPUs, "package_cpus_list", "core_siblings_list", "die_cpus_list")
	return allStable(list)
}

func renderZero(dst []byte, _ *view, _ input) []byte { return append(dst, "0\n"...) }

// renderMember renders a CPU's number, which also is the list of it alone.
func renderMember(dst []byte, _ *view, in input) []byte {
	return append(strconv.AppendInt(dst, int64(in.member), 10), '\n')
}

func renderOwnMask(dst []byte, v *view, in input) []byte {
	dst, mask := appendMask(dst, v.cpus.visible)
	mask.set(in.member)
	return append(dst, '\n')
}

func renderAllMask(dst []byte, v *view, _ input) []byte {
	dst, mask := appendMask(dst, v.cpus.visible)
	for cpu := range v.cpus.visible {
		mask.set(cpu)
	}
	return append(dst, '\n')
}
