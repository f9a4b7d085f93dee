package agent

import "log/slog"

// reservedDescriptors are kept for what is not a log: connections to Kafka and
// to the admin server, the checkpoint, file system events, the runtime.
const reservedDescriptors = 24

// minOpenFiles is how many logs may be open at least, however few descriptors
// there are.
const minOpenFiles = 8

// openFiles returns how many logs may be open at a time: what the configuration
// says, as far as the system's limit of descriptors leaves room. Where logs took
// all of them, no connection to Kafka could be made.
func openFiles(configured int, log *slog.Logger) int {
	limit, ok := descriptorLimit()
	if !ok || limit >= uint64(configured)+reservedDescriptors {
		return configured
	}
	n := max(int(limit)-reservedDescriptors, minOpenFiles)
	log.Warn("fewer files are kept open than max_open_files says, and are read in turns: raise the limit of descriptors (LimitNOFILE, ulimit -n) [descriptors-few]",
		"open_files", n, "max_open_files", configured, "descriptors", limit)
	return min(n, configured)
}
