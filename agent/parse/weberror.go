package parse

import (
	"bytes"

	"shiplog/agent/envelope"
)

// Keys of a server's error line.
var ( //nolint:gochecknoglobals // constants that Go cannot express
	keyPID        = ours(`"pid"`)
	keyTID        = ours(`"tid"`)
	keyConnection = ours(`"connection"`)
	keyClient     = ours(`"client"`)
	keyModule     = ours(`"module"`)
	keySeverity   = ours(`"severity"`)
)

// severity takes a server's level: as it stands to params.severity too, where
// the level that it becomes says less.
func (f *fields) severity(word []byte) {
	level, exact := levelOf(word)
	if level.Kind == envelope.None {
		f.text(keyLevel, word)
		return
	}
	f.give(atLevel, rankExact, level)
	if !exact {
		f.text(keySeverity, word)
	}
}

// nginxError reads nginx's error log:
//
//	2026/01/25 10:10:10 [error] 7#9: *3 open() … failed (…), client: 192.0.2.1, server: …, request: "…"
type nginxError struct{ o *settings }

// Parse reads an entry. The message is what stands before ", client: "; the
// pairs from there on go to params.
func (p nginxError) Parse(entry []byte, e *envelope.Envelope) error {
	text := withoutBOM(entry)
	var n nginxLine
	if !n.read(text) {
		return failed(entry, e, ErrNginx)
	}
	f := newFields(e, p.o, false)
	f.add([]byte("timestamp"), keyTimestamp, textBytes(n.time))
	f.severity(n.level)
	f.named(keyPID, n.pid)
	f.named(keyTID, n.tid)
	f.named(keyConnection, n.connection)
	rest := n.message
	if i := bytes.Index(rest, []byte(", client: ")); i > 0 {
		if pairs := rest[i:]; nginxPairs(pairs, nil) {
			nginxPairs(pairs, &f)
			rest = rest[:i]
		}
	}
	f.give(atMessage, rankExact, textBytes(rest))
	f.done(text)
	return nil
}

// detectNginxError knows the format by its structure.
func detectNginxError(entry []byte) int {
	var n nginxLine
	return certain(n.read(withoutBOM(entry)), 97)
}

type nginxLine struct{ time, level, pid, tid, connection, message []byte }

// read takes a line apart.
func (n *nginxLine) read(b []byte) bool {
	const layout = "0000/00/00 00:00:00"
	if len(b) < len(layout)+2 || !shaped(b[:len(layout)], layout) || b[len(layout)] != ' ' {
		return false
	}
	level, rest, ok := bracketed(b[len(layout)+1:])
	digits := countDigits(rest)
	if !ok || len(level) == 0 || digits == 0 || digits == len(rest) || rest[digits] != '#' {
		return false
	}
	n.time, n.level, n.pid, rest = b[:len(layout)], level, rest[:digits], rest[digits+1:]
	digits = countDigits(rest)
	if digits == 0 || len(rest) < digits+2 || rest[digits] != ':' || rest[digits+1] != ' ' {
		return false
	}
	n.tid, rest = rest[:digits], rest[digits+2:]
	if len(rest) > 1 && rest[0] == '*' {
		if digits = countDigits(rest[1:]); digits > 0 && len(rest) > digits+1 && rest[digits+1] == ' ' {
			n.connection, rest = rest[1:1+digits], rest[digits+2:]
		}
	}
	n.message = rest
	return len(rest) > 0
}

// nginxPairs goes over ", name: value" pairs, of which the values may stand in
// quotes, and adds them to f where it is not nil. It reports false where the
// text is not made of such pairs.
func nginxPairs(b []byte, f *fields) bool {
	for len(b) > 0 {
		colon := bytes.Index(b, []byte(": "))
		if !bytes.HasPrefix(b, []byte(", ")) || colon < 3 || bytes.IndexByte(b[2:colon], ',') >= 0 {
			return false
		}
		name, value := b[2:colon], b[colon+2:]
		n := bytes.Index(value, []byte(", "))
		if len(value) > 0 && value[0] == '"' {
			n = closingQuote(value)
			if n == 0 {
				return false
			}
			b, value = value[n:], value[1:n-1]
		} else {
			if n < 0 {
				n = len(value)
			}
			b, value = value[n:], value[:n]
		}
		if f != nil {
			f.param(textBytes(name), textBytes(value))
		}
	}
	return true
}

// apacheError reads Apache's error log, of 2.2 and of 2.4:
//
//	[Wed Oct 11 14:32:52 2000] [error] [client 127.0.0.1] message
//	[Fri Sep 09 10:42:29.902022 2011] [core:error] [pid 35708:tid 43286] [client 72.15.99.187:1] AH00035: message
type apacheError struct{ o *settings }

// Parse reads an entry.
func (p apacheError) Parse(entry []byte, e *envelope.Envelope) error {
	text := withoutBOM(entry)
	time, level, rest, ok := apacheHead(text)
	if !ok {
		return failed(entry, e, ErrApache)
	}
	f := newFields(e, p.o, false)
	f.add([]byte("timestamp"), keyTimestamp, textBytes(time))
	if i := bytes.IndexByte(level, ':'); i >= 0 {
		f.named(keyModule, level[:i])
		level = level[i+1:]
	}
	f.severity(level)
	for {
		inside, after, ok := bracketed(rest)
		name, value := word(inside)
		if !ok || value == nil {
			break
		}
		switch string(name) {
		case "pid":
			if i := bytes.Index(value, []byte(":tid ")); i >= 0 {
				f.named(keyTID, value[i+len(":tid "):])
				value = value[:i]
			}
			f.named(keyPID, value)
		case "client", "remote":
			f.named(keyClient, value)
		default:
			ok = false
		}
		if !ok {
			break
		}
		rest = after
	}
	f.give(atMessage, rankExact, textBytes(rest))
	f.done(text)
	return nil
}

// apacheHead cuts time and level off an error line.
func apacheHead(b []byte) (time, level, rest []byte, ok bool) {
	time, rest, ok = bracketed(b)
	if !ok || len(time) < len("Wed Oct 11 14:32:52 2000") || time[3] != ' ' || time[7] != ' ' {
		return nil, nil, nil, false
	}
	level, rest, ok = bracketed(rest)
	return time, level, rest, ok && len(level) > 0 && bytes.IndexByte(level, ' ') < 0
}

// detectApacheError knows the format by its beginning.
func detectApacheError(entry []byte) int {
	_, _, _, ok := apacheHead(withoutBOM(entry))
	return certain(ok, 96)
}
