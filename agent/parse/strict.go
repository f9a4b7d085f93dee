package parse

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"

	"shiplog/agent/envelope"
)

// member numbers the members that an envelope names.
type member int

const (
	message member = iota
	application
	username
	operation
	params
	members
)

// found is what a scan of an envelope met.
type found struct {
	at      [members][]byte // the values, as JSON
	payload []byte          // the value, where it is no object
	within  bool            // payload is an object
	extra   bool            // there are members that the envelope does not name
	twice   bool
}

// strict reads an envelope in strict JSON, in one pass. With o, which says how
// the members of other objects are placed, an object that is no whole envelope
// is read as any object; without it a message is enough. It fails with
// ErrInvalidJSON, ErrNoMessage or ErrTwice.
func strict(text []byte, e *envelope.Envelope, o *settings) error {
	var f found
	var members *fields
	if o != nil {
		m := newFields(e, o, true)
		m.typed = true
		members = &m
	}
	s := scanner{b: text, i: 1}
	if !f.top(&s, members) || !s.end() {
		e.Reset() // of the members so far
		return ErrInvalidJSON
	}
	if s.high && !utf8.Valid(text) {
		e.Reset()
		return strict(repaired(text), e, o)
	}
	if f.at[message] == nil || o != nil && !f.within {
		if o == nil {
			return ErrNoMessage
		}
		if f.at[message] != nil {
			members.json([]byte(`"message"`), f.at[message], false)
		}
		members.done(text)
		return nil
	}
	if f.twice {
		return ErrTwice
	}
	clear(e.Params) // it is an envelope, and its members have other places
	e.Params = e.Params[:0]
	if f.complete() {
		e.Raw = text
		e.Application = jsonValue(f.at[application])
		return nil
	}
	f.fill(text, e)
	return nil
}

// top goes through the members of the object, and gives those that an envelope
// does not name to members, which may be nil.
func (f *found) top(s *scanner, members *fields) bool {
	for first := true; ; first = false {
		key, ok := s.key(first)
		if key == nil || !ok {
			return ok
		}
		var value []byte
		escaped := s.slash
		if escaped {
			key = unescaped(key)
		}
		from := s.i
		switch string(key) {
		case `"message"`:
			value, ok = s.value()
			if f.at[message] != nil && members != nil && ok {
				members.json(key, value, escaped)
				f.twice = true
				break
			}
			f.set(message, value)
		case `"payload"`:
			f.twice = f.twice || f.within || f.payload != nil
			if s.peek() == '{' {
				s.i++
				f.within = true
				ok = f.inner(s)
			} else {
				f.payload, ok = s.value()
			}
			if members != nil {
				members.param(jsonValue(key), jsonValue(s.b[from:s.i]))
			}
		default:
			f.extra = true
			value, ok = s.value()
			if members != nil && ok {
				members.json(key, value, escaped)
			}
		}
		if !ok {
			return false
		}
	}
}

// inner goes through the members of payload.
func (f *found) inner(s *scanner) bool {
	for first := true; ; first = false {
		key, ok := s.key(first)
		if key == nil || !ok {
			return ok
		}
		value, ok := s.value()
		if !ok {
			return false
		}
		if m, known := payloadMember(key); known {
			f.set(m, value)
		} else {
			f.extra = true
		}
	}
}

// unescaped returns a key, with its quotes, as it is written without needless
// escapes.
func unescaped(key []byte) []byte {
	if bytes.IndexByte(key, '\\') < 0 {
		return key
	}
	var name string
	if err := json.Unmarshal(key, &name); err != nil {
		return key // it is valid, so this is not reached
	}
	return envelope.AppendString(nil, []byte(name))
}

func payloadMember(key []byte) (member, bool) {
	switch string(unescaped(key)) {
	case `"application"`:
		return application, true
	case `"username"`:
		return username, true
	case `"operation"`:
		return operation, true
	case `"params"`:
		return params, true
	}
	return 0, false
}

func (f *found) set(m member, value []byte) {
	f.twice = f.twice || f.at[m] != nil
	f.at[m] = value
}

// complete reports whether the object is an envelope as it stands.
func (f *found) complete() bool {
	text := func(m member) bool { return len(f.at[m]) > 0 && f.at[m][0] == '"' }
	return f.within && text(message) && text(application) && len(f.at[params]) > 0 && f.at[params][0] == '{' &&
		(f.at[username] == nil || text(username)) && (f.at[operation] == nil || text(operation))
}

// fill completes an envelope of which something is missing or of another type.
func (f *found) fill(text []byte, e *envelope.Envelope) {
	e.Message = asText(f.at[message])
	if v := f.at[params]; len(v) > 0 && v[0] == '{' {
		eachMember(v, func(key, value []byte) { e.Params = append(e.Params, jsonMember(key, value)) })
	} else if v != nil && string(v) != "null" {
		e.Params = append(e.Params, envelope.Member{Key: textValue("params"), Value: jsonValue(v)})
	}
	if f.payload != nil && string(f.payload) != "null" {
		e.Params = append(e.Params, envelope.Member{Key: textValue("payload"), Value: jsonValue(f.payload)})
	}
	for _, m := range []struct {
		member member
		to     *envelope.Value
		name   string
	}{{application, &e.Application, "application"}, {username, &e.Username, "username"}, {operation, &e.Operation, "operation"}} {
		switch v := f.at[m.member]; {
		case v == nil || string(v) == "null":
		case v[0] == '{' || v[0] == '[':
			e.Params = append(e.Params, envelope.Member{Key: textValue(m.name), Value: jsonValue(v)})
		default:
			*m.to = asText(v)
		}
	}
	if f.extra {
		f.fillExtra(text, e)
	}
}

// fillExtra keeps the members that the envelope does not name.
func (f *found) fillExtra(text []byte, e *envelope.Envelope) {
	eachMember(text, func(key, value []byte) {
		switch string(unescaped(key)) {
		case `"message"`:
		case `"payload"`:
			if f.within {
				eachMember(value, func(key, value []byte) {
					if _, known := payloadMember(key); !known {
						e.PayloadExtra = append(e.PayloadExtra, jsonMember(key, value))
					}
				})
			}
		default:
			e.Extra = append(e.Extra, jsonMember(key, value))
		}
	})
}

// eachMember calls fn for the members of an object that is known to be valid.
func eachMember(object []byte, fn func(key, value []byte)) {
	s := scanner{b: object, i: 1}
	for first := true; ; first = false {
		key, ok := s.key(first)
		if key == nil || !ok {
			return
		}
		value, ok := s.value()
		if !ok {
			return
		}
		fn(key, value)
	}
}

func jsonValue(v []byte) envelope.Value { return envelope.Value{Kind: envelope.JSON, Bytes: v} }
func textValue(s string) envelope.Value { return envelope.Value{Kind: envelope.Text, Bytes: []byte(s)} }
func jsonMember(k, v []byte) envelope.Member {
	return envelope.Member{Key: jsonValue(k), Value: jsonValue(v)}
}

// asText returns a JSON value as a string: itself if it is one, else its JSON
// text, digit for digit.
func asText(v []byte) envelope.Value {
	if len(v) > 0 && v[0] == '"' {
		return jsonValue(v)
	}
	return envelope.Value{Kind: envelope.Text, Bytes: v}
}
