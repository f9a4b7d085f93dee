package transform

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"shiplog/agent/envelope"
)

// field names a place in an envelope: message, application, username, operation
// (each also with payload. before it), or params.NAME. A name with dots is a
// member of that name, or else leads into objects.
type field struct {
	to   func(*envelope.Envelope) *envelope.Value // nil: a param
	name string
	text string // as it was written
}

func parseField(text string) (field, error) {
	f := field{text: text}
	switch strings.TrimPrefix(text, "payload.") {
	case "message":
		if text != "message" {
			return f, fmt.Errorf("%q: message stands beside payload, not in it", text)
		}
		f.to = func(e *envelope.Envelope) *envelope.Value { return &e.Message }
	case "application":
		f.to = func(e *envelope.Envelope) *envelope.Value { return &e.Application }
	case "username":
		f.to = func(e *envelope.Envelope) *envelope.Value { return &e.Username }
	case "operation":
		f.to = func(e *envelope.Envelope) *envelope.Value { return &e.Operation }
	default:
		name, ok := strings.CutPrefix(strings.TrimPrefix(text, "payload."), "params.")
		if !ok || name == "" {
			return f, fmt.Errorf("%q is no field: write message, application, username, operation or params.NAME", text)
		}
		f.name = name
	}
	return f, nil
}

func parseFields(texts []string) ([]field, error) {
	var out []field
	for _, t := range texts {
		f, err := parseField(t)
		if err != nil {
			return nil, err
		}
		out = append(out, f)
	}
	return out, nil
}

// get returns the field's value, of Kind None where there is none.
func (f *field) get(e *envelope.Envelope) envelope.Value {
	if f.to != nil {
		return *f.to(e)
	}
	if i := memberIndex(e.Params, f.name); i >= 0 {
		return e.Params[i].Value
	}
	if i, inner := f.nested(e); i >= 0 {
		v, _ := lookUp(e.Params[i].Value.Bytes, inner)
		return v
	}
	return envelope.Value{}
}

// nested returns the param that is an object into which the name leads, and the
// rest of the name; -1 where there is none.
func (f *field) nested(e *envelope.Envelope) (int, string) {
	for at := 0; ; at++ {
		dot := strings.IndexByte(f.name[at:], '.')
		if dot < 0 {
			return -1, ""
		}
		at += dot
		i := memberIndex(e.Params, f.name[:at])
		if i >= 0 && isObject(e.Params[i].Value) {
			if _, ok := lookUp(e.Params[i].Value.Bytes, f.name[at+1:]); ok {
				return i, f.name[at+1:]
			}
		}
	}
}

// set gives the field a value. Only values that exist are replaced within
// objects.
func (f *field) set(e *envelope.Envelope, v envelope.Value) {
	if f.to != nil {
		*f.to(e) = v
		return
	}
	if i := memberIndex(e.Params, f.name); i >= 0 {
		e.Params[i].Value = v
		return
	}
	if i, inner := f.nested(e); i >= 0 {
		e.Params[i].Value.Bytes = replaceIn(e.Params[i].Value.Bytes, inner, &v)
		return
	}
	e.Params = append(e.Params, envelope.Member{Key: envelope.Value{Kind: envelope.Text, Bytes: []byte(f.name)}, Value: v})
}

// remove takes the field away. The message becomes empty, and so does the
// application: both have to be there.
func (f *field) remove(e *envelope.Envelope) {
	if f.to != nil {
		*f.to(e) = envelope.Value{}
		return
	}
	if i := memberIndex(e.Params, f.name); i >= 0 {
		e.Params = slices.Delete(e.Params, i, i+1)
		return
	}
	if i, inner := f.nested(e); i >= 0 {
		e.Params[i].Value.Bytes = replaceIn(e.Params[i].Value.Bytes, inner, nil)
	}
}

func memberIndex(ms []envelope.Member, name string) int {
	for i := range ms {
		if keyIs(ms[i].Key, name) {
			return i
		}
	}
	return -1
}

func keyIs(key envelope.Value, name string) bool {
	b := key.Bytes
	if key.Kind != envelope.JSON {
		return string(b) == name
	}
	if bytes.IndexByte(b, '\\') < 0 {
		return len(b) == len(name)+2 && string(b[1:len(b)-1]) == name
	}
	var s string
	return json.Unmarshal(b, &s) == nil && s == name
}

func isObject(v envelope.Value) bool {
	return v.Kind == envelope.JSON && len(v.Bytes) > 0 && v.Bytes[0] == '{'
}

// appendText appends the text of v: of a string without quotes and escapes, of
// any other value its JSON text.
func appendText(dst []byte, v envelope.Value) []byte {
	if v.Kind != envelope.JSON || len(v.Bytes) < 2 || v.Bytes[0] != '"' {
		return append(dst, v.Bytes...)
	}
	inner := v.Bytes[1 : len(v.Bytes)-1]
	if bytes.IndexByte(inner, '\\') < 0 {
		return append(dst, inner...)
	}
	var s string
	if err := json.Unmarshal(v.Bytes, &s); err != nil {
		return append(dst, v.Bytes...) // not JSON after all: its bytes have to do
	}
	return append(dst, s...)
}
