//go:build !linux

package main_test

// hostFaults needs mounts, limits and namespaces as Linux has them.
func hostFaults() []fault { return nil }
