package parse

import "bytes"

// bracketLevel takes a level in brackets, whose end is closing.
func (l *layout) bracketLevel(closing byte) bool {
	if l.has[pieceLevel] {
		return false
	}
	from := l.i + 1
	n := bytes.IndexByte(l.b[from:min(len(l.b), from+longestSeverity+4)], closing)
	if n < 0 {
		return false
	}
	return l.levelIn(from, from+n, from+n+1)
}

// levelIn takes the level that stands between from and to, blanks apart.
func (l *layout) levelIn(from, to, end int) bool {
	for from < to && l.b[from] == ' ' {
		from++
	}
	for to > from && l.b[to-1] == ' ' {
		to--
	}
	v, exact := severityOf(l.b[from:to])
	if v == noSeverity && to == from+1 {
		v, exact = severityOfLetter(l.b[from]), true
	}
	if v == noSeverity || l.has[pieceLevel] {
		return false
	}
	l.setLevel(v, exact)
	l.add(pieceLevel, from, to)
	l.i = end
	return true
}

// levelWord takes the level whose word is at l.i. A word in small letters that
// may begin a sentence is the level, but stays in the message.
func (l *layout) levelWord() bool {
	if l.has[pieceLevel] {
		return false
	}
	b, from := l.b, l.i
	end := from
	for end < len(b) && end <= from+longestSeverity && (b[end]|0x20 >= 'a' && b[end]|0x20 <= 'z') {
		end++
	}
	v, exact := severityOf(b[from:end])
	if v == noSeverity || end < len(b) && (isWord(b[end]) || b[end] == '.' || b[end] == '=' || b[end] == '\'') {
		return false
	}
	if end < len(b) && b[end] == '-' && end+1 < len(b) && b[end+1] != ' ' {
		return false
	}
	if b[from+1] >= 'a' && end < len(b) && b[end] == ' ' && l.sentence(end) {
		if exact && l.level == noSeverity {
			l.setLevel(v, true)
		}
		return false
	}
	l.setLevel(v, exact)
	l.add(pieceLevel, from, end)
	l.i = end
	if end < len(b) && b[end] == '/' { // INFO/MainProcess
		l.i++
		l.processUpTo(']')
	}
	return true
}

// sentence reports whether the text goes on behind a word as one that begins
// with it: one blank and more words.
func (l *layout) sentence(end int) bool {
	b := l.b
	return end+1 < len(b) && (isWord(b[end+1]) && b[l.i] >= 'a' && b[l.i] != 'i' && b[l.i] != 'd' || isWord(b[end+1]) && b[l.i] < 'a' && b[end+1] >= 'a')
}

func (l *layout) processUpTo(closing byte) {
	n := bytes.IndexByte(l.b[l.i:min(len(l.b), l.i+maxName)], closing)
	if n > 0 && !l.has[pieceProcess] {
		l.add(pieceProcess, l.i, l.i+n)
		l.i += n
	}
}

// levelLetter takes a level of one letter and the name behind it, as Android
// writes them behind the numbers of the process and the thread.
func (l *layout) levelLetter() bool {
	b, i := l.b, l.i
	if l.has[pieceLevel] || !l.has[piecePID] || i+2 >= len(b) || b[i+1] != ' ' || severityOfLetter(b[i]) == noSeverity {
		return false
	}
	l.setLevel(severityOfLetter(b[i]), true)
	l.add(pieceLevel, i, i+1)
	l.i = i + 2
	if n := bytes.Index(b[l.i:min(len(b), l.i+maxName)], []byte(":")); n > 0 {
		l.addTrimmed(pieceLogger, l.i, l.i+n)
		l.i += n + 1
	}
	return true
}

// levelSlash takes what Android writes in its brief form: I/Name(  123): …
func (l *layout) levelSlash() bool {
	b, i := l.b, l.i
	if l.has[pieceLevel] || i+3 >= len(b) || b[i+1] != '/' || severityOfLetter(b[i]) == noSeverity {
		return false
	}
	end := i + 2
	for end < len(b) && end < i+maxName && b[end] != '(' && b[end] != ':' {
		end++
	}
	if end >= len(b) || end == i+2 || b[end] != '(' && b[end] != ':' {
		return false
	}
	l.setLevel(severityOfLetter(b[i]), true)
	l.add(pieceLevel, i, i+1)
	l.addTrimmed(pieceLogger, i+2, end)
	l.i = end + 1
	if b[end] == ':' {
		return true
	}
	if n := bytes.IndexByte(b[l.i:min(len(b), l.i+16)], ')'); n > 0 && isNumber(bytes.TrimSpace(b[l.i:l.i+n])) {
		l.addTrimmed(piecePID, l.i, l.i+n)
		l.i += n + 1
	} else {
		l.i--
	}
	return true
}

func (l *layout) addTrimmed(k kind, from, to int) {
	for from < to && l.b[from] == ' ' {
		from++
	}
	for to > from && l.b[to-1] == ' ' {
		to--
	}
	if from < to {
		l.add(k, from, to)
	}
}

func isNumber(b []byte) bool { return len(b) > 0 && allDigits(b) == len(b) }

// number takes the number of a process or a thread at l.i, behind skip bytes. It
// is one if more numbers or a level follow, or a mark that says so.
func (l *layout) number(skip int) bool {
	from := l.i + skip
	end := from + allDigits(l.b[from:])
	if end == from || end-from > 10 || end >= len(l.b) {
		return false
	}
	if skip == 0 && !l.introduces(end) {
		return false
	}
	k := piecePID
	if l.has[k] {
		k = pieceThread
	}
	if l.has[k] {
		return false
	}
	l.add(k, from, end)
	l.i = end
	return true
}

// introduces reports whether what follows the number that ends at end shows that
// it is that of a process.
func (l *layout) introduces(end int) bool {
	b := l.b
	if b[end] != ' ' {
		return false
	}
	i := end
	for i < len(b) && b[i] == ' ' {
		i++
	}
	if l.has[pieceLevel] { // Spring: INFO 123 --- [main]
		return i+4 < len(b) && string(b[i:i+4]) == "--- "
	}
	if n := allDigits(b[i:]); n > 0 && n <= 10 && !l.has[piecePID] { // Android
		for i += n; i < len(b) && b[i] == ' '; {
			i++
		}
		return i+1 < len(b) && b[i+1] == ' ' && severityOfLetter(b[i]) != noSeverity
	}
	return i+1 < len(b) && l.has[piecePID] && b[i+1] == ' ' && severityOfLetter(b[i]) != noSeverity || l.levelAt(i)
}

// levelAt reports whether a level in capital letters, or in brackets, is at i.
func (l *layout) levelAt(i int) bool {
	b := l.b
	if i < len(b) && (b[i] == '[' || b[i] == '<' || b[i] == '*') {
		i++
	}
	end := i
	for end < len(b) && end <= i+longestSeverity && b[end] >= 'A' && b[end] <= 'Z' {
		end++
	}
	v, _ := severityOf(b[i:end])
	return v != noSeverity && (end == len(b) || !isWord(b[end]))
}

// bracket takes what stands in brackets at l.i: a level, a thread, a logger, or
// something else.
func (l *layout) bracket() bool {
	from := l.i + 1
	end, words := closing(l.b, l.i)
	if end < 0 {
		return false
	}
	if !l.has[pieceLevel] && end-from <= longestSeverity+4 && l.levelIn(from, end, end+1) {
		return true
	}
	inside := l.b[from:end]
	if words {
		inside = bytes.Trim(inside, " ")
	}
	k := pieceField
	switch {
	case len(inside) == 0 || !l.has[pieceLevel] && !l.has[pieceTime]:
		return false
	case l.has[pieceLogger]:
	case isDotted(inside):
		k = pieceLogger
	case !l.has[pieceThread] && l.isThread(inside, end+1, words):
		k = pieceThread
	}
	if l.level == noSeverity && k == pieceField {
		l.levelOfModule(inside)
	}
	l.addTrimmed(k, from, end)
	l.i = end + 1
	return true
}

// levelOfModule sets the level where Apache writes it, [core:warn].
func (l *layout) levelOfModule(inside []byte) {
	if colon := bytes.LastIndexByte(inside, ':'); colon > 0 {
		if v, _ := severityOf(inside[colon+1:]); v != noSeverity {
			l.setLevel(v, true)
		}
	}
}

// isThread reports whether what stood in brackets before i is the name of a
// thread: one word beside a level, or several before a level or a logger.
func (l *layout) isThread(inside []byte, i int, words bool) bool {
	if !hasLetterOrNumber(inside) {
		return false
	}
	if l.has[pieceLevel] && !words {
		return true
	}
	next := l.sepEnd(i)
	return l.levelAt(next) || l.has[pieceLevel] && isDotted(l.b[next:nameEndAt(l.b, next)])
}

// hasLetterOrNumber reports whether b may be the name of a thread: a number, or
// something with a letter.
func hasLetterOrNumber(b []byte) bool {
	for _, c := range b {
		if kindOf[c]&(lowerByte|upperByte) != 0 {
			return true
		}
	}
	return isNumber(b)
}

// closing returns where the bracket at i is closed, -1 if it is not, or too far
// away. words says that blanks are in it.
func closing(b []byte, i int) (end int, words bool) {
	depth := 0
	for end := i; end < len(b) && end < i+maxBracket; end++ {
		switch b[end] {
		case '[':
			depth++
		case ']':
			if depth--; depth == 0 {
				return end, words
			}
		case ' ':
			words = true
		}
	}
	return -1, words
}

// parenthesis takes a thread in parentheses.
func (l *layout) parenthesis() bool {
	from := l.i + 1
	n := bytes.IndexByte(l.b[from:min(len(l.b), from+maxName)], ')')
	if n <= 0 || l.has[pieceThread] || l.has[pieceProcess] || !l.has[pieceLevel] || !isNumber(l.b[from:from+n]) && !l.has[pieceLogger] {
		return false
	}
	l.add(pieceThread, from, from+n)
	l.i = from + n + 1
	return true
}

// nameEndAt returns the end of the name at i, as loggers and processes have one.
func nameEndAt(b []byte, i int) int {
	end := i
	for end < len(b) && end < i+maxName && (kindOf[b[end]]&(lowerByte|upperByte|digitByte) != 0 || b[end] == '.' || b[end] == '_' || b[end] == '$' || b[end] == '-') {
		end++
	}
	return end
}

// isDotted reports whether b is a name of several parts, such as a class has.
func isDotted(b []byte) bool {
	if len(b) == 0 || len(b) > maxName || b[0]|0x20 < 'a' || b[0]|0x20 > 'z' {
		return false
	}
	dot := 0
	for i, c := range b {
		switch {
		case c == '.':
			dot = i
		case kindOf[c]&(lowerByte|upperByte|digitByte) == 0 && c != '_' && c != '$' && c != '-':
			return false
		}
	}
	if dot == 0 || dot+1 == len(b) {
		return false
	}
	switch string(b[dot+1:]) { // hosts and files
	case "com", "org", "net", "local", "log", "txt", "xml", "json", "yaml", "yml", "conf", "dll", "zip", "gz", "html":
		return false
	}
	return true
}

// name takes the logger or the process whose name is at l.i; the separators
// before it begin at before.
func (l *layout) name(before int) bool {
	b, from := l.b, l.i
	end := nameEndAt(b, from)
	if end >= len(b) || l.has[pieceLogger] {
		return false
	}
	name := b[from:end]
	if len(name) > 4 && string(name[len(name)-4:]) == ".exe" && !l.has[pieceProcess] {
		l.add(pieceProcess, from, end)
		l.i = end
		return true
	}
	if !l.isLogger(name, end, before) {
		return false
	}
	l.add(pieceLogger, from, end)
	l.i = end
	return true
}

// isLogger reports whether the name that ends at end is that of a logger, by
// what it looks like and what stands around it.
func (l *layout) isLogger(name []byte, end, before int) bool {
	b := l.b
	rest := b[end:]
	ends := func(mark string) bool { return len(rest) >= len(mark) && string(rest[:len(mark)]) == mark }
	if !l.has[pieceLevel] { // Python: - name - LEVEL -
		return (ends(" - ") || ends(":") || ends(" | ")) && l.levelAt(l.sepEnd(end))
	}
	if b[before] == ':' && before+1 == l.i && ends(":") { // Python: LEVEL:name:message
		return true
	}
	if ends("   ") { // columns
		return true
	}
	marked := ends(": ") || ends(" - ") || ends(" : ") || ends(" -- ") || len(rest) == 1 && rest[0] == ':'
	if isDotted(name) {
		return marked || ends(" [") || ends(" (")
	}
	return marked && (l.has[pieceThread] || ends(" : ")) && !ends(": ")
}

// sender takes the host and the process that a syslog daemon writes behind the
// time: host name[123]: …
func (l *layout) sender() {
	b, i := l.b, l.i
	if i+1 >= len(b) || b[i] != ' ' || b[i+1] == ' ' || b[i+1] == '[' || l.has[pieceLevel] {
		return
	}
	host := i + 1
	hostEnd := wordEnd(b, host)
	if hostEnd == host || hostEnd+1 >= len(b) || b[hostEnd] != ' ' || b[hostEnd-1] == ':' || b[hostEnd+1] == '[' {
		return
	}
	process := hostEnd + 1
	end := wordEnd(b, process)
	if end >= len(b) && (end == process || b[end-1] != ':') || b[process] == '-' {
		return
	}
	name, pid, pidEnd := l.processName(process, end)
	if name == process || pid == 0 && !l.daemon {
		return
	}
	l.add(pieceHost, host, hostEnd)
	l.add(pieceProcess, process, name)
	if pid > 0 {
		l.add(piecePID, pid, pidEnd)
	}
	l.i = end
	if b[end-1] == ':' {
		l.i--
	}
	l.message = l.afterSep(l.i)
}

// processName splits name[123]: into its name and its number, where pid is 0 if
// there is none; name is process if it is neither.
func (l *layout) processName(process, end int) (name, pid, pidEnd int) {
	b := l.b
	colon := b[end-1] == ':'
	if colon {
		end--
	}
	if end > process+2 && b[end-1] == ']' {
		open := bytes.LastIndexByte(b[process:end], '[')
		if open > 0 && isNumber(b[process+open+1:end-1]) {
			return process + open, process + open + 1, end - 1
		}
	}
	if !colon || b[process]-'0' <= 9 {
		return process, 0, 0
	}
	return end, 0, 0
}

// wordEnd returns the end of the word at i.
func wordEnd(b []byte, i int) int {
	end := i
	for end < len(b) && end < i+maxName && b[end] != ' ' && b[end] != '\t' {
		end++
	}
	return end
}

// bars takes what stands between bars or tabs, where the time is followed by
// one: a level, numbers and names without blanks. The last is the message.
func (l *layout) bars() bool {
	b, i := l.b, l.i
	for i < len(b) && b[i] == ' ' {
		i++
	}
	if i >= len(b) || b[i] != '|' && b[i] != '\t' {
		return false
	}
	bar := b[i]
	for i++; l.n < fullPieces; {
		n := bytes.IndexByte(b[i:min(len(b), i+maxBracket)], bar)
		if n < 0 || !l.segment(i, i+n) {
			break
		}
		i += n + 1
	}
	for i < len(b) && b[i] == ' ' {
		i++
	}
	l.i, l.message = i, i
	return true
}

// segment takes one of them, if it is not part of the message yet.
func (l *layout) segment(from, to int) bool {
	for from < to && l.b[from] == ' ' {
		from++
	}
	for to > from && l.b[to-1] == ' ' {
		to--
	}
	text := l.b[from:to]
	switch {
	case len(text) == 0:
		return true
	case bytes.IndexByte(text, ' ') >= 0:
		return false
	case l.levelIn(from, to, l.i):
		return true
	case l.has[pieceLogger] && (l.has[pieceLevel] || l.has[piecePID]):
		return false
	case isNumber(text) && !l.has[piecePID]:
		l.add(piecePID, from, to)
	case !l.has[pieceLogger] && nameEndAt(l.b[:to], from) == to && !isNumber(text):
		l.add(pieceLogger, from, to)
	default:
		l.add(pieceField, from, to)
	}
	return true
}

// lookAhead sets the level where one in capital letters stands behind nothing
// but names in capital letters and numbers. It is taken where the entry repeats
// its time, as the logs of large machines do.
func (l *layout) lookAhead() {
	b := l.b
	from := l.message
	for i, n := from, 0; n < 6 && i < len(b); n++ {
		if l.levelAt(i) {
			end := i
			for end < len(b) && b[end] >= 'A' && b[end] <= 'Z' {
				end++
			}
			v, exact := severityOf(b[i:end])
			if l.repeated && from < i {
				l.addTrimmed(pieceField, from, i)
				l.add(pieceLevel, i, end)
				l.setLevel(v, exact)
				l.message = l.afterSep(end)
			} else if exact {
				l.setLevel(v, true)
			}
			return
		}
		for ; i < len(b) && b[i] != ' '; i++ {
			if kindOf[b[i]] == lowerByte {
				return
			}
		}
		for i < len(b) && b[i] == ' ' {
			i++
		}
	}
}
