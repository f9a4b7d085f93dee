package agent

import (
	"math/bits"
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
	draft          // until the records are made
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

// draft is what is known of the records of a block before they are made. It is
// used for one block after the other, while it is in the processor's cache.
type draft struct {
	spans    []span
	oddities []oddity // of the few spans that have one
	// The last reason that went into a header: mostly the next one is the same.
	reason string
	header []byte
}

// headerOf returns a reason as the value of a header.
func (d *draft) headerOf(reason string) []byte {
	if reason != d.reason {
		d.reason, d.header = reason, []byte(reason)
	}
	return d.header
}

// emptied returns the draft for the next block.
func (d draft) emptied() draft {
	clear(d.spans)
	clear(d.oddities)
	if cap(d.spans)*int(unsafe.Sizeof(span{})) > keep || cap(d.oddities)*int(unsafe.Sizeof(oddity{})) > keep {
		return draft{}
	}
	return draft{spans: d.spans[:0], oddities: d.oddities[:0], reason: d.reason, header: d.header}
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

// span says where the parts of a record lie in shipment.values. There is one for
// each record of a block, so it is small.
type span struct {
	entry                      int32  // index into the block's
	topic                      int32  // index into the shipment's
	value, offset, length, end int    // into values
	key                        int    // length of the key, which lies after the length digits
	at                         int64  // when it happened, in ms since 1970; 0: the record has the time of its sending
	whole                      []byte // the value, where it is the entry itself
	odd                        int32  // index into the shipment's, from 1; 0: nothing is
}

// oddity is what is unusual about a record.
type oddity struct {
	failed        string // why the entry did not parse
	untransformed string // which transformation failed
	refused       string // which redaction failed: the entry may not leave this host
	homeless      string // why there is no topic for it
}

// unusual returns where to note what is unusual about the record.
func (s *shipment) unusual(sp *span) *oddity {
	if sp.odd == 0 {
		s.oddities = append(s.oddities, oddity{})
		sp.odd = int32(len(s.oddities))
	}
	return &s.oddities[sp.odd-1]
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
			return int(at)
		}
	}
	for i := len(s.topics) - 1; i > 0; i-- {
		if s.topics[i] == string(name) {
			return i
		}
	}
	return 0
}

// extraHeaders returns how many headers the records have beside the usual ones.
func (s *shipment) extraHeaders() (n int) {
	for i := range s.oddities {
		if s.oddities[i].failed != "" {
			n++
		}
		if s.oddities[i].untransformed != "" {
			n++
		}
	}
	for i := range s.spans {
		entry := &s.block.Entries[s.spans[i].entry]
		if entry.Flags != 0 {
			n += bits.OnesCount8(uint8(entry.Flags & (tailer.Truncated | tailer.Partial | tailer.Split)))
		}
		if entry.Carry != nil {
			n += carryHeaders
		}
	}
	return n
}

// memory returns the bytes that the shipment holds beside its block.
func (s *shipment) memory() int64 {
	return int64(cap(s.values)) + int64(cap(s.headers))*int64(unsafe.Sizeof(kgo.RecordHeader{})) + int64(cap(s.batch.Records))*int64(unsafe.Sizeof(shipper.Record{}))
}
