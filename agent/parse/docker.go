package parse

import (
	"bytes"
	"encoding/json"
	"fmt"
	"unicode/utf8"

	"shiplog/agent/envelope"
)

// Keys of a container's log.
var ( //nolint:gochecknoglobals // constants that Go cannot express
	keyStream = ours(`"stream"`)
	keyTime   = ours(`"time"`)
	keyTags   = ours(`"tags"`)
)

// newDocker opens the format docker: Docker's json-file log, whose objects
// carry what a container wrote.
func newDocker(o *settings) (Format, error) {
	return newContainer("docker", o, dockerPart, detectDocker)
}

// newCRI opens the format cri: the log of containerd and CRI-O.
func newCRI(o *settings) (Format, error) { return newContainer("cri", o, criPart, detectCRI) }

func newContainer(name string, o *settings, read func([]byte, []byte) (part, error), detect func([]byte) int) (Format, error) {
	inner := o.Inner
	switch inner {
	case "":
		inner = "auto"
	case "docker", "cri":
		return nil, fmt.Errorf("inner: %q cannot stand within %s", inner, name)
	}
	f, err := New(inner, o.Options)
	if err != nil {
		return nil, fmt.Errorf("inner: %w", err)
	}
	return format{func(state []byte) Parser {
		p := &container{o: o, read: read, inner: f.NewParser(state)}
		if s, ok := p.inner.(Stateful); ok {
			return statefulContainer{p, s}
		}
		return p
	}, detect}, nil
}

// part is what one line of a container's log carries.
type part struct {
	text         []byte // appended to what was handed over
	stream, time envelope.Value
	tags         []byte // of CRI, where there is more than P or F
	others       []byte // the object, where it has further members
	open         bool   // more of the same line of the container follows
}

// container reads the entries of one file: one line, or the lines that together
// carry one line of the container. Another format reads what they carry.
type container struct {
	o     *settings
	read  func(dst, line []byte) (part, error)
	inner Parser
	text  []byte // what the entry carries
}

// statefulContainer is a container whose inner parser keeps a state.
type statefulContainer struct {
	*container
	state Stateful
}

// Generation is the inner parser's.
func (c statefulContainer) Generation() uint32 { return c.state.Generation() }

// State is the inner parser's.
func (c statefulContainer) State() []byte { return c.state.State() }

// Chosen says how the text that the container wrote is read, where that was
// chosen too; format is "" always: the container's is not chosen here.
func (c *container) Chosen() (format, reason string) {
	inner, ok := c.inner.(Chooser)
	if !ok {
		return "", ""
	}
	name, why := inner.Chosen()
	if name == "" {
		return "", ""
	}
	return "", "its text is " + name + ", " + why
}

// keptText bounds the memory that is kept for the next entry.
const keptText = 64 << 10

// Parse reads an entry. stream goes to params, the time to params.timestamp, or
// to params.time where the inner text has one of its own.
func (c *container) Parse(entry []byte, e *envelope.Envelope) error {
	if cap(c.text) > keptText {
		c.text = nil
	}
	c.text = c.text[:0]
	var first part
	for i, rest := 0, entry; i == 0 || len(rest) > 0; i++ {
		line, after := firstLine(rest)
		p, err := c.read(c.text, line)
		if err != nil {
			return failed(entry, e, err)
		}
		if c.text = p.text; i == 0 {
			first = p
		}
		rest = bytes.TrimPrefix(after, []byte("\n"))
	}
	text := bytes.TrimSuffix(bytes.TrimSuffix(c.text, []byte("\n")), []byte("\r"))
	err := c.inner.Parse(text, e)
	Unfold(e)
	if len(text) == 0 {
		e.Message = textBytes(entry)
	}
	f := newFields(e, c.o, false)
	f.escaped = true // perhaps
	if first.stream.Kind != envelope.None {
		f.param(keyStream, first.stream)
	}
	if first.time.Kind != envelope.None {
		key := keyTimestamp
		if f.index([]byte("timestamp")) < len(e.Params) {
			key = keyTime
		}
		f.param(key, first.time)
	}
	f.text(keyTags, first.tags)
	if first.others != nil {
		f.others(first.others)
	}
	f.unique()
	return err
}

// others adds the further members of Docker's object.
func (f *fields) others(object []byte) {
	eachMember(object, func(key, value []byte) {
		switch string(key) {
		case `"log"`, `"stream"`, `"time"`:
		default:
			f.param(jsonValue(key), jsonValue(value))
		}
	})
}

// dockerPart reads {"log":"…\n","stream":"stdout","time":"…"}.
func dockerPart(dst, line []byte) (part, error) {
	p := part{text: dst}
	line = trim(line)
	s := scanner{b: line, i: 1}
	if len(line) == 0 || line[0] != '{' {
		return p, ErrDocker
	}
	var log []byte
	others := false
	for first := true; ; first = false {
		key, ok := s.key(first)
		if !ok {
			return p, ErrDocker
		}
		if key == nil {
			break
		}
		value, ok := s.value()
		if !ok {
			return p, ErrDocker
		}
		switch string(key) {
		case `"log"`:
			if log != nil || value[0] != '"' {
				return p, ErrDocker
			}
			log = value
		case `"stream"`:
			p.stream = jsonValue(value)
		case `"time"`:
			p.time = jsonValue(value)
		default:
			others = true
		}
	}
	if log == nil || !s.end() {
		return p, ErrDocker
	}
	if s.high && !utf8.Valid(line) {
		return dockerPart(dst, repaired(line))
	}
	if others {
		p.others = line
	}
	p.open = !endsInNewline(log)
	var err error
	p.text, err = appendUnquoted(dst, log)
	return p, err
}

// endsInNewline reports whether the last character of a JSON string is a
// newline, and not an n behind a backslash of its own.
func endsInNewline(quoted []byte) bool {
	b, ok := bytes.CutSuffix(quoted, []byte(`n"`))
	slashes := len(b) - len(bytes.TrimRight(b, `\`))
	return ok && slashes%2 == 1
}

// appendUnquoted appends the text of a JSON string, which is known to be valid.
func appendUnquoted(dst, quoted []byte) ([]byte, error) {
	for b := quoted[1 : len(quoted)-1]; ; {
		n := bytes.IndexByte(b, '\\')
		if n < 0 {
			return append(dst, b...), nil
		}
		dst = append(dst, b[:n]...)
		b = b[n+1:]
		switch b[0] {
		case 'n':
			dst = append(dst, '\n')
		case 't':
			dst = append(dst, '\t')
		case 'r':
			dst = append(dst, '\r')
		case 'b':
			dst = append(dst, '\b')
		case 'f':
			dst = append(dst, '\f')
		case 'u': // perhaps half of a pair: leave it and the rest to the library
			var s string
			rest := append(append([]byte{'"', '\\'}, b...), '"')
			if err := json.Unmarshal(rest, &s); err != nil {
				return dst, ErrDocker
			}
			return append(dst, s...), nil
		default:
			dst = append(dst, b[0])
		}
		b = b[1:]
	}
}

// detectDocker is sure of an object with log, stream and time.
func detectDocker(entry []byte) int {
	line, _ := firstLine(withoutBOM(entry))
	if !bytes.HasPrefix(line, []byte(`{"log":"`)) || !bytes.Contains(line, []byte(`"stream":"`)) {
		return 0
	}
	p, err := dockerPart(nil, line)
	return certain(err == nil && p.time.Kind != envelope.None, 100)
}

// criPart reads "2016-10-06T00:17:09.669794202Z stdout F text".
func criPart(dst, line []byte) (part, error) {
	h, ok := readCRI(line)
	if !ok {
		return part{text: dst}, ErrCRI
	}
	p := part{text: append(dst, h.text...), stream: textBytes(h.stream), time: textBytes(h.time), open: h.open}
	if h.more {
		p.tags = h.tags
	}
	return p, nil
}

// criLine is a line of CRI, taken apart.
type criLine struct {
	time, stream, tags, text []byte
	open                     bool // more of the same line follows
	more                     bool // there are more tags than P or F
}

func readCRI(line []byte) (l criLine, ok bool) {
	var rest []byte
	l.time, rest = word(line)
	if !isRFC3339(l.time) {
		return l, false
	}
	l.stream, rest = word(rest)
	l.tags, l.text = word(rest)
	if s := string(l.stream); s != "stdout" && s != "stderr" || len(l.tags) == 0 {
		return l, false
	}
	tag, _, more := bytes.Cut(l.tags, []byte(":"))
	l.open, l.more = string(tag) == "P", more
	return l, l.open || string(tag) == "F"
}

// detectCRI is sure of time, stream and tag.
func detectCRI(entry []byte) int {
	line, _ := firstLine(withoutBOM(entry))
	time, rest := word(line)
	if !isRFC3339(time) {
		return 0
	}
	return certain(bytes.HasPrefix(rest, []byte("stdout F")) || bytes.HasPrefix(rest, []byte("stdout P")) ||
		bytes.HasPrefix(rest, []byte("stderr F")) || bytes.HasPrefix(rest, []byte("stderr P")), 100)
}
