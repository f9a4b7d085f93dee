package agent

import (
	"slices"
	"sort"
	"unicode/utf8"

	"github.com/twmb/franz-go/pkg/kgo"

	"shiplog/agent/envelope"
	"shiplog/shipper"
)

// cutRecord shortens the message of the record's envelope until its value has
// at most so many bytes, and marks it as truncated. It reports false, and
// changes nothing, where no message is short enough.
func cutRecord(r *shipper.Record, bytes int) bool {
	e, message, ok := readEnvelope(r.Value)
	if !ok {
		return false
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
	if !slices.ContainsFunc(r.Headers, isTruncated) {
		r.Headers = append(slices.Clone(r.Headers), kgo.RecordHeader{Key: headerTruncated, Value: headerOne})
	}
	return true
}

func isTruncated(h kgo.RecordHeader) bool { return h.Key == headerTruncated }
