//go:build unix && !linux

package agent

// diskOf is not told here.
func diskOf(string) (disk, bool) { return disk{}, false }

// watchLimit is nothing to be told of here.
func watchLimit() string { return "" }
