//go:build !windows

package shipper

import (
	"errors"
	"syscall"
)

// isReset tells whether the other end has reset a connection.
func isReset(err error) bool { return errors.Is(err, syscall.ECONNRESET) }
