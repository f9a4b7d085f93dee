package parse

import (
	"bytes"

	"shiplog/agent/envelope"
)

// Keys of SQL Server's logs.
var ( //nolint:gochecknoglobals // constants that Go cannot express
	keyCode = ours(`"code"`)
)

// sqlServer reads SQL Server's ERRORLOG and the log of its Agent:
//
//	2026-01-25 10:10:10.12 spid5s      Starting up database 'master'.
//	2026-01-25 10:10:10 - ! [298] SQLServer Error: …
//
// The Agent's !, ? and + are error, info and warn, as its documentation of the
// three kinds of line has them.
type sqlServer struct{ o *settings }

// Parse reads an entry.
func (p sqlServer) Parse(entry []byte, e *envelope.Envelope) error {
	text := withoutBOM(entry)
	var l sqlLine
	if !l.read(text) {
		return failed(entry, e, ErrSQLServer)
	}
	f := newFields(e, p.o, false)
	f.add([]byte("timestamp"), keyTimestamp, textBytes(l.time))
	switch l.mark {
	case '!':
		f.give(atLevel, rankExact, levelValues[severityError])
	case '+':
		f.give(atLevel, rankExact, levelValues[severityWarn])
	case '?':
		f.give(atLevel, rankExact, levelValues[severityInfo])
	}
	f.named(keyCode, l.code)
	f.text(keyProcess, l.process)
	if len(l.message) > 0 {
		f.give(atMessage, rankExact, textBytes(l.message))
	}
	f.done(text)
	return nil
}

// detectSQLServer is sure of the Agent's marks and of ERRORLOG's column.
func detectSQLServer(entry []byte) int {
	var l sqlLine
	if line, _ := firstLine(withoutBOM(entry)); !l.read(line) {
		return 0
	}
	if l.mark != 0 || bytes.HasPrefix(l.process, []byte("spid")) {
		return 97
	}
	switch string(l.process) {
	case "Server", "Logon", "Backup":
		return 90
	}
	return 0
}

// sqlLine is a line taken apart.
type sqlLine struct {
	time, process, code, message []byte
	mark                         byte // of the Agent: !, ? or +
}

// processWidth is the column of ERRORLOG that names the process.
const processWidth = 12

func (l *sqlLine) read(b []byte) bool {
	const layout = "0000-00-00 00:00:00"
	n := len(layout)
	if len(b) <= n || !shaped(b[:n], layout) {
		return false
	}
	if rest := b[n:]; len(rest) > 6 && rest[0] == ' ' && rest[1] == '-' && rest[2] == ' ' && rest[4] == ' ' && rest[5] == '[' {
		code, message, ok := bracketed(rest[5:])
		if !ok || countDigits(code) != len(code) || len(code) == 0 || rest[3] != '!' && rest[3] != '?' && rest[3] != '+' {
			return false
		}
		l.time, l.mark, l.code, l.message = b[:n], rest[3], code, message
		return true
	}
	if b[n] != '.' {
		return false
	}
	n += 1 + countDigits(b[n+1:])
	if n == len(layout)+1 || n >= len(b) || b[n] != ' ' {
		return false
	}
	process, rest := word(b[n+1:])
	if len(process) == 0 || rest == nil {
		return false
	}
	for i := len(process) + 1; i < processWidth && len(rest) > 0 && rest[0] == ' '; i++ {
		rest = rest[1:]
	}
	l.time, l.process, l.message = b[:n], process, rest
	return true
}
