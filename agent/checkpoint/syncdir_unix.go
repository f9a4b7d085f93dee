//go:build !windows

package checkpoint

import (
	"errors"
	"os"
	"syscall"
)

// syncDir makes the names in dir durable: without it a power cut can bring back
// an old name, or lose a new one. Some network and user-space file systems
// cannot do it and answer EINVAL or ENOTSUP, at each attempt: nothing better is
// to be had there, and failing would mean never to save.
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
