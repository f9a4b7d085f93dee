package tailer

import (
	"bytes"
	"unicode/utf8"
)

// cut appends to dst the lines in data, whose first byte lies at raw offset
// base, and returns how many bytes they take. What follows the last newline is
// left for the next call. A line of more than limit bytes becomes a Truncated
// entry. Blank lines make no entry, but are consumed.
//
// Data of the entries aliases data, except where NUL bytes had to be taken out.
func cut(dst []Entry, data []byte, base int64, limit int) ([]Entry, int) {
	nul := bytes.IndexByte(data, 0) >= 0 // once for all lines: hardly any file has one
	done := 0
	for {
		n := bytes.IndexByte(data[done:], '\n')
		if n < 0 {
			return dst, done
		}
		line := data[done : done+n]
		start := base + int64(done)
		done += n + 1
		dst = appendLine(dst, line, start, base+int64(done), limit, 0, nul)
	}
}

// appendLine appends one line, its newline already taken off, unless it is
// blank.
func appendLine(dst []Entry, line []byte, start, end int64, limit int, flags Flags, nul bool) []Entry {
	line = withoutReturn(withoutMark(line, start))
	if nul {
		line = withoutNULRuns(nil, line)
	}
	return appendText(dst, line, start, end, limit, flags)
}

// appendText is appendLine for what is left of a line that has been decoded.
func appendText(dst []Entry, line []byte, start, end int64, limit int, flags Flags) []Entry {
	if flags&Truncated == 0 && blank(line) {
		return dst
	}
	if len(line) > limit {
		line = line[:runeBoundary(line, limit)]
		flags |= Truncated
	}
	return append(dst, Entry{Start: start, End: end, Data: line, Flags: flags})
}

// withoutReturn takes the carriage return off the end of a line.
func withoutReturn(line []byte) []byte {
	if n := len(line); n > 0 && line[n-1] == '\r' {
		return line[:n-1]
	}
	return line
}

// blank reports whether nothing but white space is in line.
func blank(line []byte) bool {
	for _, c := range line {
		if c != ' ' && c != '\t' && c != '\r' && c != '\v' && c != '\f' {
			return false
		}
	}
	return true
}

// runeBoundary returns the largest length up to limit that does not split a
// UTF-8 sequence; limit itself where the bytes are no UTF-8 anyway.
func runeBoundary(line []byte, limit int) int {
	for i := limit; i > limit-utf8.UTFMax && i > 0; i-- {
		if utf8.RuneStart(line[i]) {
			return i
		}
	}
	return limit
}

// withoutNULRuns takes out runs of two and more NUL bytes: the mark of a
// crashed host, or of a writer that allocates before it writes. A single NUL is
// kept, as somebody's data. line itself is not changed, since its raw bytes
// still have to prove the file's identity: what is left of it is appended to
// dst.
func withoutNULRuns(dst, line []byte) []byte {
	if !bytes.Contains(line, []byte{0, 0}) {
		return line
	}
	if dst == nil {
		dst = make([]byte, 0, len(line))
	}
	before := len(dst)
	for i := 0; i < len(line); {
		j := i
		for j < len(line) && line[j] == 0 {
			j++
		}
		switch j - i {
		case 0:
			dst = append(dst, line[i])
			i++
			continue
		case 1:
			dst = append(dst, 0)
		}
		i = j
	}
	return dst[before:]
}
