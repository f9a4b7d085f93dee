package checkpoint

import "google.golang.org/protobuf/encoding/protowire"

// field is one field of a message in protobuf's wire format.
type field struct {
	number protowire.Number
	typ    protowire.Type
	value  uint64 // of a varint or a fixed64
	bytes  []byte // of what has a length; part of the message
}

// nextField takes the first field off a message. Of types that are none of ours only
// the number is told: an older version passes them over.
func nextField(message []byte) (f field, rest []byte, err error) {
	n, typ, size := protowire.ConsumeTag(message)
	if size < 0 {
		return f, nil, protowire.ParseError(size)
	}
	message = message[size:]
	f.number, f.typ = n, typ
	switch typ {
	case protowire.VarintType:
		f.value, size = protowire.ConsumeVarint(message)
	case protowire.Fixed64Type:
		f.value, size = protowire.ConsumeFixed64(message)
	case protowire.BytesType:
		f.bytes, size = protowire.ConsumeBytes(message)
	default:
		size = protowire.ConsumeFieldValue(n, typ, message)
	}
	if size < 0 {
		return f, nil, protowire.ParseError(size)
	}
	return f, message[size:], nil
}
