package tailer

import (
	"os"
	"strings"
	"time"

	"github.com/nxadm/tail"
)

// heldNames says that a file which is deleted while it is open keeps its name
// until it is closed, and that nobody can make another of that name before. So it
// is closed as soon as it is read to its end, and quiet for a moment.
const heldNames = true

// deletedWait is how long a deleted file stays open after its last byte.
const deletedWait = 500 * time.Millisecond

// openShared opens a log file for reading so that its application can still
// rename, truncate and delete it (FILE_SHARE_READ|WRITE|DELETE).
func openShared(path string) (*os.File, error) { return tail.OpenFile(path) }

// foldCase returns what is compared of a path: here the case of letters is kept,
// but makes no other file.
func foldCase(path string) string { return strings.ToLower(path) }
