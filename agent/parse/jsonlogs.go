package parse

import (
	"bytes"

	"shiplog/agent/envelope"
)

// json takes a member of an object, as it stands there. escaped says that the
// key has an escape.
func (f *fields) json(key, value []byte, escaped bool) {
	name := key[1 : len(key)-1]
	if escaped {
		name, f.escaped = textOfKey(jsonValue(key)), true
	}
	m := f.grow()
	m.Key, m.Value = jsonValue(key), jsonValue(value)
	f.find(name)
	if value[0] == '{' && hasNested(name) {
		f.nested(name, value)
	}
}

// render makes the message of a Serilog template and the members that it names.
// It reports whether the template says more than the message, so that it has to
// be kept.
func (f *fields) render(message *envelope.Value) bool {
	if message.Kind != envelope.JSON {
		return false
	}
	template := message.Bytes[1 : len(message.Bytes)-1]
	r := renderer{params: f.e.Params, dst: append(f.e.Scratch(), '"')}
	if !r.template(template) {
		return false
	}
	*message = envelope.Value{Kind: envelope.JSON, Bytes: f.e.Keep(append(r.dst, '"'))}
	return true
}

// renderer fills the holes of a message template: {Name}, {@Name}, {$Name},
// {Name,10}, {Name:format}. What is written is the inside of a JSON string.
type renderer struct {
	params  []envelope.Member
	dst     []byte
	formats int // holes with a format so far; "@r" holds what they were rendered to
	holes   int // all holes so far
}

// maxHoles bounds how many holes are filled: each looks through the members.
const maxHoles = 64

// template appends a template, filled. It reports whether there was anything to
// fill.
func (r *renderer) template(t []byte) bool {
	holes := false
	for i := 0; i < len(t); i++ {
		c := t[i]
		if (c == '{' || c == '}') && i+1 < len(t) && t[i+1] == c { // doubled: itself
			r.dst = append(r.dst, c)
			holes = true
			i++
			continue
		}
		if n := holeLength(t[i:]); n > 0 {
			if r.hole(t[i+1 : i+n-1]) {
				holes = true
				i += n - 1
				continue
			}
		}
		r.dst = append(r.dst, c)
	}
	return holes
}

// holeLength returns the length of the hole that t begins with; 0 if it does
// not.
func holeLength(t []byte) int {
	if t[0] != '{' {
		return 0
	}
	for i, c := range t {
		switch {
		case c == '}' && i > 1:
			return i + 1
		case i > 0 && (c == '{' || c == '\\'):
			return 0
		}
	}
	return 0
}

// hole appends what a hole stands for. It reports false where nothing is known
// of it, so that it stays as it is.
func (r *renderer) hole(inside []byte) bool {
	if r.holes++; r.holes > maxHoles {
		return false
	}
	name, formatted := inside, false
	for i, c := range inside {
		if c == ',' || c == ':' {
			name, formatted = inside[:i], c == ':' || formatted
			if c == ',' {
				formatted = bytes.IndexByte(inside[i:], ':') >= 0
			}
			break
		}
	}
	if len(name) > 1 && (name[0] == '@' || name[0] == '$') {
		name = name[1:]
	}
	if formatted {
		r.formats++
		if v := r.rendering(r.formats); v != nil {
			r.append(v)
			return true
		}
	}
	for i := range r.params {
		k := r.params[i].Key
		if k.Kind == envelope.JSON && string(k.Bytes[1:len(k.Bytes)-1]) == string(name) {
			r.append(r.params[i].Value.Bytes)
			return true
		}
	}
	return r.property(name)
}

// rendering returns the nth of the list "@r", nil if there is none.
func (r *renderer) rendering(n int) []byte {
	for i := range r.params {
		if string(r.params[i].Key.Bytes) != `"@r"` || r.params[i].Value.Bytes[0] != '[' {
			continue
		}
		s := scanner{b: r.params[i].Value.Bytes, i: 1}
		for {
			s.space()
			if s.peek() == ']' || s.peek() == 0 {
				return nil
			}
			v, ok := s.value()
			if n--; !ok || n == 0 {
				return v
			}
			s.space()
			s.take(',')
		}
	}
	return nil
}

// property appends a member of "Properties", where Serilog's full form has
// them.
func (r *renderer) property(name []byte) bool {
	for i := range r.params {
		if string(r.params[i].Key.Bytes) != `"Properties"` || r.params[i].Value.Bytes[0] != '{' {
			continue
		}
		there := false
		eachMember(r.params[i].Value.Bytes, func(key, value []byte) {
			if !there && string(key[1:len(key)-1]) == string(name) {
				there = true
				r.append(value)
			}
		})
		return there
	}
	return false
}

// maxRendered bounds a rendered message, in bytes.
const maxRendered = 1 << 20

// append appends a JSON value as text within a string.
func (r *renderer) append(v []byte) {
	if len(r.dst)+len(v) > maxRendered {
		r.dst = append(r.dst, "…"...)
		return
	}
	if v[0] == '"' {
		r.dst = append(r.dst, v[1:len(v)-1]...)
		return
	}
	n := len(r.dst)
	quoted := envelope.AppendString(r.dst, v) // with quotes: take them off
	copy(quoted[n:], quoted[n+1:])
	r.dst = quoted[:len(quoted)-2]
}
