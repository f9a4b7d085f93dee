//go:build !windows

package tailer

import (
	"os"
	"syscall"
	"time"
)

// heldNames says that a deleted file keeps its name until it is closed; here its
// name is free at once.
const heldNames = false

// deletedWait is how long a deleted file stays open after its last byte: its
// writer may still hold it, but its space on disk is held as well.
const deletedWait = time.Minute

// openShared opens a log file for reading. O_NONBLOCK: if a named pipe has
// taken the file's name meanwhile, open must not wait for a writer.
func openShared(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
}

// foldCase returns what is compared of a path: here letters differ by their case.
func foldCase(path string) string { return path }
