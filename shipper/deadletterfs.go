package shipper

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// letterFS is what the dead letter file needs of a file system. There are two:
// the system's, and one that fails on demand, in tests.
type letterFS interface {
	OpenFile(path string, flag int) (letterFile, error)
	Rename(from, to string) error
	Remove(path string) error
	// SyncDir makes the names in a directory durable.
	SyncDir(dir string) error
}

// letterFile is a file of a letterFS.
type letterFile interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Stat() (fs.FileInfo, error)
	Chmod(fs.FileMode) error
	Sync() error
	Truncate(size int64) error
}

// osLetterFS is the system's file system.
type osLetterFS struct{}

func (osLetterFS) OpenFile(path string, flag int) (letterFile, error) {
	f, err := os.OpenFile(path, flag, 0o600)
	if err != nil {
		return nil, err // as an interface that is nil, unlike f
	}
	return f, nil
}

func (osLetterFS) Rename(from, to string) error { return os.Rename(from, to) }
func (osLetterFS) Remove(path string) error     { return os.Remove(path) }
func (osLetterFS) SyncDir(dir string) error     { return syncDir(dir) }

// errLetterBusy says that another process, a replay or the agent, is at the
// dead letter file at this moment.
var errLetterBusy = errors.New("another process is changing it")

// lockPath returns the file whose lock one has to hold to open the dead letter
// file at path. It is a file of its own because that one changes its name.
func lockPath(path string) string { return path + ".lock" }

// asidePath returns where a replay keeps the letters that it sends again.
func asidePath(path string) string {
	ext := filepath.Ext(path)
	return path[:len(path)-len(ext)] + ".replaying" + ext
}

// lockFile takes the lock at path. The error is errLetterBusy if another
// process, or another holder in this one, has it. Closing the file gives it back.
func lockFile(path string) (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	taken, err := tryLock(f)
	if err == nil && !taken {
		err = errLetterBusy
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
	}
	return f, nil
}
