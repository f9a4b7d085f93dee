//go:build !windows

package tailer

import (
	"os"
	"syscall"
)

// fileKey is how the system tells files apart. It is a hint only: inode
// numbers are used again, and device numbers change with a reboot.
type fileKey struct{ dev, ino uint64 }

// keyOf returns the key of an open or stat'ed file.
func keyOf(_ *os.File, fi os.FileInfo) fileKey {
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		return fileKey{uint64(st.Dev), uint64(st.Ino)} //nolint:unconvert // the types differ between systems
	}
	return fileKey{}
}

// keyAt returns the key of the file that fi, from os.Stat(path), tells of.
func keyAt(_ string, fi os.FileInfo) (fileKey, error) { return keyOf(nil, fi), nil }

// links returns how many names the file has: 0 when it was deleted while open.
func links(_ *os.File, fi os.FileInfo) int {
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		return int(st.Nlink)
	}
	return 1
}
