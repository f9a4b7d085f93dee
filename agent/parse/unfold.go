package parse

import "shiplog/agent/envelope"

// Unfold takes an envelope that was taken as it stands (its Raw) apart, so that
// its fields can be looked at and changed. Values, names and their order stay.
func Unfold(e *envelope.Envelope) {
	if e.Raw == nil {
		return
	}
	text := e.Raw
	var f found
	s := scanner{b: text, i: 1}
	if !f.top(&s, nil) {
		return // not reached: Raw is what strict found whole
	}
	e.Raw, e.Application = nil, envelope.Value{}
	f.fill(text, e)
}
