package parse

import (
	"time"

	"shiplog/agent/envelope"
)

// EventTime returns when what an entry tells has happened: the time that its
// parser found, else that of params.timestamp. o is for one that lacks a zone or
// a year. It takes the envelope as the parser left it, or as it is changed later.
func EventTime(e *envelope.Envelope, o Options) (time.Time, bool) {
	if !e.Time.IsZero() {
		return e.Time, true
	}
	var stamp envelope.Value
	if e.Raw != nil {
		stamp = rawTimestamp(e.Raw)
	}
	for i := range e.Params {
		if k := e.Params[i].Key; string(k.Bytes) == "timestamp" || string(k.Bytes) == `"timestamp"` {
			stamp = e.Params[i].Value
		}
	}
	text := stamp.Bytes
	if n := len(text); stamp.Kind == envelope.JSON && n > 2 && text[0] == '"' {
		text = text[1 : n-1]
	}
	t, ok := parseTime(text, &o)
	return t.Time(), ok
}

// rawTimestamp returns params.timestamp of an envelope that was taken as it
// stands.
func rawTimestamp(text []byte) (stamp envelope.Value) {
	var f found
	s := scanner{b: text, i: 1}
	if !f.top(&s, nil) || f.at[params] == nil || f.at[params][0] != '{' {
		return stamp
	}
	eachMember(f.at[params], func(key, value []byte) {
		if string(key) == `"timestamp"` {
			stamp = jsonValue(value)
		}
	})
	return stamp
}
