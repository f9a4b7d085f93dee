//go:build !linux

package tailer

// eventsAreTold is false where it is not known that events tell of all changes:
// Windows, for one, tells of what is written to an open file when it likes to.
func eventsAreTold(string) bool { return false }
