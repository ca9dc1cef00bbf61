package emul

// cpufreqFiles are the frequencies of the CPUs that the container runs on,
// drivers/cpufreq/cpufreq.c. Each CPU has a policy of its own. The host calls a policy
// by one of its CPUs, but each of them has a link to it.
func cpufreqFiles() []File {
	const ofCPU, ofPolicy = cpuDir + "/cpu*/cpufreq", cpuDir + "/cpufreq/policy*"
	list := verbatim(cpuDir+"/cpufreq", "boost")
	list = append(list, verbatim(cpuDir+"/intel_pstate", "status", "no_turbo", "num_pstates", "turbo_pct", "min_perf_pct", "max_perf_pct")...)
	list = append(list, verbatim(cpuDir+"/amd_pstate", "status", "prefcore")...)
	// drivers/acpi/cppc_acpi.c, but for its counters
	list = append(list, constants(cpuDir+"/cpu*/acpi_cppc",
		"highest_perf", "nominal_perf", "lowest_nonlinear_perf", "lowest_perf", "guaranteed_perf", "reference_perf",
		"nominal_freq", "lowest_freq", "wraparound_time")...)
	for _, dir := range []string{ofCPU, ofPolicy} {
		for _, f := range policyFiles(dir) {
			if f.origin.path != "" {
				f = f.of(ofCPU + f.origin.path[len(dir):])
			}
			list = append(list, f)
		}
	}
	return list
}

// policyFiles are the files of one policy.
func policyFiles(dir string) []File {
	// What a CPU runs at follows from all that runs on it: the container sees the
	// frequency that it can have.
	highest := dir + "/cpuinfo_max_freq"
	list := []File{
		derived(dir+"/scaling_cur_freq", 0o444, parseText, renderText).of(highest),
		derived(dir+"/cpuinfo_cur_freq", 0o400, parseText, renderText).of(highest),
		derived(dir+"/cpuinfo_avg_freq", 0o444, parseText, renderText).of(highest),
	}
	list = append(list, allStable([]File{
		{Path: dir + "/affected_cpus", Mode: 0o444, render: renderMember},
		{Path: dir + "/related_cpus", Mode: 0o444, render: renderMember},
		{Path: dir + "/freqdomain_cpus", Mode: 0o444, render: renderMember},
		{Path: dir + "/scaling_setspeed", Mode: 0o444, render: renderUnsupported},
	})...)
	list = append(list, constants(
		dir,
		"cpuinfo_min_freq", "cpuinfo_transition_latency", "base_frequency",
		"scaling_available_frequencies", "scaling_boost_frequencies", "scaling_available_governors",
		"energy_performance_available_preferences",
		"amd_pstate_max_freq", "amd_pstate_lowest_nonlinear_freq", "amd_pstate_highest_perf",
	)...)
	// The host's administrator can change these.
	return append(list, verbatim(
		dir,
		"cpuinfo_max_freq", "scaling_driver", "scaling_max_freq", "scaling_min_freq", "scaling_governor",
		"energy_performance_preference", "bios_limit", "boost",
	)...)
}

// renderUnsupported renders a frequency that can't be set.
func renderUnsupported(dst []byte, _ *view, _ input) []byte { return append(dst, "<unsupported>\n"...) }
