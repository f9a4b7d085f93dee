package transform

import (
	"bytes"
	"strings"

	"shiplog/agent/envelope"
)

// The functions of this file work on JSON that is known to be valid.

// stringEnd returns where the string that begins at b[i] ends, behind its quote.
func stringEnd(b []byte, i int) int {
	for i++; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(b)
}

// valueEnd returns where the value that begins at b[i] ends.
func valueEnd(b []byte, i int) int {
	depth := 0
	for i < len(b) {
		switch b[i] {
		case '"':
			i = stringEnd(b, i)
			if depth == 0 {
				return i
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth <= 0 {
				if depth < 0 {
					return i // the end of what the value stands in
				}
				return i + 1
			}
		case ',', ' ', '\t', '\r', '\n', ':':
			if depth == 0 {
				return i
			}
		}
		i++
	}
	return len(b)
}

func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == '\r' || b[i] == '\n') {
		i++
	}
	return i
}

// eachMember calls fn with where the members of an object lie in it, until fn
// says no.
func eachMember(object []byte, fn func(key, keyEnd, value, valueEnd int) bool) {
	for i := skipSpace(object, 1); i < len(object) && object[i] == '"'; {
		keyEnd := stringEnd(object, i)
		value := skipSpace(object, skipSpace(object, keyEnd)+1)
		end := valueEnd(object, value)
		if !fn(i, keyEnd, value, end) {
			return
		}
		i = skipSpace(object, end)
		if i < len(object) && object[i] == ',' {
			i = skipSpace(object, i+1)
		}
	}
}

// find returns where the member of the object lies to which name leads, by
// itself or through objects.
func find(object []byte, name string) (from, value, end int, ok bool) {
	eachMember(object, func(k, kEnd, v, vEnd int) bool {
		key := envelope.Value{Kind: envelope.JSON, Bytes: object[k:kEnd]}
		if keyIs(key, name) {
			from, value, end, ok = k, v, vEnd, true
			return false
		}
		if object[v] != '{' {
			return true
		}
		for at := 0; ; at++ {
			dot := strings.IndexByte(name[at:], '.')
			if dot < 0 {
				return true
			}
			at += dot
			if !keyIs(key, name[:at]) {
				continue
			}
			if f, iv, ie, found := find(object[v:vEnd], name[at+1:]); found {
				from, value, end, ok = v+f, v+iv, v+ie, true
				return false
			}
		}
	})
	return from, value, end, ok
}

func lookUp(object []byte, name string) (envelope.Value, bool) {
	_, value, end, ok := find(object, name)
	return envelope.Value{Kind: envelope.JSON, Bytes: object[value:end]}, ok
}

// replaceIn returns the object with another value for a member that is there,
// or without it where v is nil.
func replaceIn(object []byte, name string, v *envelope.Value) []byte {
	from, value, end, ok := find(object, name)
	if !ok {
		return object
	}
	out := make([]byte, 0, len(object)+32)
	if v != nil {
		out = append(out, object[:value]...)
		if v.Kind == envelope.JSON {
			out = append(out, v.Bytes...)
		} else {
			out = envelope.AppendString(out, v.Bytes)
		}
		return append(out, object[end:]...)
	}
	// One comma goes with the member: the one behind it, else the one before.
	if next := skipSpace(object, end); object[next] == ',' {
		end = skipSpace(object, next+1)
	} else {
		before := bytes.TrimRight(object[:from], " \t\r\n")
		from = len(bytes.TrimSuffix(before, []byte(",")))
	}
	return append(append(out, object[:from]...), object[end:]...)
}
