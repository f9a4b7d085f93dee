// Package parse turns the bytes of one log entry into an envelope.
//
// # Formats
//
//   - envelope: the standard envelope, as strict JSON or in the relaxed form that
//     legacy applications write (a YAML flow mapping, whose scalars are taken as
//     strings). An incomplete one is completed; unknown members are kept.
//   - json: any JSON object. Its usual names (see names.go) become message,
//     application, username and operation; all others go to params as they are.
//     An object that is an envelope is read as one.
//   - raw: the entry is the message.
//   - auto: by recognition, entry by entry: what begins with a brace is an
//     envelope or a JSON object, all else is raw.
//
// # Nothing is lost
//
// What does not parse is shipped whole as the message, with an error that tells
// why; the agent puts it into a header. Members that cannot go where their name
// belongs (a user that is an object) go to params.
package parse

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"shiplog/agent/envelope"
)

// Format is a way to read entries. It is safe for concurrent use.
type Format interface {
	// NewParser returns a parser for one file. state is what State of an
	// earlier parser of that file returned last, nil for a file that is new; a
	// state that is not understood counts as none.
	NewParser(state []byte) Parser
}

// Parser reads the entries of one file, in their order. One goroutine uses it
// at a time.
type Parser interface {
	// Parse fills e, which was Reset, from entry. What e holds then may alias
	// entry, e's own memory and the parser's, and is valid until the next call.
	// The application stays None where the entry names none. An error says why
	// the entry did not parse; e holds the whole entry as its message then.
	// Errors are static: they cost no allocation.
	Parse(entry []byte, e *envelope.Envelope) error
}

// Stateful is a Parser for which earlier entries of the file matter: column
// names, a choice of format. Its state is kept with the checkpoint.
type Stateful interface {
	Parser
	// Generation changes with each change of the state.
	Generation() uint32
	// State returns what NewParser needs to go on after the last entry, in at
	// most some KiB. The caller may keep it.
	State() []byte
}

// Options say how a format reads. The zero value is the default of each.
type Options struct {
	// Location is for times that name no zone; nil is time.Local.
	Location *time.Location
	// Now is for times without a year or a date; nil is time.Now.
	Now func() time.Time
}

// Why an entry did not parse.
var (
	ErrNotObject   = errors.New("not an object")
	ErrInvalidJSON = errors.New("invalid JSON")
	ErrNoMessage   = errors.New("an object without message")
	ErrTwice       = errors.New("a member is there twice")
	ErrRelaxed     = errors.New("neither JSON nor a relaxed envelope")
)

// stateless is a Format whose parsers know nothing of earlier entries, so that
// one serves all files.
type stateless struct{ Parser }

// NewParser returns the one parser.
func (s stateless) NewParser([]byte) Parser { return s.Parser }

// Formats returns the names that New takes.
func Formats() []string { return []string{"auto", "envelope", "json", "raw"} }

// New returns a format by its name.
func New(name string, _ Options) (Format, error) {
	switch name {
	case "auto":
		return stateless{auto{}}, nil
	case "envelope":
		return stateless{envelopes{}}, nil
	case "json":
		return stateless{objects{}}, nil
	case "raw":
		return stateless{raw{}}, nil
	}
	return nil, fmt.Errorf("format %q is none of %s", name, strings.Join(Formats(), ", "))
}

type raw struct{}

// Parse makes the entry the message.
func (raw) Parse(entry []byte, e *envelope.Envelope) error {
	e.SetText(withoutBOM(entry))
	return nil
}

type envelopes struct{}

// Parse reads a strict or a relaxed envelope.
func (envelopes) Parse(entry []byte, e *envelope.Envelope) error {
	text := trim(withoutBOM(entry))
	if len(text) == 0 || text[0] != '{' {
		e.SetText(withoutBOM(entry))
		return ErrNotObject
	}
	err := strict(text, e, false)
	if err == ErrInvalidJSON {
		err = relaxed(text, e, false)
	}
	if err != nil {
		e.SetText(withoutBOM(entry))
	}
	return err
}

type objects struct{}

// Parse reads a JSON object.
func (objects) Parse(entry []byte, e *envelope.Envelope) error {
	text := trim(withoutBOM(entry))
	if len(text) == 0 || text[0] != '{' {
		e.SetText(withoutBOM(entry))
		return ErrNotObject
	}
	err := strict(text, e, true)
	if err == ErrNoMessage {
		err = object(text, e)
	}
	if err != nil {
		e.SetText(withoutBOM(entry))
	}
	return err
}

type auto struct{}

// Parse recognises what the entry is.
func (auto) Parse(entry []byte, e *envelope.Envelope) error {
	text := trim(withoutBOM(entry))
	if len(text) == 0 || text[0] != '{' {
		e.SetText(withoutBOM(entry))
		return nil
	}
	err := strict(text, e, true)
	switch err {
	case ErrNoMessage:
		err = object(text, e)
	case ErrInvalidJSON:
		err = relaxed(text, e, true)
	}
	if err != nil {
		e.SetText(withoutBOM(entry))
	}
	return err
}

// withoutBOM takes off a byte order mark.
func withoutBOM(b []byte) []byte {
	if len(b) >= 3 && b[0] == 0xEF && b[1] == 0xBB && b[2] == 0xBF && len(b) > 3 {
		return b[3:]
	}
	return b
}

// trim takes JSON's white space off both ends.
func trim(b []byte) []byte {
	for len(b) > 0 && isSpace(b[0]) {
		b = b[1:]
	}
	for len(b) > 0 && isSpace(b[len(b)-1]) {
		b = b[:len(b)-1]
	}
	return b
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// repaired returns text with each byte that is no UTF-8 replaced by U+FFFD.
func repaired(text []byte) []byte {
	var out bytes.Buffer
	out.Grow(len(text) + 16)
	for len(text) > 0 {
		r, n := utf8.DecodeRune(text)
		out.WriteRune(r)
		text = text[n:]
	}
	return out.Bytes()
}
