package parse

import (
	"bytes"
	"fmt"
	"slices"
	"unicode/utf8"

	"shiplog/agent/envelope"
)

// newCSV opens the format csv: fields of RFC 4180 on one line. The names of the
// columns are Options.Columns, or the first line's, which is kept as the state
// of the file's parser.
func newCSV(o *settings) (Format, error) {
	if len(o.Columns) > maxColumns {
		return nil, fmt.Errorf("columns: %d are more than %d", len(o.Columns), maxColumns)
	}
	var fixed []column
	for _, name := range o.Columns {
		fixed = append(fixed, newColumn(o, []byte(name), true))
	}
	if twice := twiceIn(o.Columns); twice != "" {
		return nil, fmt.Errorf("columns: %q is there twice", twice)
	}
	if d := o.Delimiter; d == '"' || d == '\n' || d == '\r' || d >= utf8.RuneSelf {
		return nil, fmt.Errorf("delimiter: %q cannot separate fields", rune(d))
	}
	return format{func(state []byte) Parser {
		p := &csvParser{o: o, delimiter: o.Delimiter}
		p.setColumns(fixed)
		if p.delimiter == 0 {
			p.delimiter = ','
		}
		if fixed != nil {
			return p
		}
		h := &csvHeader{csvParser: p}
		if len(state) > 0 {
			h.header(state)
			h.generation = 0
		}
		return h
	}, never}, nil
}

const (
	maxColumns = 1024
	maxHeader  = 4 << 10 // bytes: the header is kept with the checkpoint
)

// column is a field's name, its place found once for all entries.
type column struct {
	name  []byte
	key   envelope.Value
	place place
	rank  uint8
}

// newColumn returns the column of a name. usual says that the usual names have
// places.
func newColumn(o *settings, name []byte, usual bool) column {
	if !utf8.Valid(name) {
		name = repaired(name)
	}
	c := column{name: bytes.Clone(name), rank: rankExact}
	c.key = envelope.Value{Kind: envelope.JSON, Bytes: envelope.AppendString(nil, name)}
	if to, ok := o.renames[string(name)]; ok {
		c.key, c.place, c.rank = to.key, to.place, rankMapped
	} else if usual {
		f := fields{e: &envelope.Envelope{}} // in which some names leave a hint
		c.place, c.rank = f.usualPlace(name)
	} else {
		c.place = exactPlace(name)
	}
	return c
}

// column adds the field of a column.
func (f *fields) column(c *column, v envelope.Value) {
	m := f.grow()
	m.Key, m.Value = c.key, v
	if c.place != atNoPlace {
		f.offer(c.place, c.rank, len(f.e.Params)-1)
	}
}

func twiceIn(names []string) string {
	sorted := slices.Sorted(slices.Values(names))
	for i := 1; i < len(sorted); i++ {
		if sorted[i] == sorted[i-1] {
			return sorted[i]
		}
	}
	return ""
}

// csvParser reads the lines of a file whose columns are known.
type csvParser struct {
	o         *settings
	columns   []column
	delimiter byte
	exact     bool // a line that has not as many fields is none
	date      int  // the columns whose fields together are the time, where both
	clock     int  // are there; -1: they are not
}

// setColumns takes the columns.
func (p *csvParser) setColumns(columns []column) {
	p.columns, p.date, p.clock = columns, -1, -1
	for i := range columns {
		switch name := columns[i].name; {
		case bytes.EqualFold(name, []byte("date")) && p.date < 0:
			p.date = i
		case bytes.EqualFold(name, []byte("time")) && p.clock < 0:
			p.clock = i
		}
	}
	if p.date < 0 || p.clock < 0 {
		p.date, p.clock = -1, -1
	}
}

// Parse reads a line of fields. One that has fewer than there are columns is
// taken as it is; further ones are named by their number.
func (p *csvParser) Parse(entry []byte, e *envelope.Envelope) error {
	text := withoutBOM(entry)
	f := newFields(e, p.o, true)
	c := cells{b: text, delimiter: p.delimiter}
	n := 0
	var date, clock []byte
	for ; c.next(); n++ {
		v := c.value(e)
		switch n {
		case p.date:
			date = c.cell
		case p.clock:
			clock = c.cell
		}
		if n < len(p.columns) {
			f.column(&p.columns[n], v)
			continue
		}
		if n >= maxColumns {
			return failed(entry, e, ErrCSV)
		}
		f.param(textBytes(appendNumbered(e, n+1)), v)
	}
	if c.bad || p.exact && n != len(p.columns) {
		return failed(entry, e, ErrCSV)
	}
	if f.best[atTimestamp].rank == 0 && bytes.ContainsAny(date, "0123456789") && len(clock) > 0 {
		dst := append(append(append(e.Scratch(), date...), ' '), clock...)
		f.give(atTimestamp, rankExact, textBytes(e.Keep(dst)))
	}
	f.done(text)
	return nil
}

// appendNumbered returns the name of a column that has none.
func appendNumbered(e *envelope.Envelope, n int) []byte {
	return e.Keep(fmt.Appendf(e.Scratch(), "column_%d", n))
}

// csvHeader reads a file whose first line names its columns.
type csvHeader struct {
	*csvParser
	line       []byte // the header as it stands; nil: none so far
	generation uint32
}

// Parse takes the first line as the names. That line itself is an entry whose
// message is the line, and so is each repetition of it.
func (p *csvHeader) Parse(entry []byte, e *envelope.Envelope) error {
	line := withoutBOM(entry)
	if p.line != nil && !bytes.Equal(line, p.line) {
		return p.csvParser.Parse(entry, e)
	}
	e.SetText(line)
	if p.line == nil && !p.header(line) {
		return ErrNoHeader
	}
	return nil
}

// header takes the names of the columns from a line, if it can be a header: its
// names differ, none is empty, and none begins with a digit.
func (p *csvHeader) header(line []byte) bool {
	if len(line) > maxHeader {
		return false
	}
	delimiter := p.o.Delimiter
	if delimiter == 0 {
		delimiter = likelyDelimiter(line)
	}
	var columns []column
	var names []string
	var e envelope.Envelope
	c := cells{b: line, delimiter: delimiter}
	for c.next() {
		v := c.value(&e)
		name := bytes.TrimSpace(v.Bytes)
		if len(name) == 0 || name[0]-'0' <= 9 || len(columns) == maxColumns {
			return false
		}
		columns = append(columns, newColumn(p.o, name, true))
		names = append(names, string(columns[len(columns)-1].name))
	}
	if c.bad || len(columns) == 0 || twiceIn(names) != "" {
		return false
	}
	p.line, p.delimiter = bytes.Clone(line), delimiter
	p.setColumns(columns)
	p.generation++
	return true
}

// likelyDelimiter returns what a header has most of.
func likelyDelimiter(line []byte) byte {
	best, most := byte(','), bytes.Count(line, []byte(","))
	for _, d := range []byte(";\t|") {
		if n := bytes.Count(line, []byte{d}); n > most {
			best, most = d, n
		}
	}
	return best
}

// Generation changes when the header has been read.
func (p *csvHeader) Generation() uint32 { return p.generation }

// State returns the header.
func (p *csvHeader) State() []byte { return bytes.Clone(p.line) }

// cells goes over the fields of a line of CSV.
type cells struct {
	b         []byte
	i         int
	delimiter byte

	cell            []byte // within its quotes, if it has them
	quoted, doubled bool
	ended, bad      bool
}

// next moves to the next field.
func (c *cells) next() bool {
	if c.ended || c.bad {
		return false
	}
	c.quoted, c.doubled = false, false
	if rest := c.b[c.i:]; len(rest) > 0 && rest[0] == '"' {
		return c.quotedCell(rest)
	}
	n := bytes.IndexByte(c.b[c.i:], c.delimiter)
	if n < 0 {
		c.ended = true
		n = len(c.b) - c.i
	}
	c.cell = c.b[c.i : c.i+n]
	c.i += n + 1
	if bytes.IndexByte(c.cell, '"') >= 0 {
		c.bad = true
		return false
	}
	return true
}

func (c *cells) quotedCell(rest []byte) bool {
	c.quoted = true
	for i := 1; i < len(rest); {
		n := bytes.IndexByte(rest[i:], '"')
		if n < 0 {
			break
		}
		i += n + 1
		switch {
		case i == len(rest):
			c.ended = true
		case rest[i] == '"':
			c.doubled = true
			i++
			continue
		case rest[i] != c.delimiter:
			c.bad = true
			return false
		}
		c.cell = rest[1 : i-1]
		c.i += i + 1
		return true
	}
	c.bad = true
	return false
}

// value returns the field: a number where it is one without quotes, else a
// text.
func (c *cells) value(e *envelope.Envelope) envelope.Value {
	switch {
	case !c.quoted:
		return bareValue(c.cell)
	case c.doubled:
		dst := e.Scratch()
		for i := 0; i < len(c.cell); i++ {
			dst = append(dst, c.cell[i])
			if c.cell[i] == '"' {
				i++
			}
		}
		return textBytes(e.Keep(dst))
	}
	return textBytes(c.cell)
}
