//go:build !windows

package agent

import (
	"os"
	"syscall"
)

// openShared opens a log file for reading. O_NONBLOCK: if a named pipe has
// taken the file's name meanwhile, open must not wait for a writer.
func openShared(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
}
