package emul

import (
	"strconv"

	"cloister/cgroupview"
)

// maxCaches is how many caches of a CPU are shown: more than any machine has.
const maxCaches = 5

// cacheFiles are those of drivers/base/cacheinfo.c.
func cacheFiles(dir string) []File {
	var list []File
	for i := range maxCaches {
		index := dir + "/index" + strconv.Itoa(i)
		list = append(list, constants(
			index,
			"id", "level", "type", "size", "coherency_line_size", "number_of_sets", "ways_of_associativity",
			"physical_line_partition", "allocation_policy", "write_policy",
		)...)
		shared := index + "/shared_cpu_list"
		list = append(
			list,
			derived(shared, 0o444, cgroupview.ParseCPUSet, renderCPUList).stable(),
			derived(index+"/shared_cpu_map", 0o444, cgroupview.ParseCPUSet, renderCPUMap).of(shared).stable(),
		)
	}
	return list
}

// renderCPUList and renderCPUMap render those CPUs of the host's that the container
// sees, by its own numbers.
func renderCPUList(dst []byte, v *view, host cgroupview.CPUSet, _ input) []byte {
	return append(v.cpus.appendList(dst, host), '\n')
}

func renderCPUMap(dst []byte, v *view, host cgroupview.CPUSet, _ input) []byte {
	return append(v.cpus.appendMap(dst, host), '\n')
}
