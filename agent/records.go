package agent

import (
	"fmt"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"shiplog/shipper"
	"shiplog/tailer"
)

// The headers of a record, and what they say.
const (
	headerHost       = "host"            // the host that shiplog runs on
	headerPath       = "path"            // the path that the application writes to
	headerSource     = "src"             // our id of the file's content, 16 hexadecimal digits
	headerOffset     = "off"             // where the entry begins in the file, in raw bytes, decimal
	headerLength     = "len"             // how many raw bytes it takes, newline included
	headerParseError = "parse_error"     // why the line was shipped whole
	headerTruncated  = "truncated"       // "1": cut to max_line_bytes
	headerPartial    = "partial"         // "1": no newline ended it
	headerSplit      = "split"           // "1": a limit ended it, and the next goes on
	headerTransform  = "transform_error" // which transformation could not be carried out, and why
	// The range of an entry that began in the file before: its src, off and len.
	headerCarrySource = "carry_src"
	headerCarryOffset = "carry_off"
	headerCarryLength = "carry_len"
)

const (
	usualHeaders = 5 // that each record has
	carryHeaders = 3 // more of an entry that began in the file before
)

var headerOne = []byte("1") //nolint:gochecknoglobals // a constant that Go cannot express

// fill makes the records and their headers once it is known how much memory
// they take, so that nothing moves any more.
func (p *pipeline) fill(s *shipment, r *route) {
	b, n := s.block, len(s.spans)
	if cap(s.batch.Records) < n {
		s.batch.Records = make([]shipper.Record, 0, n+n/4)
	}
	if want := n*usualHeaders + s.extraHeaders(); cap(s.headers) < want {
		s.headers = make([]kgo.RecordHeader, 0, want+want/4)
	}
	records, headers := s.batch.Records[:n], s.headers[:0]
	now := time.Now()
	for i := range records {
		sp, rec := &s.spans[i], &records[i]
		entry := &b.Entries[sp.entry]
		first := len(headers)
		headers = append(headers,
			kgo.RecordHeader{Key: headerHost, Value: p.host},
			kgo.RecordHeader{Key: headerPath, Value: s.path},
			kgo.RecordHeader{Key: headerSource, Value: s.source},
			kgo.RecordHeader{Key: headerOffset, Value: s.values[sp.offset:sp.length:sp.length]},
			kgo.RecordHeader{Key: headerLength, Value: s.values[sp.length:sp.end:sp.end]})
		if sp.odd > 0 || entry.Flags != 0 || entry.Carry != nil {
			headers = s.appendUnusual(headers, sp, entry)
		}
		value := sp.whole
		if value == nil {
			value = s.values[sp.value:sp.offset:sp.offset]
		}
		// The other fields are as recycle has left them.
		rec.Start, rec.End, rec.Raw = entry.Start, entry.End, entry.Data
		rec.Value, rec.Headers, rec.Topic, rec.Timestamp = value, headers[first:len(headers):len(headers)], s.topics[sp.topic], now
		if sp.at != 0 {
			rec.Timestamp = time.UnixMilli(sp.at)
		}
		if sp.odd > 0 {
			rec.Refuse = s.oddities[sp.odd-1].refusal()
		}
		switch {
		case r.key == keyFile:
			rec.Key = s.path
		case r.key == keyHost:
			rec.Key = p.host
		case r.key == keyApplication, r.key == keyTemplate && sp.key > 0:
			rec.Key = s.values[sp.end : sp.end+sp.key : sp.end+sp.key]
		}
	}
	s.headers = headers
	s.batch.Records = records
	s.batch.Stream, s.batch.Source, s.batch.Path, s.batch.Tag = b.Stream, uint64(b.File), b.Origin, s
	s.batch.Bytes = b.Memory() + s.memory()
}

// appendUnusual appends the headers that few records have.
func (s *shipment) appendUnusual(headers []kgo.RecordHeader, sp *span, entry *tailer.Entry) []kgo.RecordHeader {
	add := func(key string, value []byte) { headers = append(headers, kgo.RecordHeader{Key: key, Value: value}) }
	if sp.odd > 0 {
		odd := &s.oddities[sp.odd-1]
		if odd.failed != "" {
			add(headerParseError, s.headerOf(odd.failed))
		}
		if odd.untransformed != "" {
			add(headerTransform, s.headerOf(odd.untransformed))
		}
	}
	for _, mark := range [...]struct {
		flag tailer.Flags
		key  string
	}{{tailer.Truncated, headerTruncated}, {tailer.Partial, headerPartial}, {tailer.Split, headerSplit}} {
		if entry.Flags&mark.flag != 0 {
			add(mark.key, headerOne)
		}
	}
	if c := entry.Carry; c != nil {
		add(headerCarrySource, []byte(c.File.String()))
		add(headerCarryOffset, strconv.AppendInt(nil, c.Start, 10))
		add(headerCarryLength, strconv.AppendInt(nil, c.End-c.Start, 10))
	}
	return headers
}

// refusal returns why the record may not be sent; nil: it may.
func (o *oddity) refusal() error {
	switch {
	case o.homeless != "":
		return fmt.Errorf("%s: %w", o.homeless, shipper.ErrNoTopic)
	case o.refused != "":
		return fmt.Errorf("a redaction failed, it may not be sent: %s", o.refused)
	}
	return nil
}

// keep bounds what one shipment may keep for the next.
const keep = 4 << 20

// recycle gives the shipment's memory back.
func (p *pipeline) recycle(s *shipment) {
	if s.block != nil {
		s.block.Release()
	}
	clear(s.left)
	clear(s.headers)
	clear(s.states)
	clear(s.topics)
	clear(s.batch.Records)
	big := s.memory() > keep
	*s = shipment{values: s.values[:0], headers: s.headers[:0], states: s.states[:0], left: s.left[:0], source: s.source, path: s.path, topics: s.topics[:0], landings: s.landings,
		batch: shipper.Batch{Records: s.batch.Records[:0]}}
	if !big {
		p.pool.Put(s)
	}
}
