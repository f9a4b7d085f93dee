package agent

import (
	"time"
	"unsafe"

	"github.com/twmb/franz-go/pkg/kgo"

	"shiplog/agent/transform"
	"shiplog/shipper"
	"shiplog/tailer"
)

// shipment is a block on its way, with the memory of its records.
type shipment struct {
	batch   shipper.Batch
	block   *tailer.Block
	values  []byte // encoded values and the digits of the headers
	spans   []span
	headers []kgo.RecordHeader
	states  []parserState
	left    []leftOut
	source  []byte
	path    []byte
	// topics are those of the records. The first is the route's, to which nothing
	// is sent where that has a template.
	topics []string

	landings []shipper.Landing
	known    int64     // entries that Kafka has already
	undated  int64     // entries that should have a time of their own, and have none
	now      time.Time // when its encoding began
}

// parserState is what the file's parser has to know after the entry that ends
// at offset end.
type parserState struct {
	end   int64
	state []byte
}

// leftOut is a range of entries that are not sent on purpose.
type leftOut struct {
	start, end int64
	entries    int64
	why        transform.Action
}

// leave notes that an entry is left out. Blank lines between two of them count
// as theirs.
func (s *shipment) leave(entry *tailer.Entry, before int64, why transform.Action) {
	if n := len(s.left); n > 0 && s.left[n-1].end == before && s.left[n-1].why == why {
		s.left[n-1].end = entry.End
		s.left[n-1].entries++
		return
	}
	s.left = append(s.left, leftOut{entry.Start, entry.End, 1, why})
}

// span says where the parts of a record lie in shipment.values.
type span struct {
	entry                      int // index into the block's
	value, offset, length, end int
	key                        int    // length of the key, which lies after the length digits
	topic                      int    // index into the shipment's
	whole                      []byte // the value, where it is the entry itself
	failed                     string // why the entry did not parse
	untransformed              string // which transformation failed
	refused                    string // which redaction failed: the entry may not leave this host
	at                         int64  // when it happened, in ms since 1970; 0: the record has the time of its sending
	homeless                   string // why there is no topic for it
}

// bytes returns the value, the last one in values.
func (sp *span) bytes(values []byte) []byte {
	if sp.whole != nil {
		return sp.whole
	}
	return values[sp.value:]
}

// topic returns which of the shipment's topics has that name; 0: none.
func (s *shipment) topic(name []byte) int {
	if last := len(s.spans) - 1; last >= 0 { // mostly that of the entry before
		if at := s.spans[last].topic; at > 0 && s.topics[at] == string(name) {
			return at
		}
	}
	for i := len(s.topics) - 1; i > 0; i-- {
		if s.topics[i] == string(name) {
			return i
		}
	}
	return 0
}

// extraHeaders returns how many headers the record has beside the usual ones.
func (sp *span) extraHeaders(entry *tailer.Entry) (n int) {
	for _, there := range [...]bool{sp.failed != "", sp.untransformed != "", entry.Flags&tailer.Truncated != 0, entry.Flags&tailer.Partial != 0, entry.Flags&tailer.Split != 0} {
		if there {
			n++
		}
	}
	if entry.Carry != nil {
		n += carryHeaders
	}
	return n
}

// memory returns the bytes that the shipment holds beside its block.
func (s *shipment) memory() int64 {
	return int64(cap(s.values)) + int64(cap(s.spans))*int64(unsafe.Sizeof(span{})) +
		int64(cap(s.headers))*int64(unsafe.Sizeof(kgo.RecordHeader{})) + int64(cap(s.batch.Records))*int64(unsafe.Sizeof(shipper.Record{}))
}
