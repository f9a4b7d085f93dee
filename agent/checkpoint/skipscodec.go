package checkpoint

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// The journal is a header and records, framed as in a checkpoint. Its record
// types are its own.
const (
	typeSkips   recordType = 1 // one file's ranges, with one reason
	typeDropped recordType = 2 // what was known of a file and is not any more
	typeLost    recordType = 3 // when records were found damaged
	typeVersion recordType = 4 // the first: the version of what follows

	skipsMagic   = "shiplogs"
	skipsVersion = 1
)

// The numbers of the fields in a record of type skips or dropped.
const (
	fieldSkipFile   protowire.Number = 1
	fieldSkipReason protowire.Number = 2
	fieldSkipSpans  protowire.Number = 3 // varints: bytes since the end of the one before, length
	fieldSkipStart  protowire.Number = 4
	fieldSkipEnd    protowire.Number = 5
	fieldSkipWhen   protowire.Number = 6
)

// Dropped is a range of a file, in bytes, in which ranges were left out on
// purpose: which of them, the journal had no room to remember.
type Dropped struct {
	File       uint64
	Start, End int64
	When       time.Time // when the last of them was dropped
}

// SkipList is what a journal says.
type SkipList struct {
	Skips   []Skip // sorted by file and start
	Dropped []Dropped
	Lost    []time.Time // when records were found damaged: what they said is not known
}

// ReadSkips reads the journal in dir without changing anything; an agent may be
// at work there. Where there is none, nothing was left out.
func ReadSkips(dir string) (SkipList, error) {
	data, err := osFS{}.ReadFile(skipsPath(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return SkipList{}, nil
	}
	if err != nil {
		return SkipList{}, fmt.Errorf("journal of what was left out on purpose: %w", err)
	}
	j, err := readJournal(skipsPath(dir), data)
	var tooNew *VersionError
	if errors.As(err, &tooNew) {
		return SkipList{}, err
	}
	if err != nil {
		j.list.Lost = append(j.list.Lost, time.Now())
	}
	slices.SortFunc(j.list.Skips, func(a, b Skip) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Start, b.Start), cmp.Compare(a.End, b.End))
	})
	return j.list, nil
}

// journal is a journal's file, decoded.
type journal struct {
	list    SkipList
	frames  [][]byte // the fields of the records of type skips, in order
	version uint64
	size    int64 // bytes up to the end of the last record; what follows is torn
}

// readJournal decodes a journal. The error says what is damaged elsewhere than
// at the end; the records around the damage are returned all the same.
func readJournal(path string, data []byte) (journal, error) {
	var j journal
	if !bytes.HasPrefix(data, []byte(skipsMagic)) {
		return j, errors.New("not a journal of shiplog")
	}
	at := len(skipsMagic)
	var damage error
	for at < len(data) {
		t, fields, n, err := nextFrame(data[at:])
		if err == nil {
			err = j.apply(t, fields)
		}
		if err == nil && j.version > skipsVersion {
			return journal{}, &VersionError{Path: path, Version: uint32(j.version)}
		}
		if err != nil {
			n = passOver(data[at:])
			if n == 0 && errors.Is(err, errTorn) {
				break // a crash cut the last record short
			}
			damage = errors.Join(damage, fmt.Errorf("at byte %d of %d: %w", at, len(data), err))
			if n == 0 {
				break
			}
		}
		at += n
	}
	j.size = int64(at)
	return j, damage
}

// passOver returns how many bytes lie before the next intact record behind a
// damaged one, or 0 where there is none. A length that was damaged can look like
// a record that was cut short.
func passOver(data []byte) int {
	for at := 1; at+frameSize < len(data); at++ {
		if n := binary.LittleEndian.Uint32(data[at:]); n == 0 || n > 2*fullSpans || recordType(data[at+frameSize]) > typeVersion {
			continue
		}
		if _, _, _, err := nextFrame(data[at:]); err == nil {
			return at
		}
	}
	return 0
}

// apply adds one record.
func (j *journal) apply(t recordType, fields []byte) error {
	switch t {
	case typeSkips:
		skips, err := decodeSkips(fields)
		if err != nil {
			return err
		}
		j.list.Skips = append(j.list.Skips, skips...)
		j.frames = append(j.frames, fields)
	case typeDropped:
		f, err := decodeSkipFields(fields)
		if err != nil || f.start < 0 || f.end < f.start {
			return errors.Join(err, errImpossible)
		}
		j.list.Dropped = append(j.list.Dropped, Dropped{f.file, f.start, f.end, fromNanos(f.when)})
	case typeLost:
		v, n := protowire.ConsumeVarint(fields)
		if n < 0 {
			return protowire.ParseError(n)
		}
		j.list.Lost = append(j.list.Lost, fromNanos(v))
	case typeVersion:
		v, n := protowire.ConsumeVarint(fields)
		if n < 0 {
			return protowire.ParseError(n)
		}
		j.version = v
	}
	return nil
}

func appendSkipsHeader(dst []byte) []byte {
	return appendFrame(append(dst, skipsMagic...), typeVersion, protowire.AppendVarint(nil, skipsVersion))
}

// fullSpans is the bytes of spans at which another record is begun.
const fullSpans = 64 << 10

// appendSkips adds records for skips, which are grouped by file and reason.
func appendSkips(dst []byte, skips []Skip) []byte {
	for len(skips) > 0 {
		first, last := skips[0], int64(0)
		var spans []byte
		n := 0
		for n < len(skips) && skips[n].File == first.File && skips[n].Reason == first.Reason && len(spans) < fullSpans {
			spans = protowire.AppendVarint(spans, protowire.EncodeZigZag(skips[n].Start-last))
			spans = protowire.AppendVarint(spans, uint64(skips[n].End-skips[n].Start))
			last = skips[n].End
			n++
		}
		fields := protowire.AppendFixed64(protowire.AppendTag(nil, fieldSkipFile, protowire.Fixed64Type), first.File)
		fields = protowire.AppendVarint(protowire.AppendTag(fields, fieldSkipReason, protowire.VarintType), uint64(first.Reason))
		fields = protowire.AppendBytes(protowire.AppendTag(fields, fieldSkipSpans, protowire.BytesType), spans)
		dst = appendFrame(dst, typeSkips, fields)
		skips = skips[n:]
	}
	return dst
}

func appendDropped(dst []byte, d Dropped) []byte {
	dst = protowire.AppendFixed64(protowire.AppendTag(dst, fieldSkipFile, protowire.Fixed64Type), d.File)
	dst = protowire.AppendVarint(protowire.AppendTag(dst, fieldSkipStart, protowire.VarintType), uint64(d.Start))
	dst = protowire.AppendVarint(protowire.AppendTag(dst, fieldSkipEnd, protowire.VarintType), uint64(d.End))
	return protowire.AppendVarint(protowire.AppendTag(dst, fieldSkipWhen, protowire.VarintType), nanos(d.When))
}

var errImpossible = errors.New("an impossible range")

// skipFields are the fields of a record of type skips or dropped.
type skipFields struct {
	file       uint64
	reason     uint64
	start, end int64
	when       uint64
	spans      []byte
}

// decodeSkipFields reads the fields. Unknown ones are passed over.
func decodeSkipFields(b []byte) (skipFields, error) {
	var f skipFields
	for len(b) > 0 {
		one, rest, err := nextField(b)
		if err != nil {
			return f, err
		}
		b = rest
		switch one.number {
		case fieldSkipFile:
			f.file = one.value
		case fieldSkipReason:
			f.reason = one.value
		case fieldSkipStart:
			f.start = int64(one.value)
		case fieldSkipEnd:
			f.end = int64(one.value)
		case fieldSkipWhen:
			f.when = one.value
		case fieldSkipSpans:
			f.spans = one.bytes
		}
	}
	return f, nil
}

// decodeSkips reads the ranges of one record.
func decodeSkips(b []byte) ([]Skip, error) {
	f, err := decodeSkipFields(b)
	if err != nil {
		return nil, err
	}
	var out []Skip
	last := int64(0)
	for spans := f.spans; len(spans) > 0; {
		delta, n := protowire.ConsumeVarint(spans)
		if n < 0 {
			return nil, protowire.ParseError(n)
		}
		length, k := protowire.ConsumeVarint(spans[n:])
		if k < 0 {
			return nil, protowire.ParseError(k)
		}
		spans = spans[n+k:]
		start := last + protowire.DecodeZigZag(delta)
		last = start + int64(length)
		if start < 0 || last <= start || f.reason == 0 || f.reason > 255 {
			return nil, errImpossible
		}
		out = append(out, Skip{f.file, start, last, Reason(f.reason)})
	}
	return out, nil
}
