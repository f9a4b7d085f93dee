package agent

import (
	"os"

	"github.com/nxadm/tail"
)

// openShared opens a log file for reading so that its application can still
// rename, truncate and delete it.
func openShared(path string) (*os.File, error) { return tail.OpenFile(path) }
