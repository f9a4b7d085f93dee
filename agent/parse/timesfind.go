package parse

import "bytes"

// How far from the beginning of an entry a time is looked for.
const (
	findTokens = 6
	findBytes  = 192
)

// sighting is a time found in an entry.
type sighting struct {
	parts
	start, end int
	quoted     bool // words of a sentence stand before it
	unquoted   bool // set before: such a time is not looked for
}

// find looks for a time at or near the beginning of b. Before it may stand a
// level, a priority, a number, or names of machines and parts; behind words of
// a sentence only a time with its date counts.
func (s *sighting) find(b []byte) bool {
	if n, ok := s.read(b); ok {
		s.start, s.end = 0, n
		return true
	}
	if n := s.readGlog(b); n > 0 {
		s.start, s.end = 1, n
		return true
	}
	limit := min(len(b), findBytes)
	if n := bytes.IndexByte(b[:limit], '\n'); n >= 0 {
		limit = n
	}
	var before tokens
	for i := 0; before.n < findTokens && i < limit; {
		if c := b[i]; delimits(c) || c == '*' || c == '.' {
			i++
			continue
		}
		if before.n > 0 || i > 0 {
			s.parts = parts{}
			if n, ok := s.read(b[i:]); ok && before.admit(s.shape) && !(s.unquoted && before.plain > 0 && s.shape != epoch) {
				s.start, s.end, s.quoted = i, i+n, before.plain > 0
				return true
			}
		}
		n := before.add(b[i:limit])
		if n == 0 || s.unquoted && before.plain > 0 && !before.numbered {
			return false
		}
		i += n
	}
	return false
}

// readGlog reads the beginning of a line as Google's loggers write it, a letter
// for the level and the month, the day and the time: I0102 15:04:05.678901. It
// returns where it ends, 0 if it is not there.
func (s *sighting) readGlog(b []byte) int {
	if len(b) < 14 || b[5] != ' ' || b[8] != ':' || severityOfLetter(b[0]) == noSeverity {
		return 0
	}
	month, day := digits2(b, 1), digits2(b, 3)
	if month-1 > 11 || day-1 > 30 {
		return 0
	}
	s.shape, s.d = monthDay, [3]int16{int16(month), int16(day)}
	n, ok := s.readClock(b, 5)
	if !ok {
		s.parts = parts{}
		return 0
	}
	return n
}

// tokens are what stands before a time.
type tokens struct {
	n       int
	plain   int  // words of a sentence
	named   bool // there are others than levels and numbers
	letters bool // the first is one of the words
	// numbered: the first is a number, as that of an event: seconds may follow
	// words then, 433490 node-60 node status 1145552216 1 not responding.
	numbered bool
}

// add takes the token at the beginning of b and returns its length; 0 says that
// no time can follow.
func (t *tokens) add(b []byte) int {
	n, kinds := 0, byte(0)
	for n < len(b) {
		k := kindOf[b[n]]
		if k == delimiterByte || b[n] == ':' && kinds&^(upperByte|lowerByte) == 0 {
			break
		}
		kinds |= k
		n++
	}
	if n == 0 {
		n = 1 // a colon
	}
	t.numbered = t.numbered || t.n == 0 && kinds == digitByte
	switch l, _ := severityOf(b[:n]); {
	case l != noSeverity:
	case kinds&lowerByte != 0 && kinds&(digitByte|innerByte) == 0 || n < len(b) && b[n-1] == ':' && kinds&lowerByte != 0:
		t.plain++
		t.letters = t.letters || t.n == 0
	case kinds&(upperByte|lowerByte|innerByte) != 0:
		t.named = true
	}
	t.n++
	if t.letters && t.n > 1 {
		return 0
	}
	return n
}

// admit reports whether a time of this shape counts behind the tokens.
func (t *tokens) admit(s shape) bool {
	switch s {
	case noDate:
		return t.plain == 0 && !t.named
	case pairDate, shortYears:
		return t.plain == 0
	case epoch:
		return !t.letters
	}
	return true
}

// The kinds of bytes in a token.
const (
	lowerByte byte = 1 << iota
	upperByte
	digitByte
	innerByte // joins the parts of a name
	otherByte
	delimiterByte
)

var kindOf = byteKinds() //nolint:gochecknoglobals // a constant table

func byteKinds() (k [256]byte) {
	for i := range k {
		switch c := byte(i); {
		case c >= 'a' && c <= 'z', c >= 0x80:
			k[i] = lowerByte
		case c >= 'A' && c <= 'Z':
			k[i] = upperByte
		case c-'0' <= 9:
			k[i] = digitByte
		case c == '.' || c == '_' || c == '-' || c == '/' || c == '@' || c == '$' || c == '#':
			k[i] = innerByte
		case delimits(c):
			k[i] = delimiterByte
		default:
			k[i] = otherByte
		}
	}
	return k
}

func delimits(c byte) bool {
	switch c {
	case ' ', '\t', '|', ',', ';', '=', '[', ']', '(', ')', '<', '>', '"', '\'', '\n', '\r':
		return true
	}
	return false
}

// BeginsEntry reports whether a line begins as an entry of a log does: with a
// time, or with what may stand before it (a level, a priority, the name of a
// machine) and a time, or with a brace. A line that begins with white space
// never does. It allocates nothing.
func BeginsEntry(line []byte) bool {
	if len(line) == 0 {
		return false
	}
	switch c := line[0]; {
	case c == ' ' || c == '\t':
		return false
	case c == '{':
		return true
	case c == 0xEF:
		line = withoutBOM(line)
	}
	s := sighting{unquoted: true}
	return s.find(line) && !goesOn(line, s.end)
}
