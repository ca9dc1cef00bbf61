package main

import (
	"encoding/binary"
	"fmt"
)

// sysinfoKiB reads the total of memory from a struct sysinfo:
//
//	long uptime, unsigned long loads[3], totalram, freeram, sharedram, bufferram, totalswap,
//	freeswap, short procs, pad, unsigned long totalhigh, freehigh, unsigned int mem_unit
//
// where long has 64 or, in i386, 32 bits.
func sysinfoKiB(kind abi, m memory) (uint64, error) {
	total, unit := binary.LittleEndian.Uint64(m[32:]), binary.LittleEndian.Uint32(m[104:])
	if kind == i386 {
		total, unit = uint64(binary.LittleEndian.Uint32(m[16:])), binary.LittleEndian.Uint32(m[52:])
	}
	if unit == 0 {
		return 0, fmt.Errorf("mem_unit is 0")
	}
	return total * uint64(unit) / 1024, nil
}
