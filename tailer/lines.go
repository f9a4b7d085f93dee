package tailer

import (
	"errors"
	"io"
)

// Lines cuts a stream into entries as Run cuts a file, and gives each to fn. A
// last line without a newline counts. Entry.Data is valid until fn returns. It
// ends with the stream, with fn's error, or with the stream's.
func Lines(r io.Reader, limit int, fn func(Entry) error) error {
	buf := make([]byte, 0, 256<<10)
	var base int64 // offset of buf[0]
	var long *Entry
	var entries []Entry
	for {
		if len(buf) == cap(buf) { // a line that is longer than all the room
			grown := make([]byte, len(buf), 2*cap(buf))
			copy(grown, buf)
			buf = grown
		}
		n, err := r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		data := buf
		if long != nil { // streaming past the rest of a line
			i := indexNewline(data)
			long.End = base + int64(len(data))
			if i >= 0 {
				long.End = base + int64(i) + 1
			}
			if i < 0 && err == nil {
				base, buf = long.End, buf[:0]
				continue
			}
			data = data[long.End-base:]
			if ferr := fn(*long); ferr != nil {
				return ferr
			}
			base, long = long.End, nil
		}
		var done int
		entries, done = cut(entries[:0], data, base, limit)
		rest := data[done:]
		switch {
		case err != nil && len(rest) > 0:
			entries = appendLine(entries, rest, base+int64(done), base+int64(len(data)), limit, Partial, true)
			rest = nil
		case len(rest) > limit:
			if one := appendLine(nil, rest, base+int64(done), 0, limit, Truncated, true); len(one) == 1 {
				one[0].Data = append([]byte(nil), one[0].Data...)
				long, rest = &one[0], nil
			}
		}
		for _, e := range entries {
			if ferr := fn(e); ferr != nil {
				return ferr
			}
		}
		base += int64(len(data) - len(rest))
		buf = append(buf[:0], rest...)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
