package parse

import "bytes"

// maxSession bounds what PostgreSQL writes in brackets behind the process.
const maxSession = 12

// databaseHead is what a database server writes between the time and the text of
// a line, as places in the line.
type databaseHead struct {
	number, numberEnd int // of the process or the thread
	session           int // where PostgreSQL closes the bracket around it: [1234-5]
	word, wordEnd     int // the level, or what part of a message the line is
	end               int // what follows is the text
}

// The words with which PostgreSQL begins the further lines of one message, and
// those for its levels that other loggers do not write. After them come a colon
// and two blanks (src/backend/utils/error/elog.c, send_message_to_server_log). With
// lc_messages other than C and English it writes others.
func isPostgresPart(word []byte) bool {
	switch string(word) {
	case "DETAIL", "HINT", "QUERY", "CONTEXT", "LOCATION", "BACKTRACE", "STATEMENT":
		return true
	}
	return false
}

// postgresLevel returns the level of a word of PostgreSQL: LOG is what it writes
// for an administrator, nothing that went wrong.
func postgresLevel(word []byte) (l severity, exact bool) {
	if string(word) == "LOG" {
		return severityInfo, false
	}
	if n := len(word); n == len("DEBUG1") && string(word[:n-1]) == "DEBUG" && word[n-1]-'1' < 5 {
		return severityDebug, false
	}
	return severityOf(word)
}

// mysqlLevel returns the level of a word of MySQL and MariaDB, which stands in
// brackets.
func mysqlLevel(word []byte) (l severity, exact bool) {
	if string(word) == "System" {
		return severityInfo, false
	}
	return severityOf(word)
}

// postgres reads what follows the time that ends at i, where PostgreSQL's
// log_line_prefix has the process behind it, as by default and in Debian's:
// " [1234] user@database LOG:  ".
func (h *databaseHead) postgres(b []byte, i int) bool {
	if i+3 >= len(b) || b[i] != ' ' || b[i+1] != '[' || b[i+2]-'0' > 9 {
		return false
	}
	near := b[:min(len(b), i+findBytes)]
	h.number = i + 2
	h.numberEnd = h.number + allDigits(near[h.number:])
	closes := bytes.IndexByte(near[h.numberEnd:], ']')
	if closes < 0 || closes > maxSession {
		return false
	}
	h.session = h.numberEnd + closes
	colon := bytes.Index(near[h.session:], []byte(":  "))
	if colon < 0 {
		return false
	}
	h.wordEnd = h.session + colon
	h.word = h.wordEnd
	for b[h.word-1]-'A' < 26 || b[h.word-1]-'0' <= 9 {
		h.word--
	}
	h.end = h.wordEnd + len(":  ")
	return b[h.word-1] == ' '
}

// mysql reads what follows the time that ends at i, where MySQL and MariaDB have
// the thread behind it: " 140 [Warning] ".
func (h *databaseHead) mysql(b []byte, i int) bool {
	if i+2 >= len(b) || b[i] != ' ' || b[i+1]-'0' > 9 {
		return false
	}
	h.number = i + 1
	h.numberEnd = h.number + allDigits(b[h.number:])
	h.word = h.numberEnd + 2
	if h.word >= len(b) || b[h.numberEnd] != ' ' || b[h.word-1] != '[' {
		return false
	}
	n := bytes.IndexByte(b[h.word:min(len(b), h.word+longestSeverity+1)], ']')
	h.wordEnd = h.word + n
	h.end = h.wordEnd + 1
	return n > 0
}

// goesOn reports whether a line whose time ends at i goes on with PostgreSQL's
// message of the line before it.
func goesOn(b []byte, i int) bool {
	var h databaseHead
	return h.postgres(b, i) && isPostgresPart(b[h.word:h.wordEnd])
}

// mysql takes what MySQL and MariaDB write behind the time.
func (l *layout) mysql() {
	var h databaseHead
	if l.has[pieceLevel] || !h.mysql(l.b, l.i) {
		return
	}
	if v, exact := mysqlLevel(l.b[h.word:h.wordEnd]); v != noSeverity {
		l.add(pieceThread, h.number, h.numberEnd)
		l.add(pieceLevel, h.word, h.wordEnd)
		l.setLevel(v, exact)
		l.i = h.end
		l.message = l.afterSep(l.i)
	}
}

// postgres takes what PostgreSQL writes behind the time. What follows is the
// text, whatever it begins with; the word that says which part of a message a
// line is belongs to it.
func (l *layout) postgres() bool {
	var h databaseHead
	if !h.postgres(l.b, l.i) {
		return false
	}
	word := l.b[h.word:h.wordEnd]
	v, exact := postgresLevel(word)
	if v == noSeverity && !isPostgresPart(word) {
		return false
	}
	l.add(piecePID, h.number, h.numberEnd)
	l.addTrimmed(pieceField, h.numberEnd+1, h.session)
	beside := h.session + 1
	for beside < h.word && (l.b[beside] == ':' || l.b[beside] == ' ') {
		beside++
	}
	l.addTrimmed(pieceField, beside, h.word)
	l.message = h.word
	if v != noSeverity {
		l.add(pieceLevel, h.word, h.wordEnd)
		l.setLevel(v, exact)
		l.message = h.end
	}
	return true
}
