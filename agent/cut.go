package agent

import (
	"encoding/json"
	"slices"
	"sort"
	"unicode/utf8"

	"github.com/twmb/franz-go/pkg/kgo"

	"shiplog/agent/envelope"
	"shiplog/agent/parse"
	"shiplog/shipper"
)

// cutRecord shortens the message of the record's envelope until its value has
// at most so many bytes, and marks it as truncated. It reports false, and
// changes nothing, where no message is short enough.
func cutRecord(r *shipper.Record, bytes int) bool {
	format, err := parse.New("envelope", parse.Options{})
	if err != nil {
		return false // not reached: there is such a format
	}
	var e envelope.Envelope
	if format.NewParser(nil).Parse(r.Value, &e) != nil {
		return false
	}
	parse.Unfold(&e)
	message := e.Message.Bytes
	if e.Message.Kind == envelope.JSON {
		var text string
		if json.Unmarshal(message, &text) != nil {
			return false // it is no text
		}
		message = []byte(text)
	}
	e.Message = envelope.Value{Kind: envelope.Text}
	room := bytes - len(e.AppendJSON(nil))
	if room < 0 {
		return false
	}
	// The longest beginning of which the JSON string fits; it grows with the text.
	quotes := len(envelope.AppendString(nil, nil))
	n := sort.Search(len(message), func(n int) bool { return len(envelope.AppendString(nil, message[:n+1]))-quotes > room })
	for n > 0 && n < len(message) && !utf8.RuneStart(message[n]) {
		n--
	}
	e.Message.Bytes = message[:n]
	r.Value = e.AppendJSON(nil)
	truncated := func(h kgo.RecordHeader) bool { return h.Key == headerTruncated }
	if !slices.ContainsFunc(r.Headers, truncated) {
		r.Headers = append(slices.Clone(r.Headers), kgo.RecordHeader{Key: headerTruncated, Value: headerOne})
	}
	return true
}
