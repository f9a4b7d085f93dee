package tailer

import (
	"bytes"
	"context"
	"errors"
	"io"
)

// sight is what looking on for the end of an entry came to.
type sight int

const (
	unended sight = iota // more has to come, or another turn has to look further
	ended                // the entry is complete; a block may end where it was looked to
	endless              // no entry is open, and the line is longer than may be kept
)

// long deals with an entry, or a line, that fits no block: it looks for its end
// without keeping it, then reads as much of it as an entry may hold.
func (r *reader) long(ctx context.Context, s *source, g *gatherer, final, flush bool, o *outcome) {
	v, end, newline, err := r.lookOn(s, g, final, o)
	if err != nil {
		o.err = err
		return
	}
	s.gathering.open = g.e
	switch {
	case v == ended && g.refuses():
		o.refused = true
	case v == endless:
		r.endless(ctx, s, g, end, newline, o)
	case v == ended || flush && !o.more && g.e.lines > 0:
		r.whole(ctx, s, g, o)
	}
}

// whole hands over the open entry by itself.
func (r *reader) whole(ctx context.Context, s *source, g *gatherer, o *outcome) {
	seen, n := g.e.seen, 0
	if g.e.lines > 0 {
		n = int(g.e.end - s.off)
	}
	b := r.pool.get(len(s.tail) + n)
	b.base = s.off
	if n > 0 {
		data, _ := r.fillUpTo(s, b, len(s.tail)+n, o)
		if len(data) < n {
			b.Release()
			s.restart() // shorter than it was: look again
			if o.err == nil {
				o.err = o.short
			}
			o.more = data != nil
			return
		}
		g.b, g.first = b, nil
		g.emit(data, s.off)
	}
	o.more = r.hand(ctx, s, b, seen, o)
}

// lookOn adds lines to the open entry, from where they were looked at last,
// until it is complete. It keeps nothing of them. For an endless line it returns
// where that ends, and whether with a newline.
func (r *reader) lookOn(s *source, g *gatherer, final bool, o *outcome) (v sight, end int64, newline bool, err error) {
	scratch := r.pool.get(r.pool.size)
	defer scratch.Release()
	for stop := g.e.seen + searchPerTurn; g.e.seen < stop; {
		if s.searched-g.e.seen <= int64(r.pool.size)/2 {
			g.b = scratch
			before := g.e.seen
			v, eof, err := r.lookAt(s, g, scratch, o.size, final)
			if v == ended || eof || err != nil {
				return v, 0, false, err
			}
			if g.e.seen > before {
				continue
			}
		}
		v, end, newline, err = r.lookAhead(s, g, final, o)
		if v != unended || err != nil || g.e.seen < end || end == 0 {
			return v, end, newline, err
		}
	}
	o.more = true
	return unended, 0, false, nil
}

// lookAt is lookOn for the lines that fit a block. eof says that there are no
// more.
func (r *reader) lookAt(s *source, g *gatherer, b *Block, size int64, final bool) (v sight, eof bool, err error) {
	base := g.e.seen
	n, err := s.f.ReadAt(b.mem[:cap(b.mem)], base)
	if eof = errors.Is(err, io.EOF); err != nil && !eof {
		return unended, false, err
	}
	if eof && base+int64(n) < size {
		return unended, false, errShortRead
	}
	data := b.mem[:n]
	for at := 0; ; at = int(g.e.seen - base) {
		i, end := g.dec.newline(data[at:], base+int64(at))
		if i < 0 {
			break
		}
		if g.offer(data[at:at+i], base+int64(at), base+int64(at+end), 0) || g.e.lines == 0 {
			return ended, eof, nil
		}
	}
	rest := data[g.e.seen-base:]
	switch {
	case eof && final && len(rest) > 0:
		g.offer(rest, g.e.seen, base+int64(n), Partial)
		return ended, true, nil
	case eof && final:
		return ended, true, nil
	case eof:
		s.dry = base + int64(n)
		fallthrough
	default:
		s.searched = g.e.seen + int64(g.dec.searchable(rest, g.e.seen))
	}
	return unended, eof, nil
}

// lookAhead is lookOn for a line that fits no block. It is unended with an end
// where the line has been added to the entry.
func (r *reader) lookAhead(s *source, g *gatherer, final bool, o *outcome) (v sight, end int64, newline bool, err error) {
	end, newline, err = r.search(s, g, o.size)
	switch {
	case err != nil:
		return unended, 0, false, err
	case newline:
	case s.searched < o.size && s.dry != o.size, final && s.dry > o.size: // there is more, or it grows: not finished after all
		o.more = true
		return unended, 0, false, nil
	case !final:
		return unended, 0, false, nil
	default:
		end = o.size
	}
	room := int64(g.room())
	n := min(end-g.e.seen, room)
	if g.e.lines == 0 && (end-g.e.seen > room || g.plain(g.dec)) {
		return endless, end, newline, nil
	}
	b := r.pool.get(int(n))
	defer b.Release()
	k, err := s.f.ReadAt(b.mem[:n], g.e.seen)
	if int64(k) < n {
		return unended, 0, false, shortRead(err)
	}
	line, flags := b.mem[:n], Flags(0)
	switch {
	case end-g.e.seen > n:
		flags = Truncated
	case newline:
		line = line[:len(line)-g.dec.width]
	default:
		flags = Partial
	}
	g.b = b
	if g.offer(line, g.e.seen, end, flags) || g.e.lines == 0 {
		return ended, 0, false, nil
	}
	return unended, end, newline, nil
}

// room returns how many raw bytes of a line are looked at to see whether it is
// too long.
func (g *gatherer) room() int {
	const slack = 4 // to see whether the cut would split a rune, and CR LF
	return g.dec.rawMax(g.limit + slack)
}

// offer adds a line to the open entry, and reports whether the entry is complete:
// with the line, or before it.
func (g *gatherer) offer(line []byte, start, end int64, flags Flags) bool {
	before := len(g.b.text)
	text, _ := g.decode(line, start)
	if len(text) > g.limit {
		text, flags = text[:runeBoundary(text, g.limit)], flags|Truncated
	}
	added := g.add(&g.e, text, start, end, flags, &ownState{})
	g.b.text = g.b.text[:min(before, len(g.b.text))]
	return !added || g.e.over
}

// endless hands over the line that begins at the source's offset and ends at
// end, as much of it as may be kept.
func (r *reader) endless(ctx context.Context, s *source, g *gatherer, end int64, newline bool, o *outcome) {
	// A run of NUL bytes before the text is dealt with by itself, so that it
	// takes nothing of the text's room.
	text, err := s.skipNUL(end)
	if err != nil {
		o.err = err
		return
	}
	text -= (text - s.off) % int64(g.dec.width)
	if text-s.off >= 2 {
		b := r.pool.get(1)
		b.base = s.off
		o.more = r.hand(ctx, s, b, text, o)
		return
	}
	r.longLine(ctx, s, g, end, newline, o)
}

// longLine hands over the line [s.off,end), of which the last character is a
// newline if newline says so.
func (r *reader) longLine(ctx context.Context, s *source, g *gatherer, end int64, newline bool, o *outcome) {
	room := int(min(end-s.off, int64(g.room())))
	b := r.pool.get(len(s.tail) + room)
	data, _ := r.fillUpTo(s, b, len(s.tail)+room, o)
	if len(data) < room && o.err == nil {
		o.err = o.short
	}
	if data == nil || o.err != nil {
		b.Release()
		return
	}
	line, flags := data, Flags(0)
	whole := int64(len(data)) == end-s.off
	switch nul := g.dec.nulRun(data, s.off); {
	case whole && newline:
		line = data[:len(data)-g.dec.width]
	case whole:
		flags = Partial
	case nul > 0: // a crash cut the line here; what follows the NULs is another
		end, line, flags = s.off+int64(nul), data[:nul], Partial
	default:
		flags = Truncated
		if !newline {
			flags |= Partial
		}
		if g.dec.codec == utf8Codec {
			line = data[:min(len(data), s.limit+1)]
		}
	}
	g.b = b
	text, bad := g.decode(line, s.off)
	b.Entries, b.Invalid = appendText(b.Entries, text, s.off, end, s.limit, flags), bad
	o.more = r.hand(ctx, s, b, end, o)
}

// nulRun returns where the first run of NUL characters in data begins, -1 where
// there is none.
func (c *codec) nulRun(data []byte, base int64) int {
	if c.width == 1 {
		return bytes.Index(data, []byte{0, 0})
	}
	for at := 0; ; {
		i := c.firstNUL(data[at:], base+int64(at))
		if i < 0 || at+i+4 > len(data) {
			return -1
		}
		if at += i; data[at+2] == 0 && data[at+3] == 0 {
			return at
		}
		at += 2
	}
}

// search looks for the newline that ends the line after the open entry, from
// s.searched on, and returns the offset after it.
func (r *reader) search(s *source, g *gatherer, size int64) (end int64, found bool, err error) {
	b := r.pool.get(r.pool.size)
	defer b.Release()
	at := max(s.searched, g.e.seen)
	stop := at + searchPerTurn
	nul := int64(-1)
	for {
		n, err := s.f.ReadAt(b.mem[:cap(b.mem)], at)
		data := b.mem[:n]
		if _, i := g.dec.newline(data, at); i > 0 {
			return at + int64(i), true, nil
		}
		switch {
		case err != nil && !errors.Is(err, io.EOF):
			return 0, false, err
		case err != nil && at+int64(n) < size:
			return 0, false, errShortRead
		}
		if i := g.dec.firstNUL(data, at); i >= 0 && nul < 0 {
			nul = at + int64(i)
		}
		at += int64(max(0, n-g.dec.width+1)) // the last byte may be half of a newline
		// NUL characters have to be searched to their end in one go, since the
		// next search begins at the first of them again.
		if err != nil || (at >= stop && nul < 0) {
			s.searched = at
			if nul >= 0 {
				s.searched = nul
			}
			if err != nil {
				s.dry = max(size, at+int64(g.dec.width)-1)
			}
			return 0, false, nil
		}
	}
}

// skipNUL returns where the NUL bytes that begin at s.off end, before limit.
func (s *source) skipNUL(limit int64) (int64, error) {
	b := make([]byte, 32<<10)
	for at := s.off; at < limit; {
		n, err := s.f.ReadAt(b[:min(int64(len(b)), limit-at)], at)
		for _, c := range b[:n] {
			if c != 0 {
				return at, nil
			}
			at++
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return at, err
		}
		if n == 0 {
			return at, nil
		}
	}
	return limit, nil
}
