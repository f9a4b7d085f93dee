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
	input  int
	origin string
	path   string // where to open it
	key    fileKey
	limit  int // Input.MaxLineBytes

	f        *os.File
	off      int64  // the next byte to hand over; a line begins here
	searched int64  // no newline lies in [off,searched)
	dry      int64  // size at which the search last ended without a newline
	head     Mark   // of the first min(off, headMax) bytes
	tail     []byte // the last min(off, tailMax) bytes before off, as read
	tailMark Mark   // the same as the checkpoint knows it, until tail is loaded
	proved   time.Time
	fromEnd  bool // begin at the end of what is there; not yet done
	seen     int64

	gathering gathering
}

// errNotRegular is the answer to a path that leads to no file to read.
var errNotRegular = errors.New("not a regular file")

// open opens the source at its path and makes sure that it is that file.
func (s *source) open() (verdict, error) {
	f, err := openShared(s.path)
	if err != nil {
		return same, err
	}
	fi, err := f.Stat()
	if err == nil && !fi.Mode().IsRegular() {
		err = fmt.Errorf("%s: %w", s.path, errNotRegular)
	}
	if err != nil {
		return same, errors.Join(err, f.Close())
	}
	if keyOf(f, fi) != s.key {
		return swapped, f.Close()
	}
	s.f, s.proved = f, time.Time{}
	return same, nil
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
		if err != nil {
			return same, err
		}
		if m != s.head {
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
			return replaced, nil
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

// advance moves the source to end, whose preceding bytes are known.
func (s *source) advance(end int64, before []byte) {
	s.off, s.searched, s.dry = end, end, 0
	s.tail = append(s.tail[:0], before[max(0, len(before)-tailMax):]...)
	s.tailMark = Mark{}
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
