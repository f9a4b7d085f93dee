//go:build unix

package shipper

import (
	"io/fs"
	"os"
)

// readableByAll reports whether others than owner and group may read a regular
// file, and its permissions.
func readableByAll(path string) (fs.FileMode, bool) {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() {
		return 0, false
	}
	mode := info.Mode().Perm()
	return mode, mode&0o004 != 0
}
