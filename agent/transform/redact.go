package transform

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"shiplog/agent/envelope"
)

// Redact replaces what must not leave the host, in every text of an entry.
type Redact struct {
	// Presets are names of Presets.
	Presets []string
	// Patterns are regular expressions (RE2). Where one has a group, that is
	// replaced, else all of the match.
	Patterns []string
	// Fields bound the redaction to these; all texts and numbers by default.
	Fields []string
	// With stands in place of what was found; "***" by default.
	With string
	// HashKey, if there is one, has a keyed hash stand there instead.
	HashKey []byte
}

// defaultWith is what stands in place of what was found.
const defaultWith = "***"

// finder finds what one preset or pattern is about. It returns where the next
// match in text lies, from offset from on, and false where there is none.
type finder func(text []byte, from int) (start, end int, ok bool)

// redactor replaces what its finders find.
type redactor struct {
	finders []finder
	with    [][]byte
	keys    [][]byte // nil: with stands there
}

// redaction is the step.
type redaction struct {
	redactor
	fields []field // nil: all
}

func (c *Chain) newRedaction(r *Redact, when string) (step, error) {
	if len(r.Presets)+len(r.Patterns) == 0 {
		return nil, errors.New("redact: name presets or patterns")
	}
	if r.HashKey != nil {
		if err := checkKey(r.HashKey); err != nil {
			return nil, fmt.Errorf("redact: %w", err)
		}
	}
	with := r.With
	if with == "" {
		with = defaultWith
	}
	s := &redaction{}
	add := func(f finder) {
		s.finders, s.with, s.keys = append(s.finders, f), append(s.with, []byte(with)), append(s.keys, r.HashKey)
	}
	for _, name := range r.Presets {
		f, ok := preset(name)
		if !ok {
			return nil, fmt.Errorf("redact: %q is none of %s", name, strings.Join(Presets(), ", "))
		}
		add(f)
	}
	for _, p := range r.Patterns {
		re, err := regexp.Compile(p)
		if err != nil {
			return nil, fmt.Errorf("redact: pattern %q: %w", p, err)
		}
		if re.MatchString("") {
			return nil, fmt.Errorf("redact: pattern %q matches nothing at all, and so everywhere", p)
		}
		add(patternFinder(re))
	}
	var err error
	if s.fields, err = parseFields(r.Fields); err != nil {
		return nil, fmt.Errorf("redact: %w", err)
	}
	c.redacts = true
	c.redactor.finders = append(c.redactor.finders, s.finders...)
	c.redactor.with = append(c.redactor.with, s.with...)
	c.redactor.keys = append(c.redactor.keys, s.keys...)
	return s, nil
}

// patternFinder finds the first group of a pattern that took part, or the whole
// match.
func patternFinder(re *regexp.Regexp) finder {
	return func(text []byte, from int) (int, int, bool) {
		m := re.FindSubmatchIndex(text[from:])
		if m == nil || m[0] == m[1] {
			return 0, 0, false
		}
		for i := 2; i+1 < len(m); i += 2 {
			if m[i] >= 0 && m[i+1] > m[i] {
				return from + m[i], from + m[i+1], true
			}
		}
		return from + m[0], from + m[1], true
	}
}

// append appends text to dst with what is found replaced.
func (r *redactor) append(dst, text []byte) []byte {
	begin := len(dst)
	dst = append(dst, text...)
	for i, find := range r.finders {
		for at := begin; ; {
			start, end, ok := find(dst[begin:], at-begin)
			if !ok {
				break
			}
			start, end = start+begin, end+begin
			with := r.with[i]
			if r.keys[i] != nil {
				with = keyedHash(nil, r.keys[i], dst[start:end])
			}
			dst = slices.Replace(dst, start, end, with...)
			at = start + max(len(with), 1)
			if at > len(dst) {
				break
			}
		}
	}
	return dst
}

// found reports whether there is anything to replace in text.
func (r *redactor) found(text []byte) bool {
	return slices.ContainsFunc(r.finders, func(f finder) bool { _, _, ok := f(text, 0); return ok })
}

func (s *redaction) apply(f *File, e *envelope.Envelope, _ int64) (Action, error) {
	f.scope.built = false
	if s.fields != nil {
		for i := range s.fields {
			if v := s.fields[i].get(e); v.Kind != envelope.None {
				if n, changed := s.value(f, e, v); changed {
					s.fields[i].set(e, n)
				}
			}
		}
		return Ship, nil
	}
	for _, v := range []*envelope.Value{&e.Message, &e.Application, &e.Username, &e.Operation} {
		*v, _ = s.value(f, e, *v)
	}
	for _, ms := range [][]envelope.Member{e.Params, e.PayloadExtra, e.Extra} {
		for i := range ms {
			ms[i].Key, _ = s.value(f, e, ms[i].Key)
			ms[i].Value, _ = s.value(f, e, ms[i].Value)
		}
	}
	return Ship, nil
}

// value returns v redacted, and whether that is another than v.
func (s *redaction) value(f *File, e *envelope.Envelope, v envelope.Value) (envelope.Value, bool) {
	if v.Kind == envelope.None || len(v.Bytes) == 0 {
		return v, false
	}
	if c := v.Bytes[0]; v.Kind == envelope.JSON && (c == '{' || c == '[') {
		return s.nested(f, e, v)
	}
	f.text = appendText(f.text[:0], v)
	if !s.found(f.text) {
		return v, false
	}
	f.out = s.append(f.out[:0], f.text)
	return envelope.Value{Kind: envelope.Text, Bytes: e.Keep(f.out)}, true
}

// nested redacts the strings and numbers within an object or a list, names
// included.
func (s *redaction) nested(f *File, e *envelope.Envelope, v envelope.Value) (envelope.Value, bool) {
	var out []byte
	from := 0 // what lies before is in out, or nothing is yet
	for i := 0; i < len(v.Bytes); {
		c := v.Bytes[i]
		if c != '"' && c != '-' && (c < '0' || c > '9') {
			i++
			continue
		}
		end := valueEnd(v.Bytes, i)
		n, changed := s.value(f, e, envelope.Value{Kind: envelope.JSON, Bytes: v.Bytes[i:end]})
		if changed {
			out = append(out, v.Bytes[from:i]...)
			out = envelope.AppendString(out, n.Bytes)
			from = end
		}
		i = end
	}
	if out == nil {
		return v, false
	}
	return envelope.Value{Kind: envelope.JSON, Bytes: append(out, v.Bytes[from:]...)}, true
}

// within reports whether any of the words, which are in lower case and begin
// with a letter, is in text in any letters.
func within(text []byte, words ...string) bool {
	for _, w := range words {
		for _, first := range [2]byte{w[0], w[0] - 'a' + 'A'} {
			for rest := text; len(rest) >= len(w); {
				i := bytes.IndexByte(rest, first)
				if i < 0 || i+len(w) > len(rest) {
					break
				}
				if equalFold(rest[i:i+len(w)], w) {
					return true
				}
				rest = rest[i+1:]
			}
		}
	}
	return false
}

// equalFold compares ASCII letters; lower is in lower case.
func equalFold(b []byte, lower string) bool {
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}
