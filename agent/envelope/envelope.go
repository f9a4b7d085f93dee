// Package envelope is the company's message/payload envelope: its type, its
// JSON encoding, and its published JSON Schema.
//
//	{"message":"…","payload":{"application":"…","username":"…","operation":"…","params":{…}}}
//
// message, payload.application and payload.params are always there;
// payload.username and payload.operation are left out when unknown.
package envelope

import (
	_ "embed"
	"encoding/json"
	"time"
)

//go:embed schema.json
var schema []byte

// Schema returns the JSON Schema (draft 2020-12) of an envelope.
func Schema() []byte { return append([]byte(nil), schema...) }

// Kind says how the bytes of a Value are to be understood.
type Kind uint8

const (
	// None: there is no value.
	None Kind = iota
	// Text: plain text, to be escaped. Bytes that are no UTF-8 become U+FFFD.
	Text
	// JSON: one valid JSON value in valid UTF-8, written as it is.
	JSON
)

// Value is a JSON value that has not been written yet.
type Value struct {
	Kind  Kind
	Bytes []byte
}

// Member is a member of an object. Its key is a Text, or a JSON string.
type Member struct{ Key, Value Value }

// Envelope is one envelope before it is written. Its slices may alias the
// entry it was read from and its own scratch memory: they are valid until the
// next Reset.
type Envelope struct {
	// Raw, if not nil, is the entry itself, which is a whole envelope already:
	// AppendJSON writes it as it is, and ignores the rest.
	Raw []byte

	// Time is when what the entry tells has happened; zero where the entry does
	// not say it. It is not written: params.timestamp holds it, digit for digit.
	Time time.Time

	Message, Application, Username, Operation Value

	Params       []Member
	PayloadExtra []Member // members of payload that the envelope does not name
	Extra        []Member // members of the top level that the envelope does not name

	scratch []byte
}

// keptScratch bounds the memory that an envelope keeps for the next entry.
const keptScratch = 64 << 10

// Reset empties the envelope and keeps its memory.
func (e *Envelope) Reset() {
	scratch := e.scratch[:0]
	if cap(scratch) > keptScratch {
		scratch = nil
	}
	*e = Envelope{Params: emptied(e.Params), PayloadExtra: emptied(e.PayloadExtra), Extra: emptied(e.Extra), scratch: scratch}
}

const keptMembers = 1024

func emptied(m []Member) []Member {
	if cap(m) > keptMembers {
		return nil
	}
	clear(m)
	return m[:0]
}

// Keep copies b into the envelope's scratch memory, for values that are not in
// the entry as they are.
func (e *Envelope) Keep(b []byte) []byte {
	n := len(e.scratch)
	e.scratch = append(e.scratch, b...)
	return e.scratch[n:len(e.scratch):len(e.scratch)]
}

// Scratch returns the free end of the envelope's scratch memory, empty, for a
// value that is to be appended there and then handed to Keep, with no call of
// Keep in between.
func (e *Envelope) Scratch() []byte { return e.scratch[len(e.scratch):] }

// SetText makes the whole entry the message, and drops what was read so far.
func (e *Envelope) SetText(entry []byte) {
	e.Reset()
	e.Message = Value{Text, entry}
}

// AppendJSON appends the envelope as one strict JSON object, without a newline.
func (e *Envelope) AppendJSON(dst []byte) []byte {
	if e.Raw != nil {
		return append(dst, e.Raw...)
	}
	dst = append(dst, `{"message":`...)
	if e.Message.Kind == None {
		dst = append(dst, `""`...)
	} else {
		dst = appendValue(dst, e.Message)
	}
	dst = append(dst, `,"payload":{"application":`...)
	if e.Application.Kind == None {
		dst = append(dst, `""`...)
	} else {
		dst = appendValue(dst, e.Application)
	}
	if e.Username.Kind != None {
		dst = appendValue(append(dst, `,"username":`...), e.Username)
	}
	if e.Operation.Kind != None {
		dst = appendValue(append(dst, `,"operation":`...), e.Operation)
	}
	dst = append(dst, `,"params":{`...)
	for i := range e.Params {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendMember(dst, &e.Params[i])
	}
	dst = append(dst, '}')
	for i := range e.PayloadExtra {
		dst = appendMember(append(dst, ','), &e.PayloadExtra[i])
	}
	dst = append(dst, '}')
	for i := range e.Extra {
		dst = appendMember(append(dst, ','), &e.Extra[i])
	}
	return append(dst, '}')
}

func appendMember(dst []byte, m *Member) []byte {
	dst = append(appendValue(dst, m.Key), ':')
	return appendValue(dst, m.Value)
}

func appendValue(dst []byte, v Value) []byte {
	switch v.Kind {
	case JSON:
		return append(dst, v.Bytes...)
	case Text:
		return AppendString(dst, v.Bytes)
	}
	return append(dst, "null"...)
}

// AppendApplication appends the application's text, without quotes and
// escapes.
func (e *Envelope) AppendApplication(dst []byte) []byte {
	if e.Application.Kind != JSON {
		return append(dst, e.Application.Bytes...)
	}
	var s string
	if err := json.Unmarshal(e.Application.Bytes, &s); err != nil {
		return append(dst, e.Application.Bytes...) // not a string: its JSON text has to do
	}
	return append(dst, s...)
}
