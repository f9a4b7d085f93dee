package main_test

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// cpuOf returns the processor time that a process has used, all threads and the
// kernel's work for it included, to the nanosecond.
func cpuOf(pid int) (time.Duration, error) {
	// The clock of another process, as clock_getcpuclockid(3) makes it.
	const cpuclockSched = 2
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|cpuclockSched), &ts); err != nil {
		return 0, fmt.Errorf("processor time of process %d: %w", pid, err)
	}
	return time.Duration(ts.Nano()), nil
}

// peakOf returns the most memory that a process has had resident, in MiB.
func peakOf(pid int) (float64, error) {
	return procNumber(fmt.Sprintf("/proc/%d/status", pid), "VmHWM:", 1.0/1024)
}

// writtenBy returns how many bytes a process has given to write calls, those to
// sockets included.
func writtenBy(pid int) (float64, error) {
	return procNumber(fmt.Sprintf("/proc/%d/io", pid), "wchar:", 1)
}

// procNumber returns the number behind name in a file of /proc.
func procNumber(path, name string, unit float64) (float64, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) >= 2 && fields[0] == name {
			n, err := strconv.ParseFloat(fields[1], 64)
			return n * unit, err
		}
	}
	return 0, fmt.Errorf("%s has no %s", path, name)
}
