package tailer

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// verdict says what a look at a source found.
type verdict int

const (
	same     verdict = iota // the file we know, as we know it
	replaced                // our file, but no longer our bytes: truncated, written anew, or its inode used again
	swapped                 // the path leads to another file now
)

// source is the reading half of a file. It belongs to the worker that has the
// file's turn, and to the tailer's owner between turns.
type source struct {
	id     FileID
	stream uint64
	in     *input
	origin string
	path   string // where to open it
	key    fileKey
	limit  int // Input.MaxLineBytes

	f        content
	sniffed  int64  // size of f when it was looked at for what compresses it
	sealed   Seal   // of a compressed file that was read to its end
	stuck    *stuck // of a compressed file that could not be unpacked on; nil for nearly all
	off      int64  // the next byte to hand over; a line begins here
	searched int64  // no newline lies in [off,searched)
	dry      int64  // size at which the search last ended without a newline
	head     Mark   // of the first min(off, headMax) bytes
	tail     []byte // the last min(off, tailMax) bytes before off, as read
	tailMark Mark   // the same as the checkpoint knows it, until tail is loaded
	trail    []waymark
	proved   time.Time
	epoch    uint32 // how often it was set back
	fromEnd  bool   // begin at the end of what is there; not yet done
	seen     int64
	left     Seal // how it was on disk when the last turn ended

	gathering gathering
}

// stuck says how far a compressed file could be unpacked, and why no further.
type stuck struct {
	Seal
	why error
}

// errNotRegular is the answer to a path that leads to no file to read.
var errNotRegular = errors.New("not a regular file")

// open opens the source at its path and makes sure that it is that file.
func (s *source) open(through func(*os.File) io.ReaderAt) (verdict, error) {
	f, fi, err := openRegular(s.path)
	if err != nil {
		return same, err
	}
	if keyOf(f, fi) != s.key {
		return swapped, f.Close()
	}
	var disk io.ReaderAt = f
	if through != nil {
		disk = through(f)
	}
	c, err := contentThrough(f, disk, fi, s.off, s.limit)
	if err != nil {
		return same, fmt.Errorf("%s: %w", s.path, err)
	}
	s.f, s.sniffed, s.proved = c, fi.Size(), time.Time{}
	return same, nil
}

// look looks at the open content. A file that was too short when it was opened
// to tell how it is compressed may tell now.
func (s *source) look() (look, error) {
	l, err := s.f.look()
	p, ok := s.f.(plain)
	if err != nil || !ok || s.off > 0 || s.sniffed >= sniffLen || l.size <= s.sniffed {
		return l, err
	}
	s.sniffed = l.size
	c, err := sniff(p, l.size)
	if err != nil || c == notPacked {
		return l, err
	}
	fi, err := p.Stat()
	if err != nil {
		return l, err
	}
	s.f = newPacked(p, fi, c, s.off, s.limit)
	return s.f.look()
}

// settled answers for a compressed file that was just opened, is as it was when
// it could not be read on, and so need not be unpacked again to know that.
func (s *source) settled() (look, bool) {
	p, ok := s.f.(*packedFile)
	if !ok || p.end > 0 {
		return look{}, false
	}
	l := look{size: s.off, raw: p.raw, mtime: p.mtime, links: 1, packed: true}
	switch {
	case s.sealed.End == s.off && s.sealed.fits(p.raw, p.mtime):
		l.whole = true
	case s.stuck != nil && s.stuck.End == s.off && s.stuck.fits(p.raw, p.mtime):
		l.broken = s.stuck.why
	default:
		return look{}, false
	}
	return l, true
}

// resting reports whether the open source is a compressed file that needs no
// decoder any more.
func (s *source) resting() bool {
	p, ok := s.f.(*packedFile)
	return ok && p.resting()
}

// note keeps what a turn found out about the end of a compressed file.
func (s *source) note(l *look) {
	switch {
	case l.whole && l.size == s.off:
		s.sealed = Seal{l.raw, l.mtime, s.off}
	case l.broken != nil:
		s.stuck = &stuck{Seal{l.raw, l.mtime, s.off}, l.broken}
	}
}

// close gives the descriptor back. The source can be opened again.
func (s *source) close() error {
	if s.f == nil {
		return nil
	}
	f := s.f
	s.f = nil
	return f.Close()
}

// prove compares the file's beginning, and the bytes before off, with what is
// known of them.
func (s *source) prove(now time.Time) (verdict, error) {
	if s.head.Len > 0 {
		m, err := markAt(s.f, 0, s.head.Len)
		switch {
		case err != nil:
			return same, err
		case m.Len == 0:
			return s.tooShort(int64(s.head.Len)) // after a glimpse that is beyond off
		case m != s.head:
			return replaced, nil
		}
	}
	if v, err := s.proveTail(); v != same || err != nil {
		return v, err
	}
	s.proved = now
	return same, nil
}

// proveTail reads the bytes before off again.
func (s *source) proveTail() (verdict, error) {
	n := int(min(s.off, tailMax))
	if n == 0 {
		return same, nil
	}
	b := make([]byte, n)
	if k, err := s.f.ReadAt(b, s.off-int64(n)); k < n {
		if err == io.EOF {
			return s.tooShort(s.off)
		}
		return same, err
	}
	switch {
	case len(s.tail) == n:
		if !bytes.Equal(s.tail, b) {
			return replaced, nil
		}
	case s.tailMark.Len > 0 && s.tailMark.Len <= n:
		if markOf(b[n-s.tailMark.Len:]) != s.tailMark {
			return replaced, nil
		}
		s.tail = b
	default: // nothing is known of them: the head has to do
		s.tail = b
	}
	return same, nil
}

// errShortRead says that a file ended before its size said so.
var errShortRead = errors.New("the disk gave fewer bytes than the file has")

// tooShort says why a file ended before an offset: it was truncated, its inode was
// used again, or the disk gave less than there is.
func (s *source) tooShort(offset int64) (verdict, error) {
	l, err := s.f.look()
	switch {
	case err != nil:
		return same, err
	case l.broken == nil && l.size >= offset && !l.packed:
		return same, errShortRead
	}
	return replaced, nil
}

// markAt reads the fingerprint of n bytes at offset. It is the zero Mark where
// the file is too short.
func markAt(f io.ReaderAt, offset int64, n int) (Mark, error) {
	b := make([]byte, n)
	k, err := f.ReadAt(b, offset)
	if k < n {
		if err == io.EOF {
			return Mark{}, nil
		}
		return Mark{}, err
	}
	return markOf(b), nil
}

// waymark is a fingerprint of the bytes just before an offset that was passed.
type waymark struct {
	off  int64
	mark Mark
}

// trailMax bounds the waymarks of a source.
const trailMax = 32

// advance moves the source to end, whose preceding bytes are known.
func (s *source) advance(end int64, before []byte) {
	s.off, s.searched, s.dry = end, end, 0
	s.tail = append(s.tail[:0], before[max(0, len(before)-tailMax):]...)
	s.tailMark = Mark{}
	s.trail = addWaymark(s.trail, waymark{end, markOf(s.tail)})
	if s.f != nil { // what was lent to its successor is settled there
		s.f.hold(max(0, end-tailMax))
	}
}

// addWaymark appends to a trail. The older its waymarks, the fewer are kept: a
// copy that was made of the file is most likely to end among the latest.
func addWaymark(trail []waymark, w waymark) []waymark {
	if len(trail) == trailMax {
		kept := trail[:0]
		for i, old := range trail {
			if i >= trailMax/2 || i%2 == 0 {
				kept = append(kept, old)
			}
		}
		trail = kept
	}
	return append(trail, w)
}

// growHead takes more of the file's beginning into its identity, as far as it
// has been handed over. mem holds raw bytes from offset base.
func (s *source) growHead(end int64, mem []byte, base int64) error {
	n := int(min(end, headMax))
	if s.head.Len >= n {
		return nil
	}
	if base == 0 && len(mem) >= n {
		s.head = markOf(mem[:n])
		return nil
	}
	b := make([]byte, n)
	if k, err := s.f.ReadAt(b, 0); k < n {
		return fmt.Errorf("read the beginning of %s: %w", s.path, err)
	}
	if s.head.Len > 0 && markOf(b[:s.head.Len]) != s.head {
		return nil // written anew meanwhile: the next proof will tell
	}
	s.head = markOf(b)
	return nil
}

// seekEnd makes off the beginning of the last line that is being written.
func (s *source) seekEnd(size int64) error {
	const back = 64 << 10
	if p, ok := s.f.(*packedFile); ok {
		for p.err == nil {
			p.unpack()
		}
		size = p.end
	}
	from := max(0, size-back)
	b := make([]byte, size-from)
	n, err := s.f.ReadAt(b, from)
	if err != nil && err != io.EOF {
		return err
	}
	b = b[:n]
	end := from + int64(n)
	if i := s.gathering.decoder.lastNewline(b, from); i >= 0 {
		end = from + int64(i)
	} else if from == 0 {
		end = 0 // one line, not yet ended: it is read when it is whole
	}
	s.advance(end, b[:end-from])
	s.fromEnd = false
	return s.growHead(end, b, from)
}
