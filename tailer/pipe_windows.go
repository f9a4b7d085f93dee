package tailer

import "os"

// pipeFlags are never used: no folder lists named pipes here.
const pipeFlags = os.O_RDONLY
