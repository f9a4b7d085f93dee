package tailer

import (
	"strings"
	"time"
)

// Joiner decides which lines make one entry. It is safe for concurrent use:
// what it has to know of the lines before is in the state that it is handed.
type Joiner interface {
	// Join is asked for each line of a file in order, decoded, its newline taken
	// off; for a blank one only while an entry is open. state is 0 where no
	// entry is open, else what Join returned for the line before. joins reports
	// whether line belongs to the open entry; where none is open it begins one,
	// whatever joins says. next is the state after the line, as the first of its
	// own entry where it does not join; 0 says that the entry ends with it, so
	// that nothing is waited for.
	//
	// A line that does not join is not asked for again: what Join returned for it
	// with any state has to be what it would have returned with state 0.
	Join(state uint32, line []byte) (joins bool, next uint32)
}

const (
	defaultJoinLines = 2000
	defaultJoinWait  = 500 * time.Millisecond
	// joinRaw bounds the raw bytes of an entry, as a multiple of JoinBytes: they
	// are more than its text where it is in UTF-16, or has runs of NUL bytes.
	joinRaw = 4
)

// form is how the lines of an input become entries. It does not change.
type form struct {
	codec     *codec // nil: to be recognised for each file
	otherwise *codec // what a file is in where nothing is recognised
	joiner    Joiner // nil: each line is an entry
	joinLines int
	joinBytes int // of text
	joinWait  time.Duration
}

// newForm returns the form of an input whose defaults are filled in.
func newForm(in *Input) (form, error) {
	c, err := codecOf(in.Encoding)
	otherwise := utf8Codec
	if strings.HasPrefix(strings.ToLower(in.Encoding), "utf") { // UTF-16 of either order
		otherwise = utf16LECodec
	}
	return form{codec: c, otherwise: otherwise, joiner: in.Joiner, joinLines: in.JoinLines, joinBytes: in.JoinBytes, joinWait: in.JoinWait}, err
}

// plain reports whether each line is an entry as it stands in the file.
func (f *form) plain(d *decoder) bool { return f.joiner == nil && d.codec == utf8Codec }

// openEntry is what is known of the entry that is being made: it can still be
// added to, and has not been handed over. Its lines are looked at once.
type openEntry struct {
	lines      int // 0: there is none
	size       int // bytes of its text
	gap        int // blank lines after its last line: its own once another joins
	gapSize    int
	state      uint32 // the joiner's
	start, end int64  // raw range of its lines
	seen       int64  // end of the lines that were looked at
	flags      Flags
	over       bool // nothing can be added to it
	carried    bool // it began in the file before; end is 0 as long as this file adds nothing
}

// ownState is the joiner's state after a line as the first of an entry, once that
// is known.
type ownState struct {
	state uint32
	known bool
}

// add adds the line at the raw range [start,end) to the entry, or begins one
// with it. It returns false where the line belongs to none but its own: then the
// entry is to be handed over, and the line to be added to the next. text is cut
// to the limit already if flags have Truncated. own keeps what the joiner said to
// the line from the one call to the other.
func (f *form) add(e *openEntry, text []byte, start, end int64, flags Flags, own *ownState) bool {
	if e.lines == 0 {
		e.seen = end
		if flags&Truncated == 0 && blank(text) {
			return true
		}
		*e = openEntry{lines: 1, size: len(text), start: start, end: end, seen: end, flags: flags, over: f.joiner == nil || flags != 0}
		if !e.over {
			if !own.known {
				_, own.state = f.joiner.Join(0, text)
			}
			e.state = own.state
			e.over = e.state == 0
		}
		return true
	}
	joins, next := f.joiner.Join(e.state, text)
	if flags&Truncated == 0 && blank(text) {
		e.gap, e.gapSize, e.state, e.seen = e.gap+1, e.gapSize+1+len(text), next, end
		e.over = !joins || next == 0 || flags != 0 || f.full(e, 0, 0, end)
		return true
	}
	if !joins {
		own.state, own.known = next, true
		return false
	}
	if flags&Truncated != 0 || f.full(e, 1, 1+len(text), end) {
		e.flags |= Split
		return false
	}
	e.lines, e.size = e.lines+e.gap+1, e.size+e.gapSize+1+len(text)
	e.gap, e.gapSize = 0, 0
	e.state, e.end, e.seen, e.flags = next, end, end, e.flags|flags
	e.over = next == 0 || flags != 0
	return true
}

// full reports whether the entry would be over a limit with so many lines and
// bytes of text more.
func (f *form) full(e *openEntry, lines, size int, end int64) bool {
	return e.lines+e.gap+lines > f.joinLines || e.size+e.gapSize+size > f.joinBytes || end-e.start > joinRaw*int64(f.joinBytes)
}
