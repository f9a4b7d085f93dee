package checkpoint

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Holder reports whether a process uses the state directory, and which; pid is
// 0 where that is not known. As InUse, it takes the lock for an instant, in
// which nobody else can: ask a running agent first.
func Holder(dir string) (pid int, held bool, err error) {
	path := filepath.Join(dir, lockName)
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	defer f.Close()
	taken, err := tryLock(f)
	if err != nil || taken {
		return 0, false, err
	}
	return holder(path), true, nil
}

// SyncDir makes the names in a directory durable.
func SyncDir(dir string) error { return syncDir(dir) }
