package parse

import "bytes"

// States of joining: which stream's line is open.
const (
	noneOpen uint32 = iota
	stdoutOpen
	stderrOpen
	criStdoutOpen // of PieceJoin, which tells the two forms apart
	criStderrOpen
	lastOpen = criStderrOpen
)

// DockerJoin decides which lines of Docker's json-file log carry one line of the
// container: those of one stream until one ends in a newline. It has the form
// that joining lines wants: state is 0 where nothing is open, joins says whether
// line belongs to what is open, next is the state after it.
func DockerJoin(state uint32, line []byte) (joins bool, next uint32) {
	p := dockerTail(line)
	return joined(state, p.stream, p.open)
}

// CRIJoin is DockerJoin for the log of containerd and CRI-O, where a tag says
// whether more follows.
func CRIJoin(state uint32, line []byte) (joins bool, next uint32) {
	stream, open := criTail(line)
	return joined(state, stream, open)
}

// PieceJoin is DockerJoin and CRIJoin for a file of which it is not known whether
// it is a container's log: piece says that the line has all marks of one, whole
// or not. If it has none, the other results say nothing.
func PieceJoin(state uint32, line []byte) (piece, joins bool, next uint32) {
	if bytes.HasPrefix(line, []byte(`{"log":"`)) {
		p := dockerTail(line)
		if !p.stamped {
			return false, false, noneOpen
		}
		joins, next = joined(state, p.stream, p.open)
		return true, joins, next
	}
	if !likeCRI(line) {
		return false, false, noneOpen
	}
	stream, open := criTail(line)
	if stream == noneOpen {
		return false, false, noneOpen
	}
	joins, next = joined(state, stream+criStdoutOpen-stdoutOpen, open)
	return true, joins, next
}

// likeCRI reports whether the second word of a line is that of CRI. It is asked
// for each line, and so before the time is looked at.
func likeCRI(line []byte) bool {
	const shortest, longest = len("2006-01-02T15:04:05Z"), len("2006-01-02T15:04:05.999999999+00:00")
	if len(line) < shortest+len(" stdout F") || line[10] != 'T' {
		return false
	}
	i := bytes.IndexByte(line[shortest:min(len(line), longest+1)], ' ')
	if i < 0 {
		return false
	}
	rest := line[shortest+i+1:]
	return bytes.HasPrefix(rest, []byte("stdout ")) || bytes.HasPrefix(rest, []byte("stderr "))
}

// IsPieceState reports whether PieceJoin returned this state with something open.
func IsPieceState(state uint32) bool { return state != noneOpen && state <= lastOpen }

func joined(state, stream uint32, open bool) (bool, uint32) {
	joins := state != noneOpen && state == stream
	if !open {
		stream = noneOpen
	}
	return joins, stream
}

// dockerEnd is what a line of Docker's says of the line that it carries.
type dockerEnd struct {
	stream  uint32
	open    bool // more of it follows
	stamped bool // it has a stream and a time, as all that Docker writes
}

// dockerTail returns a line's stream, and whether more of it follows.
func dockerTail(line []byte) dockerEnd {
	line = trim(line)
	s := scanner{b: line, i: 1}
	if len(line) == 0 || line[0] != '{' {
		return dockerEnd{}
	}
	end := dockerEnd{stream: stdoutOpen}
	streamed, timed := false, false
	for first := true; ; first = false {
		key, ok := s.key(first)
		if !ok {
			return dockerEnd{}
		}
		if key == nil {
			end.stamped = streamed && timed
			return end
		}
		value, ok := s.value()
		if !ok {
			return dockerEnd{}
		}
		switch string(key) {
		case `"log"`:
			end.open = value[0] == '"' && !endsInNewline(value)
		case `"stream"`:
			streamed = true
			if string(value) == `"stderr"` {
				end.stream = stderrOpen
			}
		case `"time"`:
			timed = true
		}
	}
}

// criTail returns a line's stream, and whether more of it follows.
func criTail(line []byte) (stream uint32, open bool) {
	l, ok := readCRI(line)
	switch {
	case !ok:
		return noneOpen, false
	case string(l.stream) == "stderr":
		return stderrOpen, l.open
	}
	return stdoutOpen, l.open
}
