package tailer

import "time"

// Carry is the part of an entry that lies in the file before: it was rotated in
// the middle of the entry, whose other part is the beginning of its successor.
// Whoever settles the entry settles this range of that file with it.
type Carry struct {
	File       FileID
	Origin     string // as in Block
	Path       string
	Start, End int64 // raw bytes of that file; End is where it ends
	Head, Tail Mark  // of its beginning, and of the bytes before End
	Seen       int64
}

// lent is an open entry of a rotated file, on its way into the successor.
type lent struct {
	Carry
	text        []byte
	lines, size int
	state       uint32
	before      []byte // the bytes before End
}

// open returns the entry as the successor goes on with it.
func (l *lent) open() openEntry {
	return openEntry{lines: l.lines, size: l.size, state: l.state, carried: true}
}

// lend reads the open entry at the source's end, for its successor. It is nil
// where the file has changed meanwhile.
func (r *reader) lend(s *source, g *gatherer, o *outcome) *lent {
	e := g.e
	n := int(e.seen - s.off)
	b := r.pool.get(len(s.tail) + n)
	defer b.Release()
	data, _ := r.fillUpTo(s, b, len(s.tail)+n, o)
	if len(data) < n {
		return nil
	}
	if o.err = s.growHead(e.seen, b.mem, b.base); o.err != nil {
		return nil
	}
	g.b = b
	text, bad := g.render(data, s.off)
	o.invalid += bad
	before := b.mem[max(0, len(b.mem)-tailMax):]
	return &lent{
		Carry: Carry{File: s.id, Origin: s.origin, Path: s.path, Start: s.off, End: e.seen, Head: s.head, Tail: markOf(before), Seen: s.seen},
		text:  append([]byte(nil), text...), lines: e.lines + e.gap, size: e.size + e.gapSize, state: e.state,
		before: append([]byte(nil), before...),
	}
}

// successor returns the file that the open entry of f may go on in: the next of
// its stream, of which nothing has been read yet.
func (t *Tailer) successor(f *file) *file {
	after := false
	for _, g := range t.streams[f.src.stream] {
		switch {
		case g == f:
			after = true
		case after && g.finished:
		case after:
			if g.here && g.src.off == 0 && g.src.in == f.src.in && !g.src.fromEnd && g.lender == nil {
				return g
			}
			return nil
		}
	}
	return nil
}

// lends reports whether the open entry at the end of a rotated file, which has
// been quiet for so long, is still to wait for its successor; it has that file
// asked as soon as it is there.
func (t *Tailer) lends(f *file, quiet time.Duration) bool {
	if !t.o.Carry || f.keeps || f.lender != nil || !f.src.wholeLines(f.size) {
		return false
	}
	if t.successor(f) != nil {
		f.src.gathering.lend = true
		t.wakeNow(f)
		return true
	}
	if t.o.Once { // what is there may not have been found yet
		t.watched[f] = true
		return f.displaced && !t.scanned
	}
	return quiet < f.src.in.RotateWait+f.src.in.JoinWait
}

// lendTo gives the open entry of f to its successor, which may start now.
func (t *Tailer) lendTo(f *file, l *lent, now time.Time) {
	g := t.successor(f)
	if g == nil {
		return
	}
	f.borrower, f.lentAt, f.lentUpTo = g, now.UnixNano(), l.End
	g.lender, g.src.gathering.carry = f, l
	t.wakeNow(g)
}

// settleLoan decides on an entry that goes on from one file into the next, after
// a turn of either.
func (t *Tailer) settleLoan(f *file, r *result, now time.Time) {
	switch {
	case f.lender != nil && r.carried:
		lender := f.lender
		l := f.src.gathering.carry
		f.lender, f.src.gathering.carry = nil, nil
		lender.borrower = nil
		lender.src.advance(l.End, l.before)
		lender.src.gathering.open = openEntry{}
		lender.grown = now
		if lender.here {
			t.finish(lender)
			t.post(lender)
		}
	case f.lender != nil && (r.refused || r.verdict != same || r.err != nil):
		t.revoke(f.lender, true)
	case f.borrower != nil && r.verdict == same && r.err == nil && r.size > f.lentUpTo:
		t.revoke(f, false) // somebody still writes to it
	}
}

// revoke takes back what was lent. With keep the entry is handed over from its
// own file; without, it is to be seen whether it goes on there.
func (t *Tailer) revoke(f *file, keep bool) {
	g := f.borrower
	f.borrower, f.keeps, f.final = nil, keep, keep
	g.lender, g.src.gathering.carry = nil, nil
	g.src.restart()
	t.wakeNow(f)
}

// overdue reports whether the successor, which is not having a turn, has nothing
// that goes on with what f lent.
func (t *Tailer) overdue(f *file, now time.Time) bool {
	g := f.borrower
	return !g.here || g.src.gathering.open.end == 0 && now.Sub(time.Unix(0, f.lentAt)) >= f.src.in.JoinWait
}
