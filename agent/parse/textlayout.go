package parse

import "bytes"

// How much of an entry is looked at for what stands before its message.
const (
	maxPieces  = 18
	fullPieces = 12  // no more is looked for: one step adds three at most
	maxBracket = 256 // bytes
	maxName    = 96
)

// kind says what a piece of an entry is.
type kind uint8

const (
	pieceTime kind = iota
	pieceLevel
	piecePriority // of syslog
	piecePrefix   // what stands before the time
	pieceHost
	pieceProcess
	piecePID
	pieceThread
	pieceLogger
	pieceField // in brackets or between separators
	pieceKinds
)

// piece is a part of an entry that is not the message.
type piece struct {
	kind       kind
	start, end int32
}

// layout is how an entry is built: its pieces, in their order, and what remains.
// Between the pieces there is nothing but separators.
type layout struct {
	b       []byte // the first line
	pieces  [maxPieces]piece
	n       int
	has     [pieceKinds]bool
	level   severity
	exact   bool // the word for the level says no more than the level
	message int  // where it begins

	daemon   bool // the time has the layout that syslog daemons write
	repeated bool // the time is there twice, for machines and for people

	i    int  // what is read up to
	open bool // a bracket or quote that stands before the time is to be closed
}

func (l *layout) add(k kind, start, end int) {
	if l.n < maxPieces {
		l.pieces[l.n] = piece{k, int32(start), int32(end)}
		l.n++
	}
	l.has[k] = true
}

func (l *layout) text(p piece) []byte { return l.b[p.start:p.end] }

// read finds the pieces of an entry that begins with line. s is the time in it,
// nil where it has none.
func (l *layout) read(line []byte, s *sighting) {
	l.b, l.n, l.has, l.level, l.exact = line, 0, [pieceKinds]bool{}, noSeverity, false
	l.message, l.i, l.open, l.daemon, l.repeated = 0, 0, false, false, false
	switch {
	case s == nil:
		if !l.levelFirst() {
			return
		}
	case s.quoted:
		l.add(pieceTime, s.start, s.end)
		return // the message is the whole line
	default:
		l.around(s)
	}
	l.message = l.i
	if l.bars() {
		return
	}
	if s != nil {
		if l.postgres() {
			return
		}
		l.mysql()
		l.sender()
	}
	for l.n < fullPieces && l.next() {
	}
	if l.level == noSeverity {
		l.lookAhead()
	}
}

// around takes the time, and what belongs to it on both sides.
func (l *layout) around(s *sighting) {
	if s.start > 0 {
		l.prefix(s.start)
	}
	l.add(pieceTime, s.start, s.end)
	l.i = s.end
	l.daemon = s.shape == monthDay
	if s.start == 0 {
		return
	}
	l.closeTime()
	if s.start == 1 && l.has[pieceLevel] {
		l.source()
	}
	if s.shape == epoch {
		l.secondTime()
	}
}

// prefix takes what stands before the time, which begins at at.
func (l *layout) prefix(at int) {
	start, end := 0, at
	for start < end && (l.b[start] == ' ' || l.b[start] == '\t') {
		start++
	}
	if start < end && l.b[start] == '<' {
		if v, n := smallNumber(l.b[start+1 : end]); n > 0 && v < priorities && l.b[start+1+n] == '>' {
			l.add(piecePriority, start+1, start+1+n)
			l.setLevel(severityOfPriority(v), true)
			start += n + 2
		}
	}
	for end > start && (l.b[end-1] == ' ' || opensTime(l.b[end-1])) {
		end--
		l.open = l.open || l.b[end] != ' '
	}
	if start == end {
		return
	}
	from, to := start, end
	for from < to && opensTime(l.b[from]) {
		from++
	}
	for to > from && endsLevel(l.b[to-1]) {
		to--
	}
	if v, exact := severityOf(l.b[from:to]); v != noSeverity {
		l.setLevel(v, exact)
		l.add(pieceLevel, from, to)
		return
	}
	if to == from+1 && severityOfLetter(l.b[from]) != noSeverity {
		l.setLevel(severityOfLetter(l.b[from]), true)
		if !l.open { // Google's; Ruby's word for the level is still to come
			l.add(pieceLevel, from, to)
			return
		}
	}
	l.add(piecePrefix, start, end)
}

func endsLevel(c byte) bool {
	return c == ']' || c == ')' || c == '>' || c == ':' || c == ',' || c == '|' || c == ' ' || c == '\t'
}

func opensTime(c byte) bool {
	return c == '[' || c == '(' || c == '"' || c == '\'' || c == '<' || c == '{'
}

// smallNumber returns the number of up to three digits at the beginning of b,
// which has to end before b does.
func smallNumber(b []byte) (v, n int) {
	for n < len(b) && n < 3 && b[n]-'0' <= 9 {
		v = v*10 + int(b[n]-'0')
		n++
	}
	if n == len(b) {
		return 0, 0
	}
	return v, n
}

func (l *layout) setLevel(v severity, exact bool) { l.level, l.exact = v, exact }

// closeTime moves over what closes the brackets or quotes around the time.
func (l *layout) closeTime() {
	for l.i < len(l.b) {
		switch l.b[l.i] {
		case ']', ')', '"', '\'', '>', '}':
			l.i++
			l.open = false
		default:
			return
		}
	}
}

// secondTime looks for a time behind one that was given in seconds since 1970:
// such logs repeat it for people to read.
func (l *layout) secondTime() {
	var s sighting
	rest := l.b[l.i:]
	if len(rest) == 0 || rest[0] != ' ' || !s.find(rest[1:]) || s.quoted || s.shape != fullDate && s.shape != monthDay {
		return
	}
	l.daemon, l.repeated = s.shape == monthDay, true
	from := l.i + 1
	l.i = from + s.end
	l.add(pieceField, from, l.i)
}

// source takes what Google's loggers write behind the time: the thread, and the
// place in the source, which ends with a bracket.
func (l *layout) source() {
	from := l.i
	for from < len(l.b) && l.b[from] == ' ' {
		from++
	}
	end := from + allDigits(l.b[from:])
	n := bytes.IndexByte(l.b[end:min(len(l.b), end+maxName)], ']')
	if end == from || n < 2 || l.b[end] != ' ' {
		return
	}
	l.add(pieceThread, from, end)
	l.add(pieceField, end+1, end+n)
	l.i = end + n + 1
	l.message = l.afterSep(l.i)
}

// levelFirst takes the level that an entry without a time begins with.
func (l *layout) levelFirst() bool {
	if len(l.b) == 0 {
		return false
	}
	switch c := l.b[0]; {
	case c == '<':
		v, n := smallNumber(l.b[1:])
		if n > 0 && v < priorities && l.b[1+n] == '>' {
			l.add(piecePriority, 1, 1+n)
			l.setLevel(severityOfPriority(v), true)
			l.i = n + 2
			return true
		}
		return l.bracketLevel('>')
	case c == '[':
		return l.bracketLevel(']')
	case c == '(':
		return l.bracketLevel(')')
	case c == '*':
		return l.bracketLevel('*')
	case c >= 'A' && c <= 'Z':
		return l.levelSlash() || l.levelWord()
	}
	return false
}

// sepEnd returns the end of the separators at i: blanks, with one mark among
// them at most.
func (l *layout) sepEnd(i int) int {
	b := l.b
	for i < len(b) && (b[i] == ' ' || b[i] == '\t') {
		i++
	}
	if i >= len(b) {
		return i
	}
	switch c := b[i]; {
	case c == '-':
		end := i + 1
		for end < len(b) && b[end] == '-' && end < i+3 {
			end++
		}
		if end < len(b) && b[end] != ' ' {
			return i
		}
		i = end
	case c == ':' && i+1 < len(b) && b[i+1] == ':':
		return i
	case c == ':' || c == '|' || c == ',' || c == ';':
		i++
	case c == ']' && l.open:
		i++
	}
	for i < len(b) && (b[i] == ' ' || b[i] == '\t') {
		i++
	}
	return i
}

// next takes one more piece, if there is one, and moves the beginning of the
// message behind it.
func (l *layout) next() bool {
	b, before := l.b, l.i
	i := l.sepEnd(before)
	l.i, l.message = i, i
	if i >= len(b) {
		return false
	}
	closed := l.open && l.closed(before, i)
	apart := i > before || before > 0 && (!isWord(b[before-1]) || !isWord(b[before]))
	if apart && l.take(b[i], before) {
		l.message = l.i
		l.open = l.open && !closed
		return true
	}
	if b[i-1] == ' ' || b[i-1] == '-' {
		l.message = l.textStart(before, i)
		l.i = l.message
	}
	return false
}

// textStart returns where the message begins when no piece follows the
// separators from start to end: behind them, unless they are a row of dashes
// that belongs to the text.
func (l *layout) textStart(start, end int) int {
	for start < end && (l.b[start] == ' ' || l.b[start] == '\t') {
		start++
	}
	if end-start > 1 && l.b[start] == '-' && l.b[start+1] == '-' && !l.has[pieceLevel] {
		return start // "--- last message repeated"
	}
	return end
}

// closed reports whether the separators from start to end close a bracket.
func (l *layout) closed(start, end int) bool {
	return bytes.IndexByte(l.b[start:end], ']') >= 0
}

// afterSep returns where a message begins behind a piece that ends at i.
func (l *layout) afterSep(i int) int { return l.textStart(i, l.sepEnd(i)) }

// take takes the piece at l.i, which begins with c; the separators before it
// begin at before.
func (l *layout) take(c byte, before int) bool {
	switch {
	case c == '[':
		return l.bracket()
	case c == '(':
		return l.parenthesis()
	case c == '<' && l.level == noSeverity:
		return l.bracketLevel('>')
	case c == '*' && l.level == noSeverity:
		return l.bracketLevel('*')
	case c == '#' && l.open:
		return l.number(1)
	case c-'0' <= 9:
		return l.number(0)
	case c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_' || c == '$':
		return l.levelWord() || l.levelLetter() || l.levelSlash() || l.name(before)
	}
	return false
}
