package agent

import (
	"shiplog/agent/envelope"
	"shiplog/agent/parse"
)

// Encoder turns entries into envelopes, as the agent sends them. It is safe
// for concurrent use.
type Encoder struct {
	parser      parse.Parser
	application []byte
}

// NewEncoder returns the encoder for a format; application stands where an
// entry names none.
func NewEncoder(format, application string) (*Encoder, error) {
	p, err := parse.New(format)
	if err != nil {
		return nil, err
	}
	return &Encoder{parser: p, application: []byte(application)}, nil
}

// Encode fills e from entry. The error says why the entry did not parse; e
// holds all of it as its message then, and can be sent.
func (n *Encoder) Encode(entry []byte, e *envelope.Envelope) error {
	e.Reset()
	err := n.parser.Parse(entry, e)
	if e.Application.Kind == envelope.None {
		e.Application = envelope.Value{Kind: envelope.Text, Bytes: n.application}
	}
	return err
}
