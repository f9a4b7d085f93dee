package parse

import (
	"bytes"

	"shiplog/agent/envelope"
)

// newW3C opens the format w3c: the W3C extended log format, as IIS, Exchange
// and CloudFront write it. The file's own #Fields: lines say what its lines
// hold; the last one is the state of the file's parser.
func newW3C(o *settings) (Format, error) {
	return format{func(state []byte) Parser {
		p := &w3c{o: o}
		if len(state) > 0 && p.fields(state) {
			p.generation = 0
		}
		return p
	}, detectW3C}, nil
}

// detectW3C knows the directives. The lines between them look like others.
func detectW3C(entry []byte) int {
	text := withoutBOM(entry)
	for _, d := range []string{"#Fields:", "#Software:", "#Version:", "#Date:"} {
		if bytes.HasPrefix(text, []byte(d)) {
			return 100
		}
	}
	return 0
}

// role is what a field is beside its name.
type role uint8

const (
	rolePlain  role = iota
	roleDate        // with time, in UTC: params.timestamp
	roleTime        // of the day
	roleUser        // cs-username
	roleMethod      // cs-method: these three make the message
	roleStem        // cs-uri-stem
	roleQuery       // cs-uri-query
	roles
)

// w3c is the parser of one file.
type w3c struct {
	o          *settings
	line       []byte // the #Fields: line as it stands; nil: none so far
	columns    []column
	roles      []role
	delimiter  byte
	comma      bool // the fields are CSV, as Exchange writes them
	complete   bool // there are date and time
	generation uint32
}

// Generation changes with each #Fields: line that says something else.
func (p *w3c) Generation() uint32 { return p.generation }

// State returns the last #Fields: line.
func (p *w3c) State() []byte { return bytes.Clone(p.line) }

var keyDirective = ours(`"directive"`) //nolint:gochecknoglobals // a constant that Go cannot express

// Parse reads a line, which is a directive or holds fields. A field that is "-"
// is absent. The message is the request, where there is one, else the line.
func (p *w3c) Parse(entry []byte, e *envelope.Envelope) error {
	text := withoutBOM(entry)
	if len(text) > 0 && text[0] == '#' {
		return p.directive(text, e)
	}
	if p.line == nil {
		return failed(entry, e, ErrNoFields)
	}
	f := newFields(e, p.o, true)
	var by [roles][]byte
	n, ok := p.split(text, &f, &by)
	if !ok || n != len(p.columns) {
		return failed(entry, e, ErrFields)
	}
	p.timestamp(&f, &by)
	p.request(&f, &by)
	f.done(text)
	return nil
}

// directive ships a line of #Name: …, and takes over the fields.
func (p *w3c) directive(text []byte, e *envelope.Envelope) error {
	e.SetText(text)
	i := bytes.IndexByte(text, ':')
	if i < 1 {
		return nil // a comment
	}
	e.Params = append(e.Params, envelope.Member{Key: keyDirective, Value: textBytes(text[1:i])})
	if string(text[1:i]) == "Fields" && !bytes.Equal(text, p.line) && !p.fields(text) {
		return ErrFields
	}
	return nil
}

// fields takes over what a #Fields: line says.
func (p *w3c) fields(line []byte) bool {
	names, ok := bytes.CutPrefix(line, []byte("#Fields:"))
	names = bytes.TrimSpace(names)
	if !ok || len(names) == 0 || len(line) > maxHeader {
		return false
	}
	next := w3c{o: p.o, line: bytes.Clone(line), delimiter: ' ', generation: p.generation + 1}
	next.comma = bytes.IndexByte(names, ',') >= 0 && bytes.IndexByte(names, ' ') < 0
	switch {
	case next.comma:
		next.delimiter = ','
	case bytes.IndexByte(names, '\t') >= 0:
		next.delimiter = '\t'
	}
	var seen [roles]bool
	for name := range bytes.SplitSeq(names, []byte{next.delimiter}) {
		name = bytes.TrimSpace(name)
		if len(name) == 0 {
			continue
		}
		if len(next.columns) == maxColumns {
			return false
		}
		r := next.roleOf(name)
		seen[r] = true
		next.columns, next.roles = append(next.columns, newColumn(p.o, name, true)), append(next.roles, r)
	}
	next.complete = seen[roleDate] && seen[roleTime]
	*p = next
	return true
}

// roleOf returns the role of a field. One that Options.Map names makes no
// timestamp and no username any more.
func (p *w3c) roleOf(name []byte) role {
	switch string(name) {
	case "cs-method":
		return roleMethod
	case "cs-uri-stem":
		return roleStem
	case "cs-uri-query":
		return roleQuery
	}
	if _, mapped := p.o.renames[string(name)]; mapped {
		return rolePlain
	}
	switch string(name) {
	case "date":
		return roleDate
	case "time":
		return roleTime
	case "cs-username":
		return roleUser
	}
	return rolePlain
}

// split adds the fields of a line, and returns how many there are.
func (p *w3c) split(text []byte, f *fields, by *[roles][]byte) (int, bool) {
	if p.comma {
		return p.splitCommas(text, f)
	}
	n := 0
	for i := 0; i < len(text); n++ {
		if n == len(p.columns) {
			if len(bytes.TrimRight(text[i:], " \t\r")) > 0 {
				return n + 1, true
			}
			return n, true
		}
		if text[i] == '"' {
			c := cells{b: text[i:], delimiter: p.delimiter}
			if c.next() {
				p.field(f, by, n, c.cell, c.value(f.e))
				i += c.i
				continue
			}
		}
		from := i
		for i < len(text) && text[i] != p.delimiter {
			i++
		}
		p.field(f, by, n, text[from:i], envelope.Value{})
		i++
	}
	return n, true
}

func (p *w3c) splitCommas(text []byte, f *fields) (int, bool) {
	n := 0
	c := cells{b: text, delimiter: ','}
	for ; c.next(); n++ {
		if n < len(p.columns) && len(c.cell) > 0 {
			f.column(&p.columns[n], c.value(f.e))
		}
	}
	return n, !c.bad
}

// field adds the nth field, b. v is its value, if that is known already.
func (p *w3c) field(f *fields, by *[roles][]byte, n int, b []byte, v envelope.Value) {
	if len(b) == 0 || len(b) == 1 && b[0] == '-' {
		return
	}
	c, r := &p.columns[n], p.roles[n]
	by[r] = b
	if v.Kind == envelope.None {
		v = bareValue(b)
	}
	switch r {
	case roleDate, roleTime:
		if p.complete {
			return // they are put together
		}
	case roleUser:
		f.param(c.key, v)
		f.offer(atUsername, rankExact+1, len(f.e.Params)-1)
		return
	}
	f.column(c, v)
}

// timestamp puts date and time together.
func (p *w3c) timestamp(f *fields, by *[roles][]byte) {
	date, clock := by[roleDate], by[roleTime]
	if !p.complete {
		return
	}
	dst := append(f.e.Scratch(), date...)
	dst = append(append(append(dst, 'T'), clock...), 'Z')
	if v := textBytes(f.e.Keep(dst)); isRFC3339(v.Bytes) {
		f.param(keyTimestamp, v)
		f.offer(atTimestamp, rankExact, len(f.e.Params)-1)
		return
	}
	if date != nil {
		f.add([]byte("date"), textValue("date"), textBytes(date))
	}
	if clock != nil {
		f.add([]byte("time"), textValue("time"), textBytes(clock))
	}
}

// request makes the message of the request: its method, and the path with the
// query.
func (p *w3c) request(f *fields, by *[roles][]byte) {
	if by[roleMethod] == nil || by[roleStem] == nil {
		return
	}
	dst := append(f.e.Scratch(), by[roleMethod]...)
	dst = append(append(dst, ' '), by[roleStem]...)
	if by[roleQuery] != nil {
		dst = append(append(dst, '?'), by[roleQuery]...)
	}
	f.give(atMessage, rankExact+1, textBytes(f.e.Keep(dst)))
}
