package shipper

import (
	"errors"

	"golang.org/x/sys/windows"
)

// isReset tells whether the other end has reset a connection.
func isReset(err error) bool { return errors.Is(err, windows.WSAECONNRESET) }
