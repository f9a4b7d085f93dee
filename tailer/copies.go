package tailer

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"
)

// doubt is a file that was never seen before, under a name that a file which is
// known can get by a rotation: it may be a copy that copytruncate is making.
type doubt struct {
	key   fileKey
	path  string
	of    []traces
	size  int64
	mtime time.Time
}

// judgement is the answer to a doubt.
type judgement struct {
	key    fileKey
	of     FileID
	answer answer // yes: it is a copy of of
	moving bool   // notYet because a file that is known has just changed: ask again
	// truncated is a case of that: it no longer holds what it held; like says
	// whether this does.
	truncated, like bool
	// held is another: of has no name any more, and tells when it is read to its end.
	held bool
	copied
}

// judge compares files with those that they may be copies of.
func judge(ds []doubt) []judgement {
	out := make([]judgement, 0, len(ds))
	for i := range ds {
		d := &ds[i]
		j := judgement{}
		for k := range d.of {
			if j = d.of[k].judge(d.path, d.key); j.answer != no {
				break
			}
		}
		j.key, j.place.key, j.size, j.mtime = d.key, d.key, d.size, d.mtime
		out = append(out, j)
	}
	return out
}

// judge reports whether the file that was seen at path is a copy of f: it holds
// nothing but the file's own bytes, from the first on. Where f is at hand the
// two are compared with each other, else with its marks.
//
// f is opened first: what is made of it is complete before f is removed. The
// other way round, a compressed form that was opened when it was still empty
// would be compared with the marks, and be no copy.
func (f *traces) judge(path string, key fileKey) (j judgement) {
	j.of, j.path = f.id, path
	own, ok := f.openOwn()
	if ok {
		defer own.Close()
	}
	c, err := openAt(path, key)
	if err != nil {
		if a := unopened(err); a == notYet {
			j.answer, j.moving = a, true
		} // else that it cannot be read has to be said of a file of its own
		return j
	}
	defer c.Close()
	j.packed = isPacked(c)
	defer func() {
		switch {
		case j.answer != no:
		case !contentLonger(c, 0): // it may become anything
			j.answer = notYet
		case !settledPlain(c):
			j.answer, j.packed = notYet, true
		}
	}()
	if !ok {
		j.answer = f.judgeByMarks(c, &j)
		return j
	}
	if f.apart(c, own) {
		return j
	}
	switch f.stillIn(own) {
	case no: // that will be noticed
		j.answer, j.moving, j.truncated = notYet, true, true
		j.like = f.agreesWith(c) == yes
		return j
	case notYet:
		j.answer, j.moving = notYet, true
		return j
	}
	n, prefix, err := prefixOf(c, own)
	switch {
	case errors.Is(err, errIncomplete):
		j.answer = notYet
	case errors.Is(err, errUnread):
		j.answer, j.moving = notYet, true
	case err != nil: // it is damaged: that has to be said of a file of its own
	case prefix && n == 0: // it may become anything
		j.answer = notYet
	case prefix:
		if j.answer, j.length = yes, n; j.marks(c) != nil {
			j.answer, j.moving = notYet, true
		}
	case f.changed():
		j.answer, j.moving = notYet, true
	}
	return j
}

// apart reports whether c begins otherwise than f, so that it is no copy of it.
// Most files are told apart so, without a look at what lies at the offset: to see
// that of a compressed original, all before it is unpacked. own is the original.
// It has to begin as f does before and after the look at c: else c may be a copy of
// what it holds now.
func (f *traces) apart(c, own content) bool {
	first, other := make([]byte, f.head.Len), make([]byte, f.head.Len)
	if n, _ := own.ReadAt(first, 0); n == 0 || markOf(first) != f.head { // what cannot be read is no reason to decide
		return false
	}
	n, err := c.ReadAt(other, 0)
	if err != nil && err != io.EOF || bytes.HasPrefix(first, other[:n]) {
		return false
	}
	still, ok := f.openOwn()
	if !ok {
		return false
	}
	defer still.Close()
	begins := waymark{int64(f.head.Len), f.head}
	return begins.agreesWith(still) == yes
}

// unopened says what it means for the comparison of a file that it could not be
// opened.
func unopened(err error) answer {
	if errors.Is(err, ErrCompression) || errors.Is(err, errNotRegular) || errors.Is(err, fs.ErrPermission) {
		return no
	}
	return notYet // it was renamed meanwhile, or the disk gave an error
}

// openOwn opens the file where it was last, if it is there.
func (f *traces) openOwn() (content, bool) {
	file, fi, err := openRegular(f.path)
	if err != nil {
		return nil, false
	}
	if keyOf(file, fi) != f.key {
		file.Close()
		return nil, false
	}
	c, err := contentOf(file, fi, 0, 0)
	return c, err == nil
}

// changed reports whether the file no longer is what it was known by.
func (f *traces) changed() bool {
	own, ok := f.openOwn()
	if !ok {
		return true
	}
	defer own.Close()
	return f.stillIn(own) != yes
}

// stillIn is agreesWith for the original. A compressed one that has not changed since
// it was found to be it need not be unpacked again.
func (f *traces) stillIn(own content) answer {
	if p, ok := own.(*packedFile); ok && f.proved.fits(p.raw, p.mtime) {
		return yes
	}
	return f.agreesWith(own)
}

// judgeByMarks is judge for a file that is no longer at hand: a copy of one that
// was read to its end is exactly as long, and agrees with its marks. Of one that
// is still being read no more can be said than that it may be.
func (f *traces) judgeByMarks(c content, j *judgement) answer {
	if f.head.Len == 0 || f.off > 0 && f.tail.Len == 0 {
		return no
	}
	if a := f.agreesWith(c); a != yes {
		return a
	}
	if !f.finished {
		j.moving, j.held = true, f.held
		return notYet
	}
	n, err := lengthOf(c)
	switch {
	case errors.Is(err, errIncomplete):
		return notYet
	case err != nil || n != f.off:
		return no
	}
	j.length, j.head, j.tail = n, f.head, f.tail
	return yes
}

// errUnread says that a comparison came to nothing, since the disk gave an error.
var errUnread = errors.New("could not be read to be compared")

// prefixOf reports whether all that c holds is the beginning of whole, and how
// much that is.
func prefixOf(c, whole content) (n int64, is bool, err error) {
	x, y := make([]byte, unpackLen), make([]byte, unpackLen)
	for {
		c.hold(n)
		whole.hold(n)
		k, err := c.ReadAt(x, n)
		if err != nil && err != io.EOF {
			return n, false, fmt.Errorf("%w: %w", errUnread, err)
		}
		if k == 0 {
			break
		}
		m, failed := whole.ReadAt(y[:k], n)
		if !bytes.Equal(x[:m], y[:m]) {
			return n, false, nil
		}
		if m < k {
			if failed == io.EOF { // a compressed one says what it was at a second look
				_, failed = whole.look()
			}
			if failed != nil {
				failed = fmt.Errorf("%w: %w", errUnread, failed)
			}
			return n, false, failed
		}
		n += int64(k)
		if err != nil {
			break
		}
	}
	l, err := c.look()
	if err != nil {
		return n, false, fmt.Errorf("%w: %w", errUnread, err)
	}
	if l.packed && l.broken == nil && l.size > n { // it was empty when it was opened
		return n, false, errIncomplete
	}
	return n, l.broken == nil, l.broken
}

func isPacked(c content) bool {
	_, is := c.(*packedFile)
	return is
}
