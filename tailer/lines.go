package tailer

import (
	"errors"
	"io"
)

// ErrQuiet is what a reader given to Lines returns to say that nothing more came
// for a while: an open entry is complete, as after Input.JoinWait. Lines reads on.
var ErrQuiet = errors.New("nothing came for a while")

// Lines cuts a stream into entries as Run cuts a file of that input, of which
// only what concerns lines matters: MaxLineBytes, Encoding, Joiner and its
// limits. It gives each entry to fn. A last line without a newline counts.
// Entry.Data is valid until fn returns. Lines ends with the stream, with fn's
// error, or with the stream's.
func Lines(r io.Reader, in Input, fn func(Entry) error) error {
	in.fill()
	f, err := newForm(&in)
	if err != nil {
		return err
	}
	s := &stream{g: gatherer{form: &f, limit: in.MaxLineBytes}, buf: make([]byte, 0, 256<<10), fn: fn}
	for {
		s.grow()
		n, err := r.Read(s.buf[len(s.buf):cap(s.buf)])
		s.buf = s.buf[:len(s.buf)+n]
		quiet := errors.Is(err, ErrQuiet)
		if ferr := s.take(err != nil && !quiet, quiet); ferr != nil {
			return ferr
		}
		if quiet {
			continue
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// EncodingOf returns the name of the encoding in which a file of that input is
// read that begins with head, which is all of a shorter file, else its first
// EncodingHead bytes at least.
func EncodingOf(in Input, head []byte) (string, error) {
	f, err := newForm(&in)
	if err != nil {
		return "", err
	}
	if f.codec != nil {
		return f.codec.name, nil
	}
	c := recognise(head, true)
	if c == utf8Codec {
		c = f.otherwise
	}
	return c.name, nil
}

// EncodingHead is how many bytes of a file's beginning say what it is encoded in.
const EncodingHead = sniffMax

// stream is what Lines knows of its stream.
type stream struct {
	g    gatherer
	buf  []byte // from offset base on; the open entry begins there
	base int64
	long *Entry // a line that is longer than may be kept, and has not ended yet
	fn   func(Entry) error
}

// grow makes room to read into.
func (s *stream) grow() {
	if len(s.buf) < cap(s.buf) {
		return
	}
	grown := make([]byte, len(s.buf), 2*cap(s.buf)) // an entry that is longer than all the room
	copy(grown, s.buf)
	s.buf = grown
}

// take deals with what is in the buffer. last says that it is the end, quiet
// that nothing is added to the open entry.
func (s *stream) take(last, quiet bool) error {
	if s.g.dec == nil {
		c := s.g.codec
		if c == nil {
			if c = recognise(s.buf, last); c == nil {
				return nil
			}
			if c == utf8Codec {
				c = s.g.otherwise
			}
		}
		s.g.dec = newDecoder(c)
	}
	if s.long != nil && !s.endLong(last) {
		return nil
	}
	b := &Block{}
	if s.long != nil {
		b.Entries, s.long = append(b.Entries, *s.long), nil
	}
	s.g.b, s.g.first = b, nil
	s.g.cutBlock(s.buf, s.base, last)
	if quiet {
		s.g.emit(s.buf, s.base)
	}
	if rest := s.buf[s.g.e.seen-s.base:]; len(rest) > s.g.room() {
		s.beginLong(rest)
	}
	for _, e := range b.Entries {
		if err := s.fn(e); err != nil {
			return err
		}
	}
	s.drop(s.g.done())
	return nil
}

// beginLong keeps as much as may be kept of a line whose end is not there yet. Bytes
// at the end that are no whole unit stay: they may be half of a newline.
func (s *stream) beginLong(rest []byte) {
	end := len(s.buf) - int((s.base+int64(len(s.buf)))%int64(s.g.dec.width))
	s.g.line(s.buf, s.base, int(s.g.e.seen-s.base), end, end, Truncated)
	entries := s.g.b.Entries
	long := entries[len(entries)-1]
	long.Data = append([]byte(nil), long.Data...)
	s.g.b.Entries, s.long = entries[:len(entries)-1], &long
}

// endLong looks for the end of that line, and reports whether it is there.
func (s *stream) endLong(last bool) bool {
	_, end := s.g.dec.newline(s.buf, s.base)
	if end < 0 && !last {
		s.drop(s.base + int64(len(s.buf)-s.g.dec.width+1)) // the last byte may be half of a newline
		return false
	}
	if end < 0 {
		end = len(s.buf)
	}
	s.long.End = s.base + int64(end)
	s.drop(s.long.End)
	return true
}

// drop takes what lies before offset out of the buffer.
func (s *stream) drop(offset int64) {
	n := max(0, int(offset-s.base))
	s.buf = s.buf[:copy(s.buf, s.buf[n:])]
	s.base += int64(n)
	s.g.e.seen = max(s.g.e.seen, s.base)
}
