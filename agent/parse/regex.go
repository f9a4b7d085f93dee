package parse

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"strconv"
	"strings"

	"shiplog/agent/envelope"
)

// newRegex opens the format regex: Options.Pattern with named groups. It is
// RE2's syntax and RE2's promise: the time is linear in the line's length,
// whatever line and pattern are. It costs some 15 ns a byte and an allocation for
// a simple pattern that matches at the start of the line, five to ten times as
// much for one that has to be searched for; the formats that are made for one
// structure cost 3 to 6 ns a byte and allocate nothing.
func newRegex(o *settings) (Format, error) {
	if o.Pattern == "" {
		return nil, errors.New("the format regex needs a pattern: with named groups, such as (?P<message>.*)")
	}
	re, err := compilePattern(o.Pattern)
	if err != nil {
		return nil, err
	}
	return newMatcher(o, re, nil)
}

// longestPattern bounds a pattern, in bytes.
const longestPattern = 64 << 10

// compiled is a pattern, compiled twice.
type compiled struct {
	start *regexp.Regexp // matches at the start of a text only
	any   *regexp.Regexp // anywhere; nil where the pattern is for the start only
}

func compilePattern(pattern string) (compiled, error) {
	if len(pattern) > longestPattern {
		return compiled{}, fmt.Errorf("pattern: %d bytes are more than %d", len(pattern), longestPattern)
	}
	tree, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return compiled{}, fmt.Errorf("pattern: %w", err)
	}
	tree = withoutUnnamed(tree)
	var c compiled
	if c.start, err = regexp.Compile(`\A(?:` + tree.String() + `)`); err != nil {
		return compiled{}, fmt.Errorf("pattern: %w", err)
	}
	if tree.Op != syntax.OpConcat || tree.Sub[0].Op != syntax.OpBeginText {
		c.any, err = regexp.Compile(tree.String())
	}
	return c, err
}

// match returns where the first match and its groups lie. One at the start is
// the first, and is found several times faster by itself.
func (c *compiled) match(text []byte) []int {
	at := c.start.FindSubmatchIndex(text)
	if at == nil && c.any != nil {
		at = c.any.FindSubmatchIndex(text)
	}
	return at
}

// withoutUnnamed makes groups that have no name groups that capture nothing:
// the matcher carries each capture along, and the pattern set is full of them.
func withoutUnnamed(re *syntax.Regexp) *syntax.Regexp {
	for i, sub := range re.Sub {
		re.Sub[i] = withoutUnnamed(sub)
	}
	if re.Op == syntax.OpCapture && re.Name == "" {
		return re.Sub[0]
	}
	return re
}

// newMatcher opens a format that is a compiled pattern. named are the fields
// whose groups are numbered.
func newMatcher(o *settings, c compiled, named []grokField) (Format, error) {
	m := matcher{o: o, pattern: c}
	for i, name := range c.start.SubexpNames() {
		if name == "" {
			continue
		}
		g := grokField{name: name}
		if n, err := strconv.Atoi(strings.TrimPrefix(name, "_")); err == nil && n < len(named) {
			g = named[n]
		}
		m.groups = append(m.groups, group{index: i, column: newColumn(o, []byte(g.name), false), typed: g.typed})
	}
	if len(m.groups) == 0 {
		return nil, errors.New("pattern: has no named group, such as (?P<message>.*)")
	}
	return stateless(m, never)
}

// group is a named group of a pattern.
type group struct {
	column
	index int
	typed string // int, long, float, double, bool, boolean: what grok says
}

// matcher reads entries by a pattern.
type matcher struct {
	o       *settings
	pattern compiled
	groups  []group
}

// Parse matches the pattern against an entry. A group that took no part, or
// matched nothing, is absent.
func (m matcher) Parse(entry []byte, e *envelope.Envelope) error {
	text := withoutBOM(entry)
	at := m.pattern.match(text)
	if at == nil {
		return failed(entry, e, ErrNoMatch)
	}
	f := newFields(e, m.o, false)
	for i := range m.groups {
		g := &m.groups[i]
		from, to := at[2*g.index], at[2*g.index+1]
		if from >= 0 && to > from {
			f.column(&g.column, g.value(text[from:to]))
		}
	}
	f.done(text)
	return nil
}

// value returns what a group matched, as the type that the pattern names if it
// can be that.
func (g *group) value(b []byte) envelope.Value {
	switch g.typed {
	case "int", "long", "float", "double":
		s := scanner{b: b}
		if s.number() && s.i == len(b) {
			return jsonValue(b)
		}
	case "bool", "boolean":
		if string(b) == "true" || string(b) == "false" {
			return jsonValue(b)
		}
	}
	return textBytes(b)
}
