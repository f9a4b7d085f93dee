package parse

import (
	"bytes"
	"unicode/utf8"

	"shiplog/agent/envelope"
)

// logfmt reads key=value pairs as go-logfmt/logfmt defines them, which a test
// and a fuzz target hold it to. At least one pair has to have a value. A key
// without "=" is true; numbers without quotes are numbers.
type logfmt struct{ o *settings }

// Parse reads a line of pairs.
func (p logfmt) Parse(entry []byte, e *envelope.Envelope) error {
	text := withoutBOM(entry)
	f := newFields(e, p.o, true)
	s := pairs{b: text}
	filled := false
	for s.next() {
		switch {
		case !s.equal:
			f.add(s.key, textBytes(s.key), jsonTrue)
			continue
		case s.quoted:
			v, ok := quotedValue(s.value)
			if !ok {
				return failed(entry, e, ErrLogfmt)
			}
			f.add(s.key, textBytes(s.key), v)
		case len(s.value) == 0:
			f.add(s.key, textBytes(s.key), envelope.Value{Kind: envelope.Text})
		default:
			f.add(s.key, textBytes(s.key), bareLogfmt(s.value))
		}
		filled = true
	}
	if s.bad || !filled {
		return failed(entry, e, ErrLogfmt)
	}
	f.done(text)
	return nil
}

var ( //nolint:gochecknoglobals // constants that Go cannot express
	jsonTrue  = ours("true")
	jsonFalse = ours("false")
)

// bareLogfmt returns a value without quotes: a number, a boolean, or a text.
func bareLogfmt(b []byte) envelope.Value {
	switch string(b) {
	case "true":
		return jsonTrue
	case "false":
		return jsonFalse
	}
	return bareValue(b)
}

// detectLogfmt counts pairs: two, or a usual name, make it likely.
func detectLogfmt(entry []byte) int {
	s := pairs{b: withoutBOM(entry)}
	filled, words, known := 0, 0, 0
	for s.next() {
		if !s.equal {
			words++
			continue
		}
		filled++
		switch string(s.key) {
		case "level", "lvl", "msg", "message", "time", "ts", "at", "caller":
			known++
		}
	}
	switch {
	case s.bad || filled < 2 || words >= filled:
		return 0
	case words > 0:
		return 40
	case known >= 2:
		return 95
	case known == 1:
		return 85
	}
	return 70
}

// pairs goes over the pairs of a line.
type pairs struct {
	b []byte
	i int

	key, value    []byte // of a quoted value: with its quotes
	equal, quoted bool
	bad           bool // the line is no logfmt
}

// next moves to the next pair.
func (s *pairs) next() bool {
	b, i := s.b, s.i
	for i < len(b) && b[i] <= ' ' {
		i++
	}
	s.equal, s.quoted, s.value = false, false, nil
	from := i
	high := false
	for i < len(b) && b[i] > ' ' && b[i] != '=' {
		if b[i] == '"' {
			s.bad = true
			return false
		}
		high = high || b[i] >= utf8.RuneSelf
		i++
	}
	s.i = i
	if i == from && i == len(b) {
		return false
	}
	s.key = b[from:i]
	if i == from || high && bytes.ContainsRune(s.key, utf8.RuneError) {
		s.bad = true
		return false
	}
	if i == len(b) || b[i] != '=' {
		return true
	}
	s.equal = true
	s.i = i + 1
	return s.pairValue()
}

// pairValue reads the value behind the equals sign.
func (s *pairs) pairValue() bool {
	b, from := s.b, s.i
	if from < len(b) && b[from] == '"' {
		n := closingQuote(b[from:])
		if n == 0 {
			s.bad = true
			return false
		}
		s.quoted, s.value, s.i = true, b[from:from+n], from+n
		return true
	}
	i := from
	for i < len(b) && b[i] > ' ' {
		if b[i] == '=' || b[i] == '"' {
			s.bad = true
			return false
		}
		i++
	}
	s.value, s.i = b[from:i], i
	return true
}
