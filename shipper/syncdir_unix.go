//go:build !windows

package shipper

import (
	"errors"
	"os"
	"syscall"
)

// syncDir puts a new name in dir on disk. Some network and user-space file systems
// cannot, and answer EINVAL or ENOTSUP at each attempt: a dead letter that waited for
// that would wait for ever, and with it its file.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP) {
		err = nil
	}
	return errors.Join(err, d.Close())
}
