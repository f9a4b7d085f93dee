package checkpoint

import (
	"encoding/binary"
	"errors"
	"maps"
	"slices"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// Horizon says from where on a topic has to be read so that each record of ours
// is met that the saved entries do not cover.
type Horizon struct {
	Topic string
	From  map[int32]int64 // by partition: the offset to begin at
	// Since is for partitions that From does not name: such records were made
	// after it.
	Since time.Time
}

// Sent is a record that Kafka has, though the prefix of its file does not reach
// it: the raw bytes [Start,End) of the file, and a checksum of the value that
// they became. Offsets alone prove nothing: after a crash the file may hold other
// bytes there.
type Sent struct {
	Start, End int64
	Sum        uint32
}

// Committed says which transaction was the last whose files' offsets the entries
// have that it was saved with. As a horizon, it is true for them and for later
// ones. The zero value stands for none.
type Committed struct {
	ID     string // the transactional.id
	Number uint64
	Left   bool // since then was sent without transactions
}

// The numbers of the fields of a horizon, and those of horizons and of a Committed
// in their record.
const (
	fieldHorizon   protowire.Number = 1
	fieldCommitted protowire.Number = 2

	fieldCommittedID     protowire.Number = 1
	fieldCommittedNumber protowire.Number = 2
	fieldCommittedLeft   protowire.Number = 3

	fieldTopic protowire.Number = 1
	fieldSince protowire.Number = 2
	fieldFrom  protowire.Number = 3 // pairs of partition and offset
)

// appendHorizons adds one record with all of them.
func appendHorizons(dst []byte, hs []Horizon, c Committed) []byte {
	var fields, one, pairs []byte
	for _, h := range hs {
		pairs = pairs[:0]
		for _, p := range slices.Sorted(maps.Keys(h.From)) {
			pairs = protowire.AppendVarint(protowire.AppendVarint(pairs, uint64(uint32(p))), uint64(h.From[p]))
		}
		one = protowire.AppendString(protowire.AppendTag(one[:0], fieldTopic, protowire.BytesType), h.Topic)
		one = protowire.AppendFixed64(protowire.AppendTag(one, fieldSince, protowire.Fixed64Type), nanos(h.Since))
		one = protowire.AppendBytes(protowire.AppendTag(one, fieldFrom, protowire.BytesType), pairs)
		fields = protowire.AppendBytes(protowire.AppendTag(fields, fieldHorizon, protowire.BytesType), one)
	}
	if c != (Committed{}) {
		one = protowire.AppendString(protowire.AppendTag(one[:0], fieldCommittedID, protowire.BytesType), c.ID)
		one = protowire.AppendVarint(protowire.AppendTag(one, fieldCommittedNumber, protowire.VarintType), c.Number)
		one = protowire.AppendVarint(protowire.AppendTag(one, fieldCommittedLeft, protowire.VarintType), protowire.EncodeBool(c.Left))
		fields = protowire.AppendBytes(protowire.AppendTag(fields, fieldCommitted, protowire.BytesType), one)
	}
	return appendFrame(dst, typeHorizons, fields)
}

// decodeHorizons is the opposite of appendHorizons, for the fields of the record.
func decodeHorizons(fields []byte) (hs []Horizon, c Committed, err error) {
	for len(fields) > 0 {
		f, rest, err := nextField(fields)
		if err != nil {
			return nil, c, err
		}
		fields = rest
		switch {
		case f.typ != protowire.BytesType:
		case f.number == fieldHorizon:
			var h Horizon
			if h, err = decodeHorizon(f.bytes); err == nil {
				hs = append(hs, h)
			}
		case f.number == fieldCommitted:
			c, err = decodeCommitted(f.bytes)
		}
		if err != nil {
			return nil, c, err
		}
	}
	return hs, c, nil
}

func decodeCommitted(b []byte) (c Committed, err error) {
	for len(b) > 0 {
		f, rest, err := nextField(b)
		if err != nil {
			return c, err
		}
		b = rest
		switch {
		case f.number == fieldCommittedID && f.typ == protowire.BytesType:
			c.ID = string(f.bytes)
		case f.number == fieldCommittedNumber && f.typ == protowire.VarintType:
			c.Number = f.value
		case f.number == fieldCommittedLeft && f.typ == protowire.VarintType:
			c.Left = protowire.DecodeBool(f.value)
		}
	}
	return c, nil
}

func decodeHorizon(b []byte) (h Horizon, err error) {
	h.From = map[int32]int64{}
	for len(b) > 0 {
		f, rest, err := nextField(b)
		if err != nil {
			return h, err
		}
		b = rest
		switch {
		case f.number == fieldSince && f.typ == protowire.Fixed64Type:
			h.Since = fromNanos(f.value)
		case f.number == fieldTopic && f.typ == protowire.BytesType:
			h.Topic = string(f.bytes)
		case f.number == fieldFrom && f.typ == protowire.BytesType:
			err = decodePairs(f.bytes, h.From)
		}
		if err != nil {
			return h, err
		}
	}
	if h.Topic == "" {
		return h, errors.New("a horizon of no topic")
	}
	return h, nil
}

func decodePairs(b []byte, from map[int32]int64) error {
	for len(b) > 0 {
		p, n := protowire.ConsumeVarint(b)
		if n < 0 {
			return protowire.ParseError(n)
		}
		o, m := protowire.ConsumeVarint(b[n:])
		if m < 0 {
			return protowire.ParseError(m)
		}
		if int32(p) < 0 || uint64(int32(p)) != p || int64(o) < 0 {
			return errors.New("an impossible offset of a partition")
		}
		from[int32(p)] = int64(o)
		b = b[n+m:]
	}
	return nil
}

// maxAhead bounds the bytes that Entry.Ahead takes on disk, so that an entry
// always fits a record. What is beyond is not saved, and may be sent again.
const maxAhead = 4 << 20

// appendSent adds records, the sorted ranges as differences.
func appendSent(dst []byte, sent []Sent) []byte {
	at, limit := int64(0), len(dst)+maxAhead
	for _, s := range sent {
		if len(dst) > limit {
			break
		}
		dst = protowire.AppendVarint(dst, protowire.EncodeZigZag(s.Start-at))
		dst = protowire.AppendVarint(dst, uint64(s.End-s.Start))
		dst = binary.LittleEndian.AppendUint32(dst, s.Sum)
		at = s.End
	}
	return dst
}

// decodeSent is the opposite of appendSent.
func decodeSent(b []byte) ([]Sent, error) {
	var out []Sent
	at := int64(0)
	for len(b) > 0 {
		gap, n := protowire.ConsumeVarint(b)
		if n < 0 {
			return nil, protowire.ParseError(n)
		}
		length, m := protowire.ConsumeVarint(b[n:])
		if m < 0 {
			return nil, protowire.ParseError(m)
		}
		if b = b[n+m:]; len(b) < 4 {
			return nil, errors.New("a checksum is cut short")
		}
		s := Sent{Start: at + protowire.DecodeZigZag(gap), Sum: binary.LittleEndian.Uint32(b)}
		s.End = s.Start + int64(length)
		if s.Start < 0 || s.End <= s.Start {
			return nil, errors.New("an impossible range")
		}
		out, at, b = append(out, s), s.End, b[4:]
	}
	return out, nil
}
