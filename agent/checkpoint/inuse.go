package checkpoint

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// InUse reports whether an agent is at work in dir now. The lock is looked at,
// and given back at once where it is free.
func InUse(dir string) (bool, error) {
	f, err := os.OpenFile(filepath.Join(dir, lockName), os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		_, err = os.Stat(dir)
		return false, err
	}
	if err != nil {
		return false, err
	}
	free, err := tryLock(f)
	if err != nil {
		err = fmt.Errorf("look at the lock of %s: %w", dir, err)
	}
	return err == nil && !free, errors.Join(err, f.Close())
}
