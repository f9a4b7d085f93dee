package checkpoint

import (
	"io"
	"io/fs"
	"os"
)

// FS is what the store needs of a file system. There are two: the system's, and
// one that fails on demand and remembers all writes, in tests. All calls come
// from the store's owner. Errors wrap the system's.
type FS interface {
	ReadDir(dir string) ([]fs.DirEntry, error)
	ReadFile(path string) ([]byte, error)
	// Create makes a file for writing, or empties it.
	Create(path string) (File, error)
	// Append opens a file for writing at its end.
	Append(path string) (File, error)
	Rename(from, to string) error
	Remove(path string) error
	// SyncDir makes the names in a directory durable.
	SyncDir(dir string) error
}

// File is a file of an FS, open for writing.
type File interface {
	io.WriteCloser
	Sync() error
	Truncate(size int64) error
}

// osFS is the system's file system.
type osFS struct{}

func (osFS) Create(path string) (File, error) {
	return open(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY)
}

func (osFS) Append(path string) (File, error) { return open(path, os.O_APPEND|os.O_WRONLY) }

func open(path string, flags int) (File, error) {
	f, err := os.OpenFile(path, flags, 0o600)
	if err != nil {
		return nil, err // as an interface that is nil, unlike f
	}
	return f, nil
}

func (osFS) ReadDir(dir string) ([]fs.DirEntry, error) { return os.ReadDir(dir) }
func (osFS) ReadFile(path string) ([]byte, error)      { return os.ReadFile(path) }
func (osFS) Rename(from, to string) error              { return os.Rename(from, to) }
func (osFS) Remove(path string) error                  { return os.Remove(path) }
func (osFS) SyncDir(dir string) error                  { return syncDir(dir) }
