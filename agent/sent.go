package agent

import (
	"cmp"
	"encoding/json"
	"slices"

	"github.com/cespare/xxhash/v2"
	"github.com/twmb/franz-go/pkg/kgo"

	"shiplog/agent/checkpoint"
	"shiplog/agent/envelope"
	"shiplog/agent/parse"
)

// A checkpoint.Sent has the checksum of what an entry became, of one of three
// kinds. Each begins differently, so that one is not taken for another.

// sumOf is the checksum of a record's value.
func sumOf(value []byte) uint32 { return uint32(xxhash.Sum64(value)) }

// sumOfLetter is that of an entry of which a dead letter was made: of its own
// bytes.
func sumOfLetter(entry []byte) uint32 { return sumMarked("letter\n", entry) }

// sumOfCut is that of a value of which too_large: cut may have left only a part
// of the message: of the envelope with the message's first cutProof bytes. What
// is longer need not be there. ok is false where the message is shorter: that it
// is the same entry would not be certain.
func sumOfCut(value []byte) (sum uint32, ok bool) {
	e, message, ok := readEnvelope(value)
	if !ok || len(message) < cutProof {
		return 0, false
	}
	e.Message = envelope.Value{Kind: envelope.Text, Bytes: message[:cutProof]}
	return sumMarked("cut\n", e.AppendJSON(nil)), true
}

// cutProof is how much of a message, in bytes, proves which entry was cut.
const cutProof = 512

func sumMarked(kind string, b []byte) uint32 {
	var d xxhash.Digest
	d.Reset()
	d.WriteString(kind) //nolint:errcheck // it never fails
	d.Write(b)          //nolint:errcheck // it never fails
	return uint32(d.Sum64())
}

// readEnvelope reads the value of a record, and its message as text.
func readEnvelope(value []byte) (e *envelope.Envelope, message []byte, ok bool) {
	format, err := parse.New("envelope", parse.Options{})
	if err != nil {
		return nil, nil, false // not reached: there is such a format
	}
	e = &envelope.Envelope{}
	if format.NewParser(nil).Parse(value, e) != nil {
		return nil, nil, false
	}
	parse.Unfold(e)
	message = e.Message.Bytes
	if e.Message.Kind == envelope.JSON {
		var text string
		if json.Unmarshal(message, &text) != nil {
			return nil, nil, false // it is no text
		}
		message = []byte(text)
	}
	return e, message, true
}

// appendSent appends what a record, as Kafka has it, says of its entry. One that
// is marked as truncated may have been so from the beginning, or cut later.
func appendSent(sent []checkpoint.Sent, start, end int64, value []byte, headers []kgo.RecordHeader) []checkpoint.Sent {
	sent = append(sent, checkpoint.Sent{Start: start, End: end, Sum: sumOf(value)})
	if slices.ContainsFunc(headers, isTruncated) {
		if sum, ok := sumOfCut(value); ok {
			sent = append(sent, checkpoint.Sent{Start: start, End: end, Sum: sum})
		}
	}
	return sent
}

// sortSent brings records into the order of their file, each once.
func sortSent(sent []checkpoint.Sent) []checkpoint.Sent {
	slices.SortFunc(sent, func(a, b checkpoint.Sent) int {
		return cmp.Or(cmp.Compare(a.Start, b.Start), cmp.Compare(a.End, b.End), cmp.Compare(a.Sum, b.Sum))
	})
	return slices.Compact(sent)
}

// sentFrom returns those of sent, which are sorted, that do not begin before
// offset. Their memory is shared.
func sentFrom(sent []checkpoint.Sent, offset int64) []checkpoint.Sent {
	i, _ := slices.BinarySearchFunc(sent, offset, func(s checkpoint.Sent, at int64) int { return cmp.Compare(s.Start, at) })
	return sent[i:]
}

// isSent reports whether sent, which are sorted, has what the bytes of an entry,
// or the value that they become, were sent as.
func isSent(sent []checkpoint.Sent, start, end int64, entry, value []byte) bool {
	first := sentFrom(sent, start)
	n := 0
	for n < len(first) && first[n].Start == start {
		n++
	}
	has := func(sum uint32) bool {
		return slices.ContainsFunc(first[:n], func(s checkpoint.Sent) bool { return s.End == end && s.Sum == sum })
	}
	if n == 0 || !slices.ContainsFunc(first[:n], func(s checkpoint.Sent) bool { return s.End == end }) {
		return false
	}
	if has(sumOf(value)) || has(sumOfLetter(entry)) {
		return true
	}
	cut, ok := sumOfCut(value)
	return ok && has(cut)
}
