package main
func race(a []string) error { return nil }
func fuzz(a []string) error { return nil }
func load(a []string) error { return nil }
func latency(a []string) error { return nil }
