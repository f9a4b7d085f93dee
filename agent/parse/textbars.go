package parse

import "bytes"

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
