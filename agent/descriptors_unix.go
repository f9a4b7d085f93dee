//go:build unix

package agent

import "syscall"

// descriptorLimit returns how many descriptors this process may have.
func descriptorLimit() (uint64, bool) {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return 0, false
	}
	return uint64(l.Cur), true //nolint:unconvert // the type differs between systems
}
