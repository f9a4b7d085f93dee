package tailer

import (
	"os"

	"github.com/nxadm/tail"
)

// openShared opens a log file for reading so that its application can still
// rename, truncate and delete it (FILE_SHARE_READ|WRITE|DELETE).
func openShared(path string) (*os.File, error) { return tail.OpenFile(path) }
