package parse

import (
	"bytes"
	"strconv"
	"unicode/utf8"

	"shiplog/agent/envelope"
)

// Keys of a syslog line.
var ( //nolint:gochecknoglobals // constants that Go cannot express
	keyFacility   = ours(`"facility"`)
	keyHostname   = ours(`"hostname"`)
	keyProcess    = ours(`"process"`)
	keyMsgID      = ours(`"msgid"`)
	keyStructured = ours(`"structured_data"`)
)

// syslog reads RFC 5424 and RFC 3164, the latter also as syslog daemons write
// it to files: without the priority, and with a time of RFC 3339. What
// leodido/go-syslog accepts is read as that library reads it, which a test holds
// it to.
//
// The priority becomes params.level, facility and severity, the latter two as
// words. The program's name is params.process, structured data an object of
// objects.
type syslog struct{ o *settings }

// Parse reads an entry.
func (p syslog) Parse(entry []byte, e *envelope.Envelope) error {
	text := withoutBOM(entry)
	var l syslogLine
	if !l.read(text) {
		return failed(entry, e, ErrSyslog)
	}
	f := newFields(e, p.o, false)
	if l.time != nil {
		f.add([]byte("timestamp"), keyTimestamp, textBytes(l.time))
	}
	if l.priority >= 0 {
		severity := e.Keep(append(e.Scratch(), severities[l.priority&7]...))
		facility := e.Keep(append(e.Scratch(), facilities[l.priority>>3]...))
		f.give(atLevel, rankExact, levelOfSeverity(severity))
		f.param(keySeverity, textBytes(severity))
		f.param(keyFacility, textBytes(facility))
	}
	f.text(keyHostname, l.host)
	f.text(keyProcess, l.process)
	f.named(keyPID, l.pid)
	f.text(keyMsgID, l.msgID)
	if l.structured != nil {
		if json, ok := appendStructured(e.Scratch(), l.structured); ok {
			f.param(keyStructured, jsonValue(e.Keep(json)))
		} else {
			f.param(keyStructured, textBytes(l.structured))
		}
	}
	if len(l.message) > 0 {
		f.give(atMessage, rankExact, textBytes(l.message))
	}
	f.done(text)
	return nil
}

// levelOfSeverity returns the level of a severity; the word itself is in params
// as well, so that it may be taken for exact.
func levelOfSeverity(word []byte) envelope.Value {
	level, _ := levelOf(word)
	return level
}

// text adds a field that is a text whatever it looks like.
func (f *fields) text(key envelope.Value, b []byte) {
	if len(b) > 0 {
		f.add(key.Bytes[1:len(key.Bytes)-1], key, textBytes(b))
	}
}

// detectSyslog is sure where there is a priority.
func detectSyslog(entry []byte) int {
	text := withoutBOM(entry)
	var l syslogLine
	switch {
	case !l.read(text):
		return 0
	case l.priority >= 0:
		return 95
	case l.process == nil:
		return 0
	}
	return 75
}

// syslogLine is a line taken apart; nil is what is absent.
type syslogLine struct {
	priority                                             int // -1: none
	time, host, process, pid, msgID, structured, message []byte
}

func (l *syslogLine) read(b []byte) bool {
	l.priority = -1
	if len(b) > 0 && b[0] == '<' {
		n := countDigits(b[1:])
		if n < 1 || n > 3 || len(b) < n+3 || b[n+1] != '>' || n > 1 && b[1] == '0' {
			return false
		}
		l.priority = 0
		for _, c := range b[1 : n+1] {
			l.priority = l.priority*10 + int(c-'0')
		}
		if l.priority > 191 {
			return false
		}
		b = b[n+2:]
		if len(b) > 2 && b[0] == '1' && b[1] == ' ' {
			return l.rfc5424(b[2:])
		}
	}
	return l.rfc3164(b)
}

// rfc5424 reads what follows the version.
func (l *syslogLine) rfc5424(b []byte) bool {
	for _, to := range []*[]byte{&l.time, &l.host, &l.process, &l.pid, &l.msgID} {
		first, rest := word(b)
		if len(first) == 0 || rest == nil {
			return false
		}
		*to, b = present(first), rest
	}
	if l.time != nil && !isRFC3339(l.time) {
		return false
	}
	if len(b) == 0 {
		return false
	}
	if b[0] == '-' {
		b = b[1:]
	} else {
		n := structuredLength(b)
		if n == 0 {
			return false
		}
		l.structured, b = b[:n], b[n:]
	}
	if len(b) == 0 {
		return true
	}
	if b[0] != ' ' {
		return false
	}
	l.message = bytes.TrimPrefix(b[1:], []byte("\xef\xbb\xbf"))
	return true
}

// structuredLength returns how long the structured data is that b begins with.
func structuredLength(b []byte) int {
	i := 0
	for i < len(b) && b[i] == '[' {
		quoted := false
		for i++; i < len(b) && (quoted || b[i] != ']'); i++ {
			switch {
			case quoted && b[i] == '\\':
				i++
			case b[i] == '"':
				quoted = !quoted
			}
		}
		if i >= len(b) {
			return 0
		}
		i++
	}
	return i
}

// maxStructured bounds the structured data that is taken apart, in bytes;
// longer ones stay a text.
const maxStructured = 4 << 10

// appendStructured appends structured data as JSON: {"id":{"name":"value"}}. A
// parameter that is there again is numbered, as in name.2. It fails where the
// data is not well formed, or an id is there twice.
func appendStructured(dst, b []byte) ([]byte, bool) {
	if len(b) > maxStructured {
		return nil, false
	}
	dst = append(dst, '{')
	for whole := b; len(b) > 0; {
		s := element{b: b}
		if !s.open() || hadElement(whole[:len(whole)-len(b)], s.name) {
			return nil, false
		}
		if dst[len(dst)-1] != '{' {
			dst = append(dst, ',')
		}
		dst = append(envelope.AppendString(dst, s.name), ':', '{')
		for s.next() {
			if dst[len(dst)-1] != '{' {
				dst = append(dst, ',')
			}
			dst = append(s.appendName(dst, b), ':')
			dst = s.appendValue(dst)
		}
		if s.bad {
			return nil, false
		}
		dst, b = append(dst, '}'), b[s.i:]
	}
	return append(dst, '}'), true
}

// hadElement reports whether there is an element of that id already.
func hadElement(b, id []byte) bool {
	for len(b) > 0 {
		s := element{b: b}
		if s.open() && bytes.Equal(s.name, id) {
			return true
		}
		for s.next() {
		}
		b = b[s.i:]
	}
	return false
}

// element goes over the parameters of one element of structured data.
type element struct {
	b   []byte
	i   int
	bad bool

	name  []byte // the id, then a parameter's
	value []byte // without quotes, with its escapes
}

// open reads the id.
func (s *element) open() bool {
	n := bytes.IndexAny(s.b, " ]")
	if n < 2 || s.b[0] != '[' || !structuredName(s.b[1:n]) {
		s.bad = true
		return false
	}
	s.name, s.i = s.b[1:n], n
	return true
}

// next moves to the next parameter, or behind the closing bracket.
func (s *element) next() bool {
	b := s.b[s.i:]
	if len(b) > 0 && b[0] == ']' {
		s.i++
		return false
	}
	equal := bytes.IndexByte(b, '=')
	if equal < 2 || b[0] != ' ' || !structuredName(b[1:equal]) || len(b) < equal+3 || b[equal+1] != '"' {
		s.bad = true
		return false
	}
	n := closingQuote(b[equal+1:])
	if n == 0 || !utf8.Valid(b[equal+1:equal+1+n]) {
		s.bad = true
		return false
	}
	s.name, s.value = b[1:equal], b[equal+2:equal+n]
	s.i += equal + 1 + n
	return true
}

// appendName appends the name as JSON, numbered if the element b had it before.
func (s *element) appendName(dst, b []byte) []byte {
	n := 1
	earlier := element{b: b}
	for earlier.open(); earlier.next() && earlier.i < s.i; {
		if bytes.Equal(earlier.name, s.name) {
			n++
		}
	}
	dst = envelope.AppendString(dst, s.name)
	if n > 1 {
		dst = strconv.AppendInt(append(dst[:len(dst)-1], '.'), int64(n), 10)
		dst = append(dst, '"')
	}
	return dst
}

// appendValue appends the value as JSON. A backslash protects ", ] and itself.
func (s *element) appendValue(dst []byte) []byte {
	if bytes.IndexByte(s.value, '\\') < 0 {
		return envelope.AppendString(dst, s.value)
	}
	plain := make([]byte, 0, len(s.value))
	for j := 0; j < len(s.value); j++ {
		if c := s.value[j]; c == '\\' && j+1 < len(s.value) && (s.value[j+1] == '"' || s.value[j+1] == ']' || s.value[j+1] == '\\') {
			j++
		}
		plain = append(plain, s.value[j])
	}
	return envelope.AppendString(dst, plain)
}

// structuredName reports whether b can be an SD-NAME: up to 32 printable
// characters of ASCII without =, ], " and space.
func structuredName(b []byte) bool {
	if len(b) > 32 {
		return false
	}
	for _, c := range b {
		if c <= ' ' || c >= 0x7f || c == '=' || c == ']' || c == '"' {
			return false
		}
	}
	return true
}

// rfc3164 reads what follows the priority: a time, and then host and program,
// as daemons write them.
func (l *syslogLine) rfc3164(b []byte) bool {
	n := len("Jan _2 15:04:05")
	switch {
	case len(b) > n && b[n] == ' ' && b[3] == ' ' && b[6] == ' ' && shaped(b[7:n], "00:00:00"):
	default:
		n = bytes.IndexByte(b, ' ')
		if n < 0 || !isRFC3339(b[:n]) {
			return false
		}
	}
	l.time, b = b[:n], b[n+1:]
	host, rest := word(b)
	if len(host) == 0 || rest == nil {
		return false
	}
	if host[len(host)-1] != ':' { // else there is no host, and this is the program
		l.host, b = host, rest
	}
	l.message = b
	l.tag()
	return true
}

// tag cuts "program[pid]: " or "program: " off the message.
func (l *syslogLine) tag() {
	b := l.message
	colon := bytes.Index(b, []byte(": "))
	if colon < 0 && len(b) > 1 && b[len(b)-1] == ':' {
		colon = len(b) - 1
	}
	if colon < 1 || bytes.IndexByte(b[:colon], ' ') >= 0 {
		return
	}
	name := b[:colon]
	if open := bytes.IndexByte(name, '['); open > 0 && name[colon-1] == ']' {
		name, l.pid = b[:open], b[open+1:colon-1]
	}
	l.process, l.message = name, bytes.TrimPrefix(b[colon+1:], []byte(" "))
}
