package checkpoint

import (
	"io"
	"os"
)

// FS is what the store needs of a file system. There are two: the system's, and
// one that fails on demand in tests.
type FS interface {
	// Create makes a file for writing, or empties it.
	Create(path string) (File, error)
	// Append opens a file for writing at its end.
	Append(path string) (File, error)
	ReadFile(path string) ([]byte, error)
	Rename(from, to string) error
	Remove(path string) error
	// SyncDir makes the names in a folder durable.
	SyncDir(dir string) error
}

// File is an open file of an FS.
type File interface {
	io.WriteCloser
	Sync() error
	Truncate(size int64) error
}

type osFS struct{}

func (osFS) Create(path string) (File, error) {
	return open(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY)
}

func (osFS) Append(path string) (File, error) { return open(path, os.O_APPEND|os.O_WRONLY) }

func open(path string, flags int) (File, error) {
	f, err := os.OpenFile(path, flags, 0o600)
	if err != nil {
		return nil, err // not a typed nil
	}
	return f, nil
}

func (osFS) ReadFile(path string) ([]byte, error) { return os.ReadFile(path) }
func (osFS) Rename(from, to string) error         { return os.Rename(from, to) }
func (osFS) Remove(path string) error             { return os.Remove(path) }
func (osFS) SyncDir(dir string) error             { return syncDir(dir) }
