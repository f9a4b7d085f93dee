package checkpoint

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"google.golang.org/protobuf/encoding/protowire"
)

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

// fieldEntry is the number of an entry in a record of type entries, fieldRemoved
// that of an id in one of type removed.
const (
	fieldEntry   protowire.Number = 1
	fieldRemoved protowire.Number = 1
)

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
		f, rest, err := nextField(fields)
		if err != nil {
			return err
		}
		fields = rest
		switch {
		case t == typeEntries && f.number == fieldEntry && f.typ == protowire.BytesType:
			e, err := decodeEntry(f.bytes)
			if err != nil {
				return err
			}
			entries[e.ID] = e
		case t == typeRemoved && f.number == fieldRemoved && f.typ == protowire.Fixed64Type:
			delete(entries, f.value)
		}
	}
	return nil
}
