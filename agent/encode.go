package agent

import (
	"slices"
	"time"

	"shiplog/agent/envelope"
	"shiplog/agent/parse"
	"shiplog/agent/transform"
)

// Encoder turns the entries of the files of one input into envelopes, as the
// agent sends them. It is safe for concurrent use.
type Encoder struct {
	name        string // of the format, as configured
	format      parse.Format
	application []byte
	chain       *transform.Chain // nil: nothing is transformed
}

// NewEncoder returns the encoder for a format; application stands where an
// entry names none. The error says which option is wrong.
func NewEncoder(format, application string, o parse.Options) (*Encoder, error) {
	f, err := parse.New(format, o)
	if err != nil {
		return nil, err
	}
	return &Encoder{name: format, format: f, application: []byte(application)}, nil
}

// File returns the encoder for the file that has this id. state is what the
// file's encoder of an earlier run said last, nil for a file that is new.
func (n *Encoder) File(id uint64, state []byte) *FileEncoder {
	p := n.format.NewParser(state)
	f := &FileEncoder{encoder: n, parser: p}
	if !n.chain.Empty() {
		f.chain = n.chain.File(id)
	}
	f.clocked, _ = p.(parse.Clocked)
	if s, ok := p.(parse.Stateful); ok {
		f.stateful, f.generation = s, s.Generation()
	}
	return f
}

// FileEncoder turns the entries of one file, in their order, into envelopes.
// One goroutine uses it at a time.
type FileEncoder struct {
	encoder    *Encoder
	parser     parse.Parser
	stateful   parse.Stateful // nil: earlier entries do not matter
	generation uint32
	clocked    parse.Clocked   // nil: the time does not matter
	chain      *transform.File // nil: nothing is transformed
}

// state returns what the parser of the file's following entries has to know;
// nil where earlier entries do not matter.
func (f *FileEncoder) state() []byte {
	if f.stateful == nil {
		return nil
	}
	return slices.Clone(f.stateful.State())
}

// Begin tells the time, once for the entries that follow.
func (f *FileEncoder) Begin(now time.Time) {
	if f.clocked != nil {
		f.clocked.Begin(now)
	}
	if f.chain != nil {
		f.chain.Begin(now)
	}
}

// Chosen returns the format that was chosen for the file, and why. The format is
// "" where the configuration names it, and before the first entry; of a
// container's log the reason tells then how its text is read.
func (f *FileEncoder) Chosen() (format, reason string) {
	if c, ok := f.parser.(parse.Chooser); ok {
		return c.Chosen()
	}
	return "", ""
}

// Encode fills e from entry. The error says why the entry did not parse; e
// holds all of it as its message then, and can be sent.
func (f *FileEncoder) Encode(entry []byte, e *envelope.Envelope) error {
	e.Reset()
	err := f.parser.Parse(entry, e)
	if e.Application.Kind == envelope.None {
		e.Application = envelope.Value{Kind: envelope.Text, Bytes: f.encoder.application}
	}
	return err
}

// Transform carries the input's transformations out on e, which Encode filled
// from the entry that begins at offset.
func (f *FileEncoder) Transform(e *envelope.Envelope, offset int64) transform.Result {
	if f.chain == nil {
		return transform.Result{}
	}
	parse.Unfold(e)
	return f.chain.Apply(e, offset)
}

// redact appends text to dst as it may leave the host.
func (n *Encoder) redact(dst []byte, text string) []byte {
	if !n.chain.Redacts() {
		return append(dst, text...)
	}
	return n.chain.RedactText(dst, []byte(text))
}

// changed returns the state after the last entry, if that entry changed it.
func (f *FileEncoder) changed() ([]byte, bool) {
	if f.stateful == nil || f.stateful.Generation() == f.generation {
		return nil, false
	}
	f.generation = f.stateful.Generation()
	return f.state(), true
}
