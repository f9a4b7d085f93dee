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
	if l.has[pieceLevel] || !mayBeSeverity(l.b[l.i]) {
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

// sentence reports whether the text goes on behind the word at l.i as one that
// begins with it, "error opening x" or "Error opening x": one blank and a word.
// Info and debug begin none.
func (l *layout) sentence(end int) bool {
	if end+1 >= len(l.b) || !isWord(l.b[end+1]) {
		return false
	}
	first := l.b[l.i]
	if first < 'a' {
		return l.b[end+1] >= 'a'
	}
	return first != 'i' && first != 'd'
}

// processUpTo takes the name of a process that ends with closing.
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

// levelOfModule sets the level where Apache writes it, [core:warn].
func (l *layout) levelOfModule(inside []byte) {
	if colon := bytes.LastIndexByte(inside, ':'); colon > 0 {
		if v, _ := severityOf(inside[colon+1:]); v != noSeverity {
			l.setLevel(v, true)
		}
	}
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
