package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/twmb/franz-go/pkg/kgo"

	"shiplog/agent/envelope"
)

// appendRecord appends a record as a JSON object: topic, partition, offset, time,
// key, headers, value. What is no UTF-8 is base64 under key_base64 and
// value_base64; a header that is there several times is a list of its values. A
// value that is a JSON object stands as it is.
func appendRecord(dst []byte, r *kgo.Record) []byte {
	dst = append(dst, `{"topic":`...)
	dst = envelope.AppendString(dst, []byte(r.Topic))
	dst = append(dst, `,"partition":`...)
	dst = strconv.AppendInt(dst, int64(r.Partition), 10)
	dst = append(dst, `,"offset":`...)
	dst = strconv.AppendInt(dst, r.Offset, 10)
	dst = append(dst, `,"time":"`...)
	dst = r.Timestamp.UTC().AppendFormat(dst, time.RFC3339Nano)
	dst = append(dst, '"')
	dst = appendBytes(dst, "key", r.Key)
	dst = append(dst, `,"headers":{`...)
	dst = appendHeaders(dst, r.Headers)
	dst = append(dst, '}')
	if v := bytes.TrimSpace(r.Value); len(v) > 0 && v[0] == '{' && utf8.Valid(v) && json.Valid(v) {
		dst = append(dst, `,"value":`...)
		var line bytes.Buffer
		if json.Compact(&line, v) == nil { // it may have several lines
			return append(append(dst, line.Bytes()...), '}')
		}
	}
	dst = appendBytes(dst, "value", r.Value)
	return append(dst, '}')
}

// appendBytes appends a member that is null where there are no bytes.
func appendBytes(dst []byte, name string, b []byte) []byte {
	dst = append(dst, `,"`...)
	dst = append(dst, name...)
	switch {
	case b == nil:
		return append(dst, `":null`...)
	case utf8.Valid(b):
		return envelope.AppendString(append(dst, `":`...), b)
	}
	dst = append(dst, `_base64":"`...)
	return append(base64.StdEncoding.AppendEncode(dst, b), '"')
}

// appendHeaders appends the members in the order in which their keys come first.
func appendHeaders(dst []byte, headers []kgo.RecordHeader) []byte {
	for i, h := range headers {
		var values [][]byte
		first := true
		for j, other := range headers {
			if other.Key != h.Key {
				continue
			}
			first = first && j >= i
			values = append(values, other.Value)
		}
		if !first {
			continue
		}
		if dst[len(dst)-1] != '{' {
			dst = append(dst, ',')
		}
		dst = append(envelope.AppendString(dst, []byte(h.Key)), ':')
		if len(values) == 1 {
			dst = envelope.AppendString(dst, values[0])
			continue
		}
		for k, v := range values {
			if k == 0 {
				dst = append(dst, '[')
			} else {
				dst = append(dst, ',')
			}
			dst = envelope.AppendString(dst, v)
		}
		dst = append(dst, ']')
	}
	return dst
}
