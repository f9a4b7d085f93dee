package tailer

// Joiner decides which lines make one entry. It is safe for concurrent use:
// what it has to know of the lines before is in the state that it is handed.
type Joiner interface {
	// Join is asked for each line of a file in order, its newline taken off.
	// state is 0 where no entry is open, else what Join returned for the line
	// before. joins reports whether line belongs to the open entry; where none
	// is open it begins one, whatever joins says. next is the state after the
	// line; 0 says that the entry ends with it, so that nothing is waited for.
	Join(state uint32, line []byte) (joins bool, next uint32)
}
