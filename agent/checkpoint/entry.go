package checkpoint

import (
	"errors"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// Mark is a fingerprint of some bytes of a file: the xxhash64 of Len bytes.
// The zero Mark says nothing.
type Mark struct {
	Len  int
	Hash uint64
}

// Entry is what is remembered of one file.
type Entry struct {
	ID       uint64    // ours, for the file's whole life
	Stream   uint64    // the order that its records belong to
	Path     string    // where it was last; any bytes
	Origin   string    // the path under which it was found first
	Dev, Ino uint64    // as the system last told them: a hint
	Head     Mark      // of the file's first bytes
	Offset   int64     // end of the contiguous acknowledged prefix, in raw bytes
	Tail     Mark      // of the bytes just before Offset
	Rotated  bool      // no longer under the name it was found by
	Seen     time.Time // when it was last certainly at Path
	Gone     time.Time // when it was found to be nowhere; zero while it exists
	Found    time.Time // when it was found first: the order of the files of one name
	Parser   []byte    // what its parser has to know at Offset; at most some KiB
	Ahead    []Sent    // what is known to be in Kafka beyond Offset, in order
	Sealed   Seal      // of a compressed file that was read to its end
	// Amended, if not 0, says that Offset was set by hand: what transactions up to
	// that number committed of the file does not count.
	Amended uint64
}

// Seal says where the uncompressed stream of a compressed file ends, as long as
// the file has that size and time. The zero Seal says nothing.
type Seal struct {
	Size    int64     // bytes on disk
	ModTime time.Time // last change
	End     int64     // bytes of the stream
}

// The numbers of the fields in an entry. A number is never used for anything
// else; unknown ones are skipped, so that an older version can read on.
const (
	fieldID protowire.Number = iota + 1
	fieldStream
	fieldPath
	fieldOrigin
	fieldDev
	fieldIno
	fieldHeadLen
	fieldHeadHash
	fieldOffset
	fieldTailLen
	fieldTailHash
	fieldRotated
	fieldSeen
	fieldGone
	fieldFound
	fieldParser
	fieldAhead
	fieldAmended
)

const (
	fieldSealedSize protowire.Number = iota + 32
	fieldSealedTime
	fieldSealedEnd
)

// appendEntry adds an entry in protobuf's wire format.
func appendEntry(dst []byte, e *Entry) []byte {
	number := func(n protowire.Number, v uint64) {
		if v != 0 {
			dst = protowire.AppendVarint(protowire.AppendTag(dst, n, protowire.VarintType), v)
		}
	}
	fixed := func(n protowire.Number, v uint64) {
		if v != 0 {
			dst = protowire.AppendFixed64(protowire.AppendTag(dst, n, protowire.Fixed64Type), v)
		}
	}
	text := func(n protowire.Number, s string) {
		dst = protowire.AppendString(protowire.AppendTag(dst, n, protowire.BytesType), s)
	}
	fixed(fieldID, e.ID)
	fixed(fieldStream, e.Stream)
	text(fieldPath, e.Path)
	if e.Origin != e.Path {
		text(fieldOrigin, e.Origin)
	}
	number(fieldDev, e.Dev)
	number(fieldIno, e.Ino)
	number(fieldHeadLen, uint64(e.Head.Len))
	fixed(fieldHeadHash, e.Head.Hash)
	number(fieldOffset, uint64(e.Offset))
	number(fieldTailLen, uint64(e.Tail.Len))
	fixed(fieldTailHash, e.Tail.Hash)
	if e.Rotated {
		number(fieldRotated, 1)
	}
	number(fieldSeen, nanos(e.Seen))
	number(fieldGone, nanos(e.Gone))
	number(fieldFound, nanos(e.Found))
	if len(e.Parser) > 0 {
		text(fieldParser, string(e.Parser))
	}
	if len(e.Ahead) > 0 {
		text(fieldAhead, string(appendSent(nil, e.Ahead)))
	}
	number(fieldAmended, e.Amended)
	number(fieldSealedSize, uint64(e.Sealed.Size))
	number(fieldSealedTime, nanos(e.Sealed.ModTime))
	number(fieldSealedEnd, uint64(e.Sealed.End))
	return dst
}

func nanos(t time.Time) uint64 {
	if t.IsZero() {
		return 0
	}
	return uint64(t.UnixNano())
}

func fromNanos(v uint64) time.Time {
	if v == 0 {
		return time.Time{}
	}
	return time.Unix(0, int64(v)).UTC()
}

// Encode returns the entry as it stands in a record, for a checkpoint that is kept
// elsewhere.
func (e *Entry) Encode() []byte { return appendEntry(nil, e) }

// DecodeEntry is the opposite of Encode.
func DecodeEntry(b []byte) (Entry, error) { return decodeEntry(b) }

// maxMark bounds the bytes that a mark can be of.
const maxMark = 1 << 20

// decodeEntry is the opposite of appendEntry.
func decodeEntry(b []byte) (Entry, error) {
	var e Entry
	origin := false
	for len(b) > 0 {
		f, rest, err := nextField(b)
		if err != nil {
			return e, err
		}
		b = rest
		origin = origin || f.number == fieldOrigin
		if err := e.set(f.number, f.value, f.bytes); err != nil {
			return e, err
		}
	}
	if !origin {
		e.Origin = e.Path
	}
	if e.ID == 0 || e.Offset < 0 || e.Head.Len < 0 || e.Head.Len > maxMark || e.Tail.Len < 0 || e.Tail.Len > maxMark {
		return e, errors.New("an impossible entry")
	}
	return e, nil
}

func (e *Entry) set(n protowire.Number, v uint64, s []byte) (err error) {
	switch n {
	case fieldSealedSize:
		e.Sealed.Size = int64(v)
	case fieldSealedTime:
		e.Sealed.ModTime = fromNanos(v)
	case fieldSealedEnd:
		e.Sealed.End = int64(v)
	case fieldID:
		e.ID = v
	case fieldStream:
		e.Stream = v
	case fieldPath:
		e.Path = string(s)
	case fieldOrigin:
		e.Origin = string(s)
	case fieldDev:
		e.Dev = v
	case fieldIno:
		e.Ino = v
	case fieldHeadLen:
		e.Head.Len = int(v)
	case fieldHeadHash:
		e.Head.Hash = v
	case fieldOffset:
		e.Offset = int64(v)
	case fieldTailLen:
		e.Tail.Len = int(v)
	case fieldTailHash:
		e.Tail.Hash = v
	case fieldRotated:
		e.Rotated = v != 0
	case fieldSeen:
		e.Seen = fromNanos(v)
	case fieldGone:
		e.Gone = fromNanos(v)
	case fieldFound:
		e.Found = fromNanos(v)
	case fieldParser:
		e.Parser = append([]byte(nil), s...)
	case fieldAhead:
		e.Ahead, err = decodeSent(s)
	case fieldAmended:
		e.Amended = v
	}
	return err
}
