package tailer

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"time"
)

// Handler takes a block over. While it blocks, the file is not read on. It is
// called by several goroutines, but for one stream never by two at a time. An
// error means that it did not take the block (its context has ended).
type Handler func(context.Context, *Block) error

// proofInterval is how long a busy file goes without its head being compared
// again; the bytes before the offset are compared at every read.
const proofInterval = time.Second

// growth is how much a file may grow between the look at its size and the
// reading, without another turn for it.
const growth = 512

// searchPerTurn bounds how far one turn looks for the end of a long line.
const searchPerTurn = 8 << 20

// outcome is what a turn of a file came to.
type outcome struct {
	verdict verdict
	err     error
	ended   bool  // the handler refused: the run is over
	more    bool  // the turn ended before the file did
	look          // how the file stood
	read    int64 // bytes handed over
	cut     int   // entries that were cut to the limit
	invalid int   // what was no text in the file's encoding
	lent    *lent // the open entry, for the file's successor
	carried bool  // what the file before lent was handed over
	refused bool  // what the file before lent does not go on here
	placed  bool  // fromEnd was carried out
	short   error // why a read gave less than the file has
}

// reader turns bytes of sources into blocks. It starts no goroutine; several
// workers use one at a time each on different sources.
type reader struct {
	pool   *blockPool
	handle Handler
	// through is Options.ReadThrough.
	through func(*os.File) io.ReaderAt
}

// turn reads at most one block of s and hands it over. final says that the
// file is finished: what follows the last newline is a line too.
func (r *reader) turn(ctx context.Context, s *source, final bool) outcome {
	o := r.attempt(ctx, s, final)
	if o.packed && !o.more && o.err == nil && o.verdict == same {
		s.note(&o.look)
	}
	if o.err == nil && o.verdict == same {
		s.left = Seal{o.raw, o.mtime, o.size}
	}
	return o
}

func (r *reader) attempt(ctx context.Context, s *source, final bool) (o outcome) {
	now := time.Now()
	opened := s.f == nil
	if opened {
		if o.verdict, o.err = s.open(r.through); o.err != nil || o.verdict != same {
			return o
		}
		if _, packed := s.f.(*packedFile); packed {
			s.restart() // its decoder begins anew
		}
	}
	var done bool
	if o.look, done = s.settled(); done {
		return o
	}
	if o.look, o.err = s.look(); o.err != nil {
		return o
	}
	// Of many files each is closed and opened again all the time: what is open in
	// it has to grow old all the same.
	if opened && !o.packed && !s.left.fits(o.raw, o.mtime) {
		s.restart()
	}
	if s.fromEnd {
		if _, o.err = r.recognise(s, o.size, true); o.err != nil {
			return o
		}
		o.err = s.seekEnd(o.size)
		o.placed = o.err == nil
		return o
	}
	if o.size < s.off {
		if o.broken == nil {
			o.verdict = replaced
		}
		return o
	}
	if now.Sub(s.proved) >= proofInterval {
		if o.verdict, o.err = s.prove(now); o.verdict != same || o.err != nil {
			return o
		}
	}
	if o.size == s.off {
		o.verdict, o.err = s.proveTail()
		return o
	}
	last := final || o.damaged()
	r.read(ctx, s, last, &o)
	if o.packed && !o.more && o.err == nil && o.verdict == same {
		o.look, o.err = s.f.look() // it may have come to its end
		o.more = !last && o.damaged() && o.size > s.off
	}
	return o
}

// damaged reports whether what was read is all that can ever be read.
func (l *look) damaged() bool {
	var damage *DamagedError
	return errors.As(l.broken, &damage)
}

// read is turn for a source that has something to read.
func (r *reader) read(ctx context.Context, s *source, final bool, o *outcome) {
	if ok, err := r.recognise(s, o.size, final); !ok {
		o.err = err
		return
	}
	flush, lend := s.gathering.flush, s.gathering.lend
	s.gathering.flush, s.gathering.lend = false, false
	if s.dry == o.size && s.stillNUL() { // looked through before, and nothing has come
		if lend && s.wholeLines(o.size) {
			o.lent = r.lend(s, r.gatherer(s), o)
			return
		}
		if !final && !flush {
			return
		}
	} else {
		s.gathering.heard, flush = time.Now().UnixNano(), false
	}
	g := r.gatherer(s)
	if s.far(r.pool.size) {
		r.long(ctx, s, g, final, flush, o)
		return
	}
	b := r.pool.get(int(min(int64(r.pool.size), int64(len(s.tail))+o.size-s.off+growth)))
	most := cap(b.mem)
	known := !final && !flush && !o.packed // what lies behind the size need not be asked for: it is for another turn
	if known {
		most = int(min(int64(most), int64(len(s.tail))+o.size-s.off))
	}
	data, eof := r.fillUpTo(s, b, most, o)
	if data == nil {
		b.Release()
		return
	}
	eof = eof || known && s.off+int64(len(data)) == o.size
	g.b = b
	g.cutBlock(data, s.off, eof && final)
	if g.refused {
		b.Release()
		o.refused = true
		return
	}
	if eof && flush && s.off+int64(len(data)) == s.dry {
		g.emit(data, s.off)
	}
	done, seen := g.done(), g.e.seen
	rest := data[seen-s.off:]
	searched := seen + int64(s.gathering.decoder.searchable(rest, seen)) // now: once handed over, the block is no longer ours
	if done == s.off && !eof && len(data) >= r.pool.size/2 {             // no end in a whole block
		b.Release()
		s.gathering.open, s.searched = g.e, searched
		r.long(ctx, s, g, final, flush, o)
		return
	}
	o.more = !eof
	end := s.off + int64(len(data))
	if done == s.off {
		b.Release()
		o.err = o.short // else the next turn comes to the same
	} else if !r.hand(ctx, s, b, done, o) {
		return
	}
	s.gathering.open = g.e
	if eof {
		s.searched, s.dry = searched, end
	}
}

// farOpen is how long an open entry may become before only what comes to it is
// read: what was looked at need not be read again at each turn.
const farOpen = 16 << 10

// far reports whether what is open fits no block, or is too long to be read at
// each turn.
func (s *source) far(block int) bool {
	if e := &s.gathering.open; e.lines > 0 && e.seen-s.off > int64(min(block/2, farOpen)) {
		return true
	}
	return s.searched-s.off > int64(block)/2
}

// restart forgets what was looked at and not handed over: the source was
// closed, and may hold something else after its offset.
func (s *source) restart() {
	s.gathering.open, s.searched, s.dry = openEntry{}, s.off, 0
}

// gatherer returns what makes entries of the source's lines; its block is still
// to be set.
func (r *reader) gatherer(s *source) *gatherer {
	g := &gatherer{form: &s.in.form, dec: s.gathering.decoder, limit: s.limit, e: s.gathering.open}
	if g.e.lines == 0 {
		g.e.seen = s.off
	}
	if g.carry = s.gathering.carry; g.carry != nil && g.e.lines == 0 {
		g.e = g.carry.open()
	}
	return g
}

// recognise finds out what the source is encoded in. It is false where there is
// not enough of it yet.
func (r *reader) recognise(s *source, size int64, final bool) (bool, error) {
	if s.gathering.decoder != nil {
		return true, nil
	}
	f := &s.in.form
	c := f.codec
	if c == nil {
		b := make([]byte, min(size, sniffMax))
		n, err := s.f.ReadAt(b, 0)
		if err != nil && !errors.Is(err, io.EOF) {
			return false, err
		}
		if n < len(b) {
			return false, errShortRead
		}
		if c = recognise(b[:n], final); c == nil {
			return false, nil
		}
		if c == utf8Codec {
			c = f.otherwise
		}
	}
	s.gathering.decoder = newDecoder(c)
	return true, nil
}

// searchable returns how much of an unfinished line need not be looked at
// again. NUL characters must be: a writer that allocates first will write over
// them.
func (c *codec) searchable(rest []byte, base int64) int {
	if i := c.firstNUL(rest, base); i >= 0 {
		return i
	}
	return max(0, len(rest)-c.width+1) // the rest may be half of a newline
}

// stillNUL reports whether the character at which the search ended is as it was.
func (s *source) stillNUL() bool {
	if s.searched >= s.dry {
		return true
	}
	c := make([]byte, s.gathering.decoder.width)
	n, _ := s.f.ReadAt(c, s.searched)
	return n < len(c) || s.gathering.decoder.firstNUL(c, s.searched) == 0
}

// fillUpTo reads into b from just before the source's offset, so many bytes at
// most, compares what is there with what was, and returns the bytes from the
// offset on. It returns nil and sets o where there is nothing to go on with.
func (r *reader) fillUpTo(s *source, b *Block, most int, o *outcome) (data []byte, eof bool) {
	before := len(s.tail)
	b.base = s.off - int64(before)
	n, err := s.f.ReadAt(b.mem[:most], b.base)
	b.mem = b.mem[:n]
	if n < before || !bytes.Equal(b.mem[:before], s.tail) {
		switch {
		case err != nil && !errors.Is(err, io.EOF):
			o.err = err
		case n < before:
			o.verdict, o.err = s.tooShort(s.off)
		default:
			o.verdict = replaced
		}
		return nil, false
	}
	if eof = errors.Is(err, io.EOF) && b.base+int64(n) >= o.size; !eof && err != nil {
		o.short = shortRead(err)
	}
	if n == before {
		o.err = o.short
		return nil, eof
	}
	return b.mem[before:], eof
}

// shortRead returns why a read gave less than was asked for and has to be there.
func shortRead(err error) error {
	if errors.Is(err, io.EOF) {
		return errShortRead
	}
	return err
}

// hand completes the block up to end, hands it over and moves the source on.
func (r *reader) hand(ctx context.Context, s *source, b *Block, end int64, o *outcome) bool {
	before := b.mem[:min(int64(len(b.mem)), end-b.base)]
	if b.base+int64(len(before)) < end { // the end of a line that was streamed past
		before = make([]byte, min(tailMax, end))
		if n, err := s.f.ReadAt(before, end-int64(len(before))); n < len(before) {
			o.err = shortRead(err)
			b.Release()
			return false
		}
	}
	if err := s.growHead(end, b.mem, b.base); err != nil {
		o.err = err
		b.Release()
		return false
	}
	b.File, b.Stream, b.Input = s.id, s.stream, &s.in.Input
	b.Origin, b.Path, b.Head, b.Seen, b.Epoch = s.origin, s.path, s.head, s.seen, s.epoch
	b.Start, b.End = s.off, end
	b.end = markOf(before[max(0, len(before)-tailMax):])
	for i := range b.Entries {
		if b.Entries[i].Flags&Truncated != 0 {
			o.cut++
		}
	}
	o.invalid += b.Invalid
	o.carried = o.carried || len(b.Entries) > 0 && b.Entries[0].Carry != nil
	// The source moves first: once handed over, the block is no longer ours.
	// A refused block ends the run, so that the position no longer counts.
	start := s.off
	s.advance(end, before)
	s.gathering.open = openEntry{}
	if err := r.handle(ctx, b); err != nil {
		b.Release()
		o.err, o.ended = err, true
		return false
	}
	o.read += end - start
	return true
}
