package parse

import (
	"bytes"
	"errors"
	"unicode/utf8"

	"shiplog/agent/envelope"
)

// maxRelaxed bounds an entry that is read as YAML, in bytes.
const maxRelaxed = 1 << 20

// errDeclined says that the fast reader leaves an entry to the YAML library.
var errDeclined = errors.New("declined")

// node is a value of a relaxed envelope: a text, or JSON made of a mapping or
// a list.
type node = envelope.Value

// relaxed reads an envelope that is written as a YAML flow mapping. The YAML
// library is the definition; a fast reader stands before it, and declines what
// it does not know for certain. Scalars are texts, as they are written.
func relaxed(text []byte, e *envelope.Envelope, whole bool) error {
	if len(text) > maxRelaxed || text[len(text)-1] != '}' {
		return ErrRelaxed
	}
	r := fastReader{b: text, e: e}
	err := r.envelope()
	if err == errDeclined {
		e.Reset()
		r = fastReader{e: e}
		err = r.fromYAML(text)
	}
	switch {
	case err != nil:
		return err
	case !r.seen[message]:
		return ErrNoMessage
	case whole && !r.within:
		return ErrNoPayload
	}
	return nil
}

// fastReader reads the part of YAML's flow style that applications write:
// plain words, quoted texts without escapes, mappings and lists, on one line.
type fastReader struct {
	b []byte
	i int
	e *envelope.Envelope

	seen    [members]bool
	payload bool // payload was there
	within  bool // and is a mapping
}

func (r *fastReader) space() {
	for r.i < len(r.b) && r.b[r.i] == ' ' {
		r.i++
	}
}

func (r *fastReader) peek() byte {
	if r.i < len(r.b) {
		return r.b[r.i]
	}
	return 0
}

// envelope reads the whole of it.
func (r *fastReader) envelope() error {
	if !plainYAML(r.b) {
		return errDeclined
	}
	if err := r.mapping(r.topMember); err != nil {
		return err
	}
	if r.i != len(r.b) {
		return errDeclined
	}
	return nil
}

// plainYAML reports whether all characters are such that YAML takes them as
// they are: printable, and no line breaks.
func plainYAML(b []byte) bool {
	for i := 0; i < len(b); {
		c := b[i]
		if c < utf8.RuneSelf {
			if c < ' ' || c == 0x7f {
				return false
			}
			i++
			continue
		}
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError || r < 0xa0 || r == 0x2028 || r == 0x2029 || r == 0xfeff || r == 0xfffe || r == 0xffff {
			return false
		}
		i += n
	}
	return true
}

// mapping reads a mapping and gives each key to member, which reads the value.
func (r *fastReader) mapping(member func(key []byte) error) error {
	r.i++ // the brace
	r.space()
	if r.peek() == '}' {
		r.i++
		return nil
	}
	for {
		key, err := r.key()
		if err != nil {
			return err
		}
		if err := member(key); err != nil {
			return err
		}
		r.space()
		switch r.peek() {
		case ',':
			r.i++
			r.space()
		case '}':
			r.i++
			return nil
		default:
			return errDeclined
		}
	}
}

// longestKey bounds the keys that the fast reader takes; YAML has a bound too.
const longestKey = 128

// key reads a key, its colon, and the space behind that.
func (r *fastReader) key() ([]byte, error) {
	from := r.i
	var key []byte
	if c := r.peek(); c == '\'' || c == '"' {
		v, err := r.quoted(c)
		if err != nil {
			return nil, err
		}
		key = v
	} else {
		for r.i < len(r.b) && wordByte(r.b[r.i]) {
			r.i++
		}
		key = r.b[from:r.i]
	}
	if len(key) == 0 || r.i-from > longestKey || r.peek() != ':' {
		return nil, errDeclined
	}
	r.i++
	if r.peek() != ' ' {
		return nil, errDeclined
	}
	r.space()
	return key, nil
}

// wordByte reports whether c can stand anywhere in a plain word.
func wordByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c >= utf8.RuneSelf
}

// quoted reads a text in quotes of the kind q.
func (r *fastReader) quoted(q byte) ([]byte, error) {
	rest := r.b[r.i+1:]
	n := bytes.IndexByte(rest, q)
	if n < 0 {
		return nil, errDeclined
	}
	if q == '"' {
		if bytes.IndexByte(rest[:n], '\\') >= 0 {
			return nil, errDeclined
		}
		r.i += n + 2
		return rest[:n], nil
	}
	if n+1 >= len(rest) || rest[n+1] != '\'' {
		r.i += n + 2
		return rest[:n], nil
	}
	return r.doubled(rest)
}

// doubled reads a text in single quotes that holds some, each written twice.
func (r *fastReader) doubled(rest []byte) ([]byte, error) {
	var out []byte
	for i := 0; i < len(rest); i++ {
		if rest[i] != '\'' {
			continue
		}
		if i+1 < len(rest) && rest[i+1] == '\'' {
			i++
			continue
		}
		out = r.e.Keep(bytes.ReplaceAll(rest[:i], []byte("''"), []byte("'")))
		r.i += i + 2
		return out, nil
	}
	return nil, errDeclined
}

// plain reads a text without quotes: words with single spaces and harmless
// marks between them.
func (r *fastReader) plain() ([]byte, error) {
	from := r.i
	if c := r.peek(); !wordByte(c) && c != '/' && c != '.' && c != '+' {
		return nil, errDeclined
	}
	for r.i < len(r.b) {
		c := r.b[r.i]
		if c == ',' || c == '}' || c == ']' {
			break
		}
		if !wordByte(c) && c != ' ' && c != '.' && c != '/' && c != '-' && c != '+' && c != '@' && c != '=' && c != '(' && c != ')' && c != '\\' {
			return nil, errDeclined
		}
		r.i++
	}
	return bytes.TrimRight(r.b[from:r.i], " "), nil
}

// value reads a value.
func (r *fastReader) value(depth int) (node, error) {
	var text []byte
	var err error
	switch c := r.peek(); c {
	case '\'', '"':
		text, err = r.quoted(c)
	case '{', '[':
		if depth >= maxDepth {
			return node{}, errDeclined
		}
		var json []byte
		if json, err = r.appendNested(nil, depth); err == nil {
			return node{Kind: envelope.JSON, Bytes: json}, nil
		}
	default:
		text, err = r.plain()
	}
	return node{Kind: envelope.Text, Bytes: text}, err
}

// appendNested appends a mapping or list as JSON.
func (r *fastReader) appendNested(dst []byte, depth int) ([]byte, error) {
	if r.peek() == '[' {
		return r.appendList(dst, depth)
	}
	dst = append(dst, '{')
	first := true
	err := r.mapping(func(key []byte) error {
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = append(envelope.AppendString(dst, key), ':')
		v, err := r.value(depth + 1)
		dst = appendNode(dst, v)
		return err
	})
	return append(dst, '}'), err
}

func (r *fastReader) appendList(dst []byte, depth int) ([]byte, error) {
	dst = append(dst, '[')
	r.i++
	r.space()
	if r.peek() == ']' {
		r.i++
		return append(dst, ']'), nil
	}
	for {
		v, err := r.value(depth + 1)
		if err != nil {
			return nil, err
		}
		dst = appendNode(dst, v)
		r.space()
		switch r.peek() {
		case ',':
			r.i++
			r.space()
			dst = append(dst, ',')
		case ']':
			r.i++
			return append(dst, ']'), nil
		default:
			return nil, errDeclined
		}
	}
}

func appendNode(dst []byte, v node) []byte {
	if v.Kind == envelope.JSON {
		return append(dst, v.Bytes...)
	}
	return envelope.AppendString(dst, v.Bytes)
}

// topMember reads a member of the envelope itself.
func (r *fastReader) topMember(key []byte) error {
	if string(key) == "payload" && r.peek() == '{' {
		if r.payload {
			return ErrTwice
		}
		r.payload, r.within = true, true
		return r.mapping(r.payloadMember)
	}
	v, err := r.value(1)
	if err != nil {
		return err
	}
	return r.setTop(key, v)
}

// setTop puts a member of the envelope where it belongs.
func (r *fastReader) setTop(key []byte, v node) error {
	switch string(key) {
	case "message":
		if r.seen[message] {
			return ErrTwice
		}
		r.seen[message] = true
		r.e.Message = node{Kind: envelope.Text, Bytes: v.Bytes} // of a mapping: its JSON text
	case "payload":
		if r.payload {
			return ErrTwice
		}
		r.payload = true
		r.e.Params = append(r.e.Params, envelope.Member{Key: textOf(key), Value: v})
	default:
		r.e.Extra = append(r.e.Extra, envelope.Member{Key: textOf(key), Value: v})
	}
	return nil
}

// payloadMember reads a member of payload.
func (r *fastReader) payloadMember(key []byte) error {
	if string(key) == "params" && r.peek() == '{' {
		if r.seen[params] {
			return ErrTwice
		}
		r.seen[params] = true
		return r.mapping(r.param)
	}
	v, err := r.value(2)
	if err != nil {
		return err
	}
	return r.setPayload(key, v)
}

// setPayload puts a member of payload where it belongs.
func (r *fastReader) setPayload(key []byte, v node) error {
	var m member
	var to *envelope.Value
	switch string(key) {
	case "application":
		m, to = application, &r.e.Application
	case "username":
		m, to = username, &r.e.Username
	case "operation":
		m, to = operation, &r.e.Operation
	case "params":
		m = params
	default:
		r.e.PayloadExtra = append(r.e.PayloadExtra, envelope.Member{Key: textOf(key), Value: v})
		return nil
	}
	if r.seen[m] {
		return ErrTwice
	}
	r.seen[m] = true
	if to == nil || v.Kind == envelope.JSON { // params that is no mapping, or a user that is no text
		r.e.Params = append(r.e.Params, envelope.Member{Key: textOf(key), Value: v})
		return nil
	}
	*to = v
	return nil
}

// param reads a member of params.
func (r *fastReader) param(key []byte) error {
	v, err := r.value(3)
	r.e.Params = append(r.e.Params, envelope.Member{Key: textOf(key), Value: v})
	return err
}

func textOf(key []byte) envelope.Value { return envelope.Value{Kind: envelope.Text, Bytes: key} }
