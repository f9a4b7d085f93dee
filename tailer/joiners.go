package tailer

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// The state of the joiners here, which is 0 where no entry is open.
const (
	stateOpen  uint32 = 1 << 31 // in all others
	stateBegan uint32 = 1 << 30 // the entry's first line begins as entries do
	// Below lies the language of the trace that the entry has come to, as a place
	// in a list counted from 1, and what that language knows of it.
	stateLanguage = 8
	stateTrace    = 1<<stateLanguage - 1
)

// patternJoiner joins by the patterns of an operator.
type patternJoiner struct{ start, continues, end *regexp.Regexp }

// NewPatternJoiner returns a joiner that goes by patterns, of which nil ones say
// nothing. A line that start matches begins an entry. Any other continues the
// open one if continues matches it, or where that is nil. An entry ends with a
// line that end matches.
func NewPatternJoiner(start, continues, end *regexp.Regexp) Joiner {
	return patternJoiner{start, continues, end}
}

// Join implements Joiner.
func (j patternJoiner) Join(_ uint32, line []byte) (joins bool, next uint32) {
	joins = (j.start == nil || !j.start.Match(line)) && (j.continues == nil || j.continues.Match(line))
	if j.end != nil && j.end.Match(line) {
		return joins, 0
	}
	return joins, stateOpen
}

// language knows the stack traces of one programming language, or of several
// that write them alike. state is what it returned for the line before, 0 where
// the entry has not come to a trace. joins reports whether line goes on with the
// entry; next is the state after it, as the first line of its own entry where it
// does not join; end that the entry ends with it.
type language func(state uint32, line []byte) (joins bool, next uint32, end bool)

// presets returns the languages by the names that operators give them.
func presets() map[string][]language {
	return map[string][]language{
		"java": {frames}, "dotnet": {frames}, "node": {frames}, "python": {python},
		"go": {golang}, "ruby": {ruby, python}, "php": {php},
	}
}

// NewPresetJoiner returns the joiner for the stack traces of a language: java,
// dotnet, python, go, ruby, node or php. Each line that is no part of one is an
// entry of its own.
func NewPresetJoiner(name string) (Joiner, error) {
	ls, ok := presets()[name]
	if !ok {
		var names []string
		for n := range presets() {
			names = append(names, n)
		}
		slices.Sort(names)
		return nil, fmt.Errorf("multiline preset %q is none of %s", name, strings.Join(names, ", "))
	}
	return traceJoiner(ls), nil
}

// traceJoiner joins stack traces to the line before them.
type traceJoiner []language

// Join implements Joiner. A blank line stands between the parts of many traces.
func (j traceJoiner) Join(state uint32, line []byte) (joins bool, next uint32) {
	if blank(line) {
		return true, state | stateOpen
	}
	current := int(state &^ (stateOpen | stateBegan) >> stateLanguage)
	first := stateOpen // the state after line as the first of an entry
	for i, l := range j {
		of := uint32(0)
		if current == i+1 {
			of = state & stateTrace
		}
		joins, next, end := l(of, line)
		switch {
		case end && joins:
			return true, 0
		case joins && (current == 0 || current == i+1):
			if next == 0 {
				return true, state | stateOpen
			}
			return true, stateOpen | uint32(i+1)<<stateLanguage | next
		case !joins && next != 0 && first == stateOpen:
			first |= uint32(i+1)<<stateLanguage | next
		}
	}
	if current != 0 { // what the trace made of it says nothing of it as a first line
		_, first = j.Join(0, line)
	}
	return false, first
}

// autoJoiner joins without being told how.
type autoJoiner struct {
	begins func(line []byte) bool
	traces traceJoiner
}

// NewAutoJoiner returns a joiner that goes by how the entries of a file begin.
// begins reports whether a line begins as entries do: with a timestamp at or
// near its start. An entry that begins so is continued by each line that does
// not. One that does not is continued only by what is part of a stack trace in
// any of the languages of NewPresetJoiner. A line that begins with { always
// begins an entry, and a directive of the W3C format, such as #Fields:, is one.
func NewAutoJoiner(begins func(line []byte) bool) Joiner {
	return autoJoiner{begins, traceJoiner{frames, python, golang, ruby, php, object}}
}

// Join implements Joiner.
func (j autoJoiner) Join(state uint32, line []byte) (joins bool, next uint32) {
	switch {
	case blank(line):
		return true, state | stateOpen
	case line[0] == '{':
		if bytes.HasSuffix(bytes.TrimRight(line, " \t"), []byte("}")) {
			return false, 0 // whole
		}
		_, next = j.traces.Join(0, line)
		return false, next
	case j.begins(line):
		return false, stateOpen | stateBegan
	case isDirective(line):
		return false, 0
	case state&stateBegan != 0:
		return true, state
	}
	return j.traces.Join(state, line)
}

// isDirective reports whether line is like #Fields: date time.
func isDirective(line []byte) bool {
	if len(line) < 3 || line[0] != '#' || line[1] < 'A' || line[1] > 'Z' {
		return false
	}
	word, _, _ := bytes.Cut(line, []byte(" "))
	return word[len(word)-1] == ':'
}

// object is the language of JSON objects that are written over several lines.
func object(state uint32, line []byte) (joins bool, next uint32, end bool) {
	switch {
	case len(bytes.TrimSpace(line)) == 1 && line[0] == '{':
		return false, 1, false
	case state == 0:
		return false, 0, false
	case line[0] == '}':
		return true, 0, true
	}
	return indented(line), 1, false
}
