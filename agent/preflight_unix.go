//go:build unix

package agent

import (
	"os"
	"os/user"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// ownerOf returns whose a file is, "" where that cannot be told.
func ownerOf(path string) string {
	fi, err := os.Stat(path)
	if err != nil {
		return ""
	}
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		return ""
	}
	id := strconv.FormatUint(uint64(st.Uid), 10)
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return id
}

// isRoot tells whether this user may do everything.
func isRoot() bool { return os.Geteuid() == 0 }

// mayMake tells whether a folder can be made in dir.
func mayMake(dir string) error {
	return unix.Access(dir, unix.W_OK|unix.X_OK)
}
