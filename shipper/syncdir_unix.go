//go:build !windows

package shipper

import (
	"errors"
	"os"
)

// syncDir puts a new name in dir on disk.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
