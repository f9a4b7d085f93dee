package parse

import "bytes"

// addTrimmed adds what stands between from and to, blanks apart.
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

// bracket takes what stands in brackets at l.i: a level, a thread, a logger, or
// something else.
func (l *layout) bracket() bool {
	from := l.i + 1
	end, words, dots := closing(l.b, l.i)
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
	case dots && isDotted(inside):
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
	return l.levelAt(next) || l.has[pieceLevel] && hasParts(l.b[next:nameEndAt(l.b, next)])
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
// away. words says that blanks are in it, dots that dots are.
func closing(b []byte, i int) (end int, words, dots bool) {
	depth := 0
	for end := i; end < len(b) && end < i+maxBracket; end++ {
		switch b[end] {
		case '[':
			depth++
		case ']':
			if depth--; depth == 0 {
				return end, words, dots
			}
		case ' ':
			words = true
		case '.':
			dots = true
		}
	}
	return -1, words, dots
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
