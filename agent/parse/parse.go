// Package parse turns the bytes of one log entry into an envelope.
//
// # Formats
//
//   - envelope: the standard envelope, as strict JSON or in the relaxed form that
//     legacy applications write (a YAML flow mapping, whose scalars are taken as
//     strings). An incomplete one is completed; unknown members are kept.
//   - json: any JSON object, as zap, logrus, slog, zerolog, pino, bunyan,
//     winston, Log4j, Logback, Serilog, NLog, Monolog and Python write it: see
//     names.go. An object that is an envelope is read as one. A Serilog template
//     is rendered where there is no message, and stays in params.
//   - logfmt, csv, w3c, clf, nginx_error, apache_error, syslog, sqlserver: by
//     their structure. csv and w3c keep what names their columns with the file's
//     checkpoint.
//   - docker, cri: what a container wrote, read by the format Options.Inner.
//     Lines that came in parts have to be joined before (DockerJoin, CRIJoin,
//     or, for auto, PieceJoin).
//   - regex, grok: by a pattern.
//   - text: a plain line. Its time, level, thread, logger, process, host and
//     what it has in brackets are recognised by what they look like and where
//     they stand, and go to params; what remains is the message.
//   - auto: by recognition: what begins with a brace is an envelope or a JSON
//     object, always. The first entries of a file decide of which format the
//     others are: that which knows them most surely, otherwise text. csv is told
//     by the file's first line and one below it that has as many fields. The choice
//     is kept with the checkpoint; an entry that does not fit is text.
//   - raw: the entry is the message.
//
// # Places
//
// The fields of an entry, in whichever format, go by their names: message,
// application, username and operation to the envelope, timestamp, level, logger
// and thread to params under these names, all others to params under their own.
// Options.Map gives fields other names before that. Where structures leave the
// names to the application (json, logfmt, csv, w3c), what loggers usually call
// these is known too; the first of usual names that is there wins.
//
//   - timestamp becomes RFC 3339, fractions digit for digit; numbers since 1970
//     by their size. What is no time for certain stays as it is, where it is.
//   - level becomes trace, debug, info, warn, error or fatal. A word that says
//     more than that (notice, critical) stays beside it, any other as it is.
//   - Numbers that stand without quotes in logfmt, csv, w3c and request logs are
//     numbers, digit for digit, up to 15 digits and without leading zeros; regex
//     and grok take texts, unless a grok pattern names a type.
//   - No name is in params twice: the later one, or the one whose name a place
//     needs, gets "payload." before it.
//
// The message of a request (clf, w3c) is the request: GET /path HTTP/1.1, or
// method, path and query. A request is no operation: URLs are too many for that;
// Map can say otherwise. Where nothing else is the message, the entry is.
//
// # Nothing is lost
//
// What does not parse is shipped whole as the message, with an error that tells
// why; the agent puts it into a header. Members that cannot go where their name
// belongs (a user that is an object) go to params. Left out is only what says
// that there is nothing: "-" in request logs and syslog, and groups of a pattern
// that matched nothing.
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
	// DateOrder says what comes first in a date such as 03/04/2026; "" is
	// OrderAuto.
	DateOrder DateOrder
	// Map gives fields other names, by the names that they have in the log. A
	// place (message, application, username, operation, timestamp, level,
	// logger, thread) takes the field before the usual names do; any other name
	// is one in params.
	Map map[string]string
	// Pattern is what the formats regex and grok match each entry against.
	Pattern string
	// Patterns are further patterns for grok, by name.
	Patterns map[string]string
	// Columns name the fields of csv; none: the file's first line does.
	Columns []string
	// Delimiter is what is between the fields of csv; 0: a comma or, where the
	// first line names the columns, what it has most of: comma, semicolon, tab
	// or bar.
	Delimiter byte
	// Inner is the format of what docker and cri carry; "" is auto.
	Inner string

	inside bool // it is for what stands within another format
}

// settings are Options made ready.
type settings struct {
	Options
	renames map[string]target
}

// target is where Options.Map sends a field.
type target struct {
	place place
	key   envelope.Value
}

// Why an entry did not parse.
var (
	ErrNotObject   = errors.New("not an object")
	ErrInvalidJSON = errors.New("invalid JSON")
	ErrNoMessage   = errors.New("an object without message")
	ErrNoPayload   = errors.New("an object, not in JSON, without payload: no envelope")
	ErrTwice       = errors.New("a member is there twice")
	ErrRelaxed     = errors.New("neither JSON nor a relaxed envelope")
)

// format is a Format.
type format struct {
	parser func(state []byte) Parser
	detect func(entry []byte) int
}

// NewParser returns a parser for one file.
func (f format) NewParser(state []byte) Parser { return f.parser(state) }

// Detect returns how surely an entry, as it stands in a file, is of this
// format: from 0, it is not, to 100.
func (f format) Detect(entry []byte) int { return f.detect(entry) }

// stateless is a format whose parsers know nothing of earlier entries, so that
// one serves all files.
func stateless(p Parser, detect func([]byte) int) (Format, error) {
	return format{func([]byte) Parser { return p }, detect}, nil
}

// never is for formats that nothing tells apart from text.
func never([]byte) int { return 0 }

// row is a format in the table of them.
type row struct {
	name string
	open func(o *settings) (Format, error)
}

// table lists the formats, in the order in which they are told to people.
func table() []row {
	return []row{
		{"auto", newAuto},
		{"envelope", func(*settings) (Format, error) { return stateless(envelopes{}, detectEnvelope) }},
		{"json", func(o *settings) (Format, error) { return stateless(objects{o}, detectObject) }},
		{"logfmt", func(o *settings) (Format, error) { return stateless(logfmt{o}, detectLogfmt) }},
		{"csv", newCSV},
		{"w3c", newW3C},
		{"clf", func(o *settings) (Format, error) { return stateless(clf{o}, detectCLF) }},
		{"nginx_error", func(o *settings) (Format, error) { return stateless(nginxError{o}, detectNginxError) }},
		{"apache_error", func(o *settings) (Format, error) { return stateless(apacheError{o}, detectApacheError) }},
		{"syslog", func(o *settings) (Format, error) { return stateless(syslog{o}, detectSyslog) }},
		{"sqlserver", func(o *settings) (Format, error) { return stateless(sqlServer{o}, detectSQLServer) }},
		{"docker", newDocker},
		{"cri", newCRI},
		{"regex", newRegex},
		{"grok", newGrok},
		{"text", func(o *settings) (Format, error) { return textFormat{&o.Options}, nil }},
		{"raw", func(*settings) (Format, error) { return stateless(raw{}, never) }},
	}
}

// Formats returns the names that New takes.
func Formats() []string {
	var names []string
	for _, r := range table() {
		names = append(names, r.name)
	}
	return names
}

// New returns a format by its name. The error says which option is wrong.
func New(name string, o Options) (Format, error) {
	s := &settings{Options: o}
	if len(o.Map) > 0 {
		s.renames = make(map[string]target, len(o.Map))
	}
	for from, to := range o.Map {
		if from == "" || to == "" {
			return nil, errors.New("map: a name is empty")
		}
		s.renames[from] = target{exactPlace([]byte(to)), textValue(to)}
	}
	for _, r := range table() {
		if r.name == name {
			return r.open(s)
		}
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
	err := strict(text, e, nil)
	if err == ErrInvalidJSON {
		err = relaxed(text, e, false)
	}
	if err != nil {
		e.SetText(withoutBOM(entry))
	}
	return err
}

// detectEnvelope knows a strict envelope for certain. A relaxed one is told by
// its beginning.
func detectEnvelope(entry []byte) int {
	text := trim(withoutBOM(entry))
	if len(text) < 2 || text[0] != '{' || text[len(text)-1] != '}' || !bytes.Contains(text, []byte("payload")) {
		return 0
	}
	var f found
	s := scanner{b: text, i: 1}
	switch {
	case f.top(&s, nil) && s.end():
		if f.at[message] != nil && f.within {
			return 100
		}
		return 0
	case bytes.Contains(text, []byte("message")):
		return 80
	}
	return 0
}

type objects struct{ o *settings }

// Parse reads a JSON object.
func (p objects) Parse(entry []byte, e *envelope.Envelope) error {
	text := trim(withoutBOM(entry))
	if len(text) == 0 || text[0] != '{' {
		e.SetText(withoutBOM(entry))
		return ErrNotObject
	}
	err := strict(text, e, p.o)
	if err != nil {
		e.SetText(withoutBOM(entry))
	}
	return err
}

// detectObject knows a JSON object for certain.
func detectObject(entry []byte) int {
	text := trim(withoutBOM(entry))
	if len(text) == 0 || text[0] != '{' {
		return 0
	}
	s := scanner{b: text}
	if _, ok := s.value(); !ok || !s.end() {
		return 0
	}
	return 90
}

// braces reads what begins with a brace, for auto.
type braces struct{ o *settings }

// Parse reads an envelope or a JSON object.
func (p braces) Parse(entry []byte, e *envelope.Envelope) error {
	text := trim(withoutBOM(entry))
	if len(text) == 0 || text[0] != '{' {
		e.SetText(withoutBOM(entry))
		return nil
	}
	err := strict(text, e, p.o)
	if err == ErrInvalidJSON {
		err = relaxed(text, e, true)
	}
	if err != nil {
		e.SetText(withoutBOM(entry))
	}
	return err
}

// failed makes the whole entry the message, for the reason that err is.
func failed(entry []byte, e *envelope.Envelope, err error) error {
	e.SetText(withoutBOM(entry))
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
