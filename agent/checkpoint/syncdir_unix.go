//go:build !windows

package checkpoint

import (
	"errors"
	"os"
)

// syncDir makes the names in dir durable: without it a power cut can bring back
// an old name, or lose a new one.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
