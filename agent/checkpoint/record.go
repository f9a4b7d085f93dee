package checkpoint

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
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

// recordType is the first byte of a record. Zero is none, so that a run of
// zeros, which a crash can leave, is no record.
type recordType byte

const (
	typeEntries  recordType = 1 // entries that changed
	typeRemoved  recordType = 2 // ids that are no more
	typeComplete recordType = 3 // what came before it is a whole snapshot
	typeClean    recordType = 4 // the run ended in order, here
	typeHorizons recordType = 5 // all horizons, in place of those before
	lastType                = typeHorizons
)

const (
	magic   = "shiplogc"
	version = 2
	// A header is the magic, the version, and from version 2 on the checksum of
	// both: a flipped bit must not pass for another version.
	headerSize1 = len(magic) + 4
	headerSize  = headerSize1 + 4
	frameSize   = 8       // length and checksum
	maxRecord   = 8 << 20 // bytes; a longer one is damage
	fullRecord  = 1 << 20 // bytes at which the next record is begun
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli) //nolint:gochecknoglobals // a constant table

// errTorn is the end of a file that a crash cut short.
var errTorn = errors.New("cut short")

// VersionError says that a newer shiplog wrote the checkpoint.
type VersionError struct {
	Path    string
	Version uint32
}

// Error says what to do.
func (e *VersionError) Error() string {
	return fmt.Sprintf("%s has format %d, written by a newer shiplog (this one knows %d): install that version again, or move the file away to send all files anew [state-newer]", e.Path, e.Version, version)
}

func appendHeader(dst []byte) []byte {
	at := len(dst)
	dst = binary.LittleEndian.AppendUint32(append(dst, magic...), version)
	return binary.LittleEndian.AppendUint32(dst, crc32.Checksum(dst[at:], castagnoli))
}

// readHeader returns how many bytes the header takes. It fails with a
// *VersionError for an intact header of a newer version; every other error is
// damage.
func readHeader(path string, data []byte) (size int, err error) {
	switch {
	case len(data) == 0:
		return 0, errors.New("the file is empty")
	case len(data) < headerSize1 || string(data[:len(magic)]) != magic:
		return 0, errors.New("not a checkpoint of shiplog")
	}
	v := binary.LittleEndian.Uint32(data[len(magic):])
	intact := len(data) >= headerSize && crc32.Checksum(data[:headerSize1], castagnoli) == binary.LittleEndian.Uint32(data[headerSize1:])
	switch {
	case intact && v > version:
		return 0, &VersionError{Path: path, Version: v}
	case intact:
		return headerSize, nil
	case v == 1:
		return headerSize1, nil
	}
	return 0, errors.New("its header has a wrong checksum")
}

// appendFrame adds length, checksum and body: a torn tail is recognised and cut.
func appendFrame(dst []byte, t recordType, fields []byte) []byte {
	body := append([]byte{byte(t)}, fields...)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(body)))
	dst = binary.LittleEndian.AppendUint32(dst, crc32.Checksum(body, castagnoli))
	return append(dst, body...)
}

// nextFrame returns the first record in data and how many bytes it takes. It
// fails with errTorn where data ends too early, and otherwise where it is
// damaged.
func nextFrame(data []byte) (t recordType, fields []byte, size int, err error) {
	if len(data) < frameSize {
		return 0, nil, 0, errTorn
	}
	n := binary.LittleEndian.Uint32(data)
	switch {
	case n == 0 || n > maxRecord:
		if allZero(data) {
			return 0, nil, 0, errTorn
		}
		return 0, nil, 0, fmt.Errorf("a record of %d bytes", n)
	case int(n) > len(data)-frameSize:
		return 0, nil, 0, errTorn
	}
	body := data[frameSize : frameSize+int(n)]
	if crc32.Checksum(body, castagnoli) != binary.LittleEndian.Uint32(data[4:]) {
		if frameSize+int(n) == len(data) || allZero(data[frameSize+int(n):]) {
			return 0, nil, 0, errTorn // the last one: its bytes did not all reach the disk
		}
		return 0, nil, 0, errors.New("a wrong checksum")
	}
	return recordType(body[0]), body[1:], frameSize + int(n), nil
}

func allZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
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

// fieldEntry is the number of an entry in a record of type entries, fieldRemoved
// that of an id in one of type removed.
const (
	fieldEntry   protowire.Number = 1
	fieldRemoved protowire.Number = 1
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
		n, typ, size := protowire.ConsumeTag(b)
		if size < 0 {
			return e, protowire.ParseError(size)
		}
		b = b[size:]
		var v uint64
		var s []byte
		switch typ {
		case protowire.VarintType:
			v, size = protowire.ConsumeVarint(b)
		case protowire.Fixed64Type:
			v, size = protowire.ConsumeFixed64(b)
		case protowire.BytesType:
			s, size = protowire.ConsumeBytes(b)
		default:
			size = protowire.ConsumeFieldValue(n, typ, b)
		}
		if size < 0 {
			return e, protowire.ParseError(size)
		}
		b = b[size:]
		origin = origin || n == fieldOrigin
		if err := e.set(n, v, s); err != nil {
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

// appendEntries adds as many records as the entries take.
func appendEntries(dst []byte, entries func(yield func(*Entry) bool)) []byte {
	var fields, one []byte
	for e := range entries {
		one = appendEntry(one[:0], e)
		fields = protowire.AppendBytes(protowire.AppendTag(fields, fieldEntry, protowire.BytesType), one)
		if len(fields) >= fullRecord {
			dst = appendFrame(dst, typeEntries, fields)
			fields = fields[:0]
		}
	}
	if len(fields) > 0 {
		dst = appendFrame(dst, typeEntries, fields)
	}
	return dst
}

func appendRemoved(dst []byte, ids []uint64) []byte {
	const perRecord = fullRecord / 9
	for len(ids) > 0 {
		var fields []byte
		n := min(len(ids), perRecord)
		for _, id := range ids[:n] {
			fields = protowire.AppendFixed64(protowire.AppendTag(fields, fieldRemoved, protowire.Fixed64Type), id)
		}
		dst = appendFrame(dst, typeRemoved, fields)
		ids = ids[n:]
	}
	return dst
}

// applyRecord carries a record out on entries. Records of other types, and of
// unknown ones, are passed over.
func applyRecord(t recordType, fields []byte, entries map[uint64]Entry) error {
	for len(fields) > 0 && (t == typeEntries || t == typeRemoved) {
		n, typ, size := protowire.ConsumeTag(fields)
		if size < 0 {
			return protowire.ParseError(size)
		}
		fields = fields[size:]
		switch {
		case t == typeEntries && n == fieldEntry && typ == protowire.BytesType:
			b, k := protowire.ConsumeBytes(fields)
			if size = k; k >= 0 {
				e, err := decodeEntry(b)
				if err != nil {
					return err
				}
				entries[e.ID] = e
			}
		case t == typeRemoved && n == fieldRemoved && typ == protowire.Fixed64Type:
			id, k := protowire.ConsumeFixed64(fields)
			if size = k; k >= 0 {
				delete(entries, id)
			}
		default:
			size = protowire.ConsumeFieldValue(n, typ, fields)
		}
		if size < 0 {
			return protowire.ParseError(size)
		}
		fields = fields[size:]
	}
	return nil
}
