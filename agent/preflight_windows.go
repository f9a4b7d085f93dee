package agent

import (
	"os"

	"golang.org/x/sys/windows"
)

// diskOf returns what a folder is on.
func diskOf(dir string) (disk, bool) {
	name, err := windows.UTF16PtrFromString(dir)
	if err != nil {
		return disk{}, false
	}
	var d disk
	if err := windows.GetDiskFreeSpaceEx(name, &d.free, nil, nil); err != nil {
		return disk{}, false
	}
	return d, true
}

// watchLimit is nothing to be told of here.
func watchLimit() string { return "" }

// ownerOf is not told: access lists decide.
func ownerOf(string) string { return "" }

// isRoot is for systems with a user who may do everything.
func isRoot() bool { return false }

// mayMake tells whether a folder can be made in dir, as far as can be told without.
func mayMake(dir string) error {
	_, err := os.ReadDir(dir)
	return err
}
