package parse

import (
	"encoding/binary"
	"math/bits"
)

// maxDepth bounds how deep objects and lists may lie in one another.
const maxDepth = 128

// scanner reads strict JSON (RFC 8259) without building anything: it moves over
// values and tells where they lie. It never goes back. high is set when a byte
// outside ASCII was passed, so that UTF-8 is checked only where there is some.
type scanner struct {
	b     []byte
	i     int
	high  bool
	slash bool // the last string has an escape
}

// space moves over white space. That there is none is the usual case, and
// small enough to be inlined.
func (s *scanner) space() {
	if s.i < len(s.b) && s.b[s.i] <= ' ' {
		s.spaces()
	}
}

func (s *scanner) spaces() {
	for s.i < len(s.b) {
		switch s.b[s.i] {
		case ' ', '\t', '\n', '\r':
			s.i++
		default:
			return
		}
	}
}

// peek returns the next byte, 0 at the end.
func (s *scanner) peek() byte {
	if s.i < len(s.b) {
		return s.b[s.i]
	}
	return 0
}

func (s *scanner) take(c byte) bool {
	if s.peek() != c {
		return false
	}
	s.i++
	return true
}

// key returns the next key of an object, with its quotes, and moves to its
// value. At the end of the object it returns nil, true.
func (s *scanner) key(first bool) (key []byte, ok bool) {
	s.space()
	if s.take('}') {
		return nil, true
	}
	if !first {
		if !s.take(',') {
			return nil, false
		}
		s.space()
	}
	from := s.i
	if !s.string() {
		return nil, false
	}
	key = s.b[from:s.i]
	s.space()
	if !s.take(':') {
		return nil, false
	}
	s.space()
	return key, true
}

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// string moves over a string.
func (s *scanner) string() bool {
	if !s.take('"') {
		return false
	}
	b, i := s.b, s.i
	s.slash = false
	for {
		for len(b)-i >= 8 { // as long as eight bytes hold nothing special
			w := binary.LittleEndian.Uint64(b[i:])
			quote, slash := w^'"'*ones, w^'\\'*ones
			if bad := (w | (w - ' '*ones) | (quote - ones) | (slash - ones)) & highs; bad != 0 {
				i += bits.TrailingZeros64(bad) / 8
				break
			}
			i += 8
		}
		if i >= len(b) {
			return false
		}
		switch c := b[i]; {
		case c == '"':
			s.i = i + 1
			return true
		case c == '\\':
			n := escape(b[i:])
			if n == 0 {
				return false
			}
			s.slash = true
			i += n
		case c < ' ':
			return false
		default:
			s.high = s.high || c >= 0x80
			i++
		}
	}
}

// escape returns the length of the escape at the beginning of b; 0 if it is
// none.
func escape(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if len(b) < 6 {
			return 0
		}
		for _, c := range b[2:6] {
			if (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'f') {
				return 0
			}
		}
		return 6
	}
	return 0
}

// value moves over a value and returns it.
func (s *scanner) value() (value []byte, ok bool) {
	from := s.i
	if c := s.peek(); c != '{' && c != '[' {
		ok = s.simple(c)
		return s.b[from:s.i], ok
	}
	var lists [maxDepth]bool // what is open: a list, or an object
	depth := 0
	for {
		switch c := s.peek(); c {
		case '{', '[':
			s.i++
			if depth == maxDepth {
				return nil, false
			}
			lists[depth] = c == '['
			depth++
			s.space()
			if end := s.peek(); end == '}' && c == '{' || end == ']' && c == '[' {
				break // it is closed below
			}
			if c == '{' && !s.name() {
				return nil, false
			}
			continue
		default:
			if !s.simple(c) {
				return nil, false
			}
		}
		// A value has ended, or an empty one is about to: close what closes.
		for {
			if depth == 0 {
				return s.b[from:s.i], true
			}
			s.space()
			list := lists[depth-1]
			c := s.peek()
			s.i++
			if c == ',' {
				s.space()
				if !list && !s.name() {
					return nil, false
				}
				break
			}
			if c != ']' && list || c != '}' && !list {
				return nil, false
			}
			depth--
		}
	}
}

// name moves over a key and its colon.
func (s *scanner) name() bool {
	if !s.string() {
		return false
	}
	s.space()
	if !s.take(':') {
		return false
	}
	s.space()
	return true
}

// simple moves over a value that is no object or list; c is its first byte.
func (s *scanner) simple(c byte) bool {
	switch c {
	case '"':
		return s.string()
	case 't':
		return s.word("true")
	case 'f':
		return s.word("false")
	case 'n':
		return s.word("null")
	}
	return s.number()
}

func (s *scanner) word(w string) bool {
	if len(s.b)-s.i < len(w) || string(s.b[s.i:s.i+len(w)]) != w {
		return false
	}
	s.i += len(w)
	return true
}

// number moves over a number, RFC 8259 section 6.
func (s *scanner) number() bool {
	s.take('-')
	if !s.take('0') && !s.digits() {
		return false
	}
	if s.take('.') && !s.digits() {
		return false
	}
	if c := s.peek(); c == 'e' || c == 'E' {
		s.i++
		if !s.take('+') {
			s.take('-')
		}
		return s.digits()
	}
	return true
}

func (s *scanner) digits() bool {
	from := s.i
	for s.i < len(s.b) && s.b[s.i]-'0' <= 9 {
		s.i++
	}
	return s.i > from
}

// end reports whether nothing but white space is left.
func (s *scanner) end() bool {
	s.space()
	return s.i == len(s.b)
}
