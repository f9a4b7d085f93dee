package tailer

import (
	"bytes"
	"errors"
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
	copied
}

// judge compares files with those that they may be copies of.
func judge(ds []doubt) []judgement {
	out := make([]judgement, 0, len(ds))
	for i := range ds {
		d := &ds[i]
		j := judgement{}
		for k := range d.of {
			if j = d.of[k].judge(d.path); j.answer != no {
				break
			}
		}
		j.key, j.place.key, j.size, j.mtime = d.key, d.key, d.size, d.mtime
		out = append(out, j)
	}
	return out
}

// judge reports whether what lies at path is a copy of the file: it holds
// nothing but the file's own bytes, from the first on. Where the file is at
// hand the two are compared with each other, else with its marks.
func (f *traces) judge(path string) judgement {
	j := judgement{of: f.id}
	j.path = path
	c, err := openContent(path)
	if err != nil {
		return j
	}
	defer c.Close()
	j.packed = isPacked(c)
	own, ok := f.openOwn()
	if !ok {
		j.answer = f.judgeByMarks(c, &j)
		return j
	}
	defer own.Close()
	if f.agreesWith(own) != yes { // that will be noticed
		j.answer, j.moving, j.truncated = notYet, true, true
		j.like = f.agreesWith(c) == yes
		return j
	}
	n, prefix, err := prefixOf(c, own)
	switch {
	case errors.Is(err, errIncomplete):
		j.answer = notYet
	case err != nil: // it cannot be read: that has to be said of a file of its own
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
	return f.agreesWith(own) != yes
}

// judgeByMarks is judge for a file that is no longer at hand: a copy of one that
// was read to its end is exactly as long, and agrees with its marks. Of one that
// is still being read no more can be said than that it may be.
func (f *traces) judgeByMarks(c content, j *judgement) answer {
	if f.off == 0 || f.head.Len == 0 || f.tail.Len == 0 {
		return no
	}
	if a := f.agreesWith(c); a != yes {
		return a
	}
	if !f.finished {
		j.moving = true
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

// prefixOf reports whether all that c holds is the beginning of whole, and how
// much that is.
func prefixOf(c, whole content) (n int64, is bool, err error) {
	x, y := make([]byte, unpackLen), make([]byte, unpackLen)
	for {
		c.hold(n)
		whole.hold(n)
		k, err := c.ReadAt(x, n)
		if k == 0 {
			break
		}
		if m, _ := whole.ReadAt(y[:k], n); m < k || !bytes.Equal(x[:k], y[:k]) {
			return n, false, nil
		}
		n += int64(k)
		if err != nil {
			break
		}
	}
	l, err := c.look()
	if err == nil {
		err = l.broken
	}
	return n, err == nil, err
}

func isPacked(c content) bool {
	_, is := c.(*packedFile)
	return is
}
