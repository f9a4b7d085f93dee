package tailer

import (
	"bytes"
	"errors"
	"io"
	"time"
)

// A file that has to wait, for its predecessor or for room in memory, is opened
// and its first bytes are looked at all the same: so that it is known by them if
// it is rotated, compressed or removed before its turn comes. Of a file of which
// nothing is known but its inode, that would leave nothing to find it by, or
// another file that has the inode by then.

// unglimpsed reports whether a look at the file would tell more of it.
func (f *file) unglimpsed() bool {
	switch {
	case f.packed || f.looking || f.src.fromEnd || f.fault != nil && time.Now().Before(f.nextLook):
		return false
	case f.unproved:
		return true
	}
	return f.src.off == 0 && int64(f.src.head.Len) < min(f.size, headMax) && f.glimpsedAt != f.size
}

// glimpse opens the source, compares it with what is known of it, and takes more
// of its beginning into that.
func (r *reader) glimpse(s *source) (o outcome) {
	if s.f == nil {
		if o.verdict, o.err = s.open(r.through); o.err != nil || o.verdict != same {
			return o
		}
		s.restart()
	}
	if isPacked(s.f) {
		o.packed = true // its decoder is to be had in its turn
		return o
	}
	if o.look, o.err = s.look(); o.err != nil {
		return o
	}
	if o.packed = isPacked(s.f); o.packed {
		return o
	}
	if o.size < s.off {
		o.verdict = replaced
		return o
	}
	if o.verdict, o.err = s.prove(time.Now()); o.verdict != same || o.err != nil || s.off > 0 {
		return o
	}
	o.err = s.foresee(o.size)
	return o
}

// foresee takes the first bytes of a file of which nothing was handed over into
// its identity. NUL bytes at their end are left out: a writer that allocates
// first will write over them.
func (s *source) foresee(size int64) error {
	b := make([]byte, min(size, headMax))
	n, err := s.f.ReadAt(b, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if b = bytes.TrimRight(b[:n], "\x00"); len(b) > s.head.Len {
		s.head = markOf(b)
	}
	return nil
}

// glimpsed takes a file back after a glimpse.
func (t *Tailer) glimpsed(r result) {
	f, now := r.f, time.Now()
	f.busy = false
	if f.src.f != nil {
		// What waits is kept open, so that it can be read if it is removed; but not
		// so many that those that are read have no descriptors.
		if t.open.touch(f); r.packed || t.open.order.Len() > t.o.MaxOpenFiles/2 {
			t.shut(f)
		}
	}
	switch {
	case r.verdict == replaced:
		t.replace(f, now)
		return
	case r.err != nil && isGone(r.err) && f.displaced && f.name == "":
		t.shut(f)
		t.lookFor(f)
	case r.err != nil:
		t.failed(f, r.err, now)
	case r.verdict == swapped:
		t.strayed(f, now)
	case r.packed:
		f.packed = true
	default:
		if f.fault != nil {
			f.fault = nil
			t.tell(Readable, f, 0, nil)
		}
		t.proved(f)
		f.retry, f.links = 0, r.links
		f.size, f.raw, f.glimpsedAt = r.size, r.raw, r.size
		if f.src.head.Len > f.before.head.Len {
			t.tell(Glimpsed, f, 0, nil)
		}
	}
	t.catchUp(f, now)
	if f.here {
		t.wakeNow(f) // it waits on, or goes on if what it waited for is over
	}
	t.post(f)
}
