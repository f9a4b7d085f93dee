package tailer

import (
	"bytes"
	"context"
	"errors"
	"io"
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
	ended   bool // the handler refused: the run is over
	more    bool // the turn ended before the file did
	size    int64
	mtime   time.Time
	links   int
	read    int64 // bytes handed over
	cut     int   // entries that were cut to the limit
	placed  bool  // fromEnd was carried out
}

// reader turns bytes of sources into blocks. It starts no goroutine; several
// workers use one at a time each on different sources.
type reader struct {
	pool   *blockPool
	handle Handler
}

// turn reads at most one block of s and hands it over. final says that the
// file is finished: what follows the last newline is a line too.
func (r *reader) turn(ctx context.Context, s *source, final bool) (o outcome) {
	now := time.Now()
	if s.f == nil {
		if o.verdict, o.err = s.open(); o.err != nil || o.verdict != same {
			return o
		}
	}
	fi, err := s.f.Stat()
	if err != nil {
		o.err = err
		return o
	}
	o.size, o.mtime, o.links = fi.Size(), fi.ModTime(), links(fi)
	if s.fromEnd {
		o.err = s.seekEnd(o.size)
		o.placed = o.err == nil
		return o
	}
	if o.size < s.off {
		o.verdict = replaced
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
	r.read(ctx, s, final, &o)
	return o
}

// read is turn for a source that has something to read.
func (r *reader) read(ctx context.Context, s *source, final bool, o *outcome) {
	if !final && s.dry == o.size && s.stillNUL() {
		return // looked through before, and nothing has come
	}
	if s.searched-s.off > int64(r.pool.size)/2 {
		r.long(ctx, s, final, o)
		return
	}
	b := r.pool.get(int(min(int64(r.pool.size), int64(len(s.tail))+o.size-s.off+growth)))
	data, eof := r.fill(s, b, o)
	if data == nil {
		b.Release()
		return
	}
	var done int
	b.Entries, done = cut(b.Entries, data, s.off, s.limit)
	if done == 0 && !eof && len(data) >= r.pool.size/2 { // no newline in a whole block
		s.searched = s.off + int64(searchable(data))
		b.Release()
		r.long(ctx, s, final, o)
		return
	}
	if eof && final && done < len(data) {
		b.Entries = appendLine(b.Entries, data[done:], s.off+int64(done), s.off+int64(len(data)), s.limit, Partial, true)
		done = len(data)
	}
	o.more = !eof
	rest := int64(len(data) - done)
	searched := int64(searchable(data[done:])) // now: once handed over, the block is no longer ours
	if done == 0 {
		b.Release()
	} else if !r.hand(ctx, s, b, s.off+int64(done), o) {
		return
	}
	if eof {
		s.searched, s.dry = s.off+searched, s.off+rest
	}
}

// searchable returns how much of an unfinished line need not be looked at
// again. NUL bytes must be: a writer that allocates first will write over them.
func searchable(rest []byte) int {
	if i := bytes.IndexByte(rest, 0); i >= 0 {
		return i
	}
	return len(rest)
}

// stillNUL reports whether the byte at which the search ended is as it was.
func (s *source) stillNUL() bool {
	if s.searched >= s.dry {
		return true
	}
	var c [1]byte
	n, _ := s.f.ReadAt(c[:], s.searched)
	return n == 1 && c[0] == 0
}

// fill reads into b from just before the source's offset, compares what is
// there with what was, and returns the bytes from the offset on. It returns nil
// and sets o where there is nothing to go on with.
func (r *reader) fill(s *source, b *Block, o *outcome) (data []byte, eof bool) {
	before := len(s.tail)
	b.base = s.off - int64(before)
	n, err := s.f.ReadAt(b.mem[:cap(b.mem)], b.base)
	b.mem = b.mem[:n]
	if n < before || !bytes.Equal(b.mem[:before], s.tail) {
		if err == nil || errors.Is(err, io.EOF) {
			o.verdict = replaced
		} else {
			o.err = err
		}
		return nil, false
	}
	if err != nil && !errors.Is(err, io.EOF) && n == before {
		o.err = err
		return nil, false
	}
	if n == before {
		return nil, true // shorter than its size said: look again later
	}
	return b.mem[before:], errors.Is(err, io.EOF)
}

// hand completes the block up to end, hands it over and moves the source on.
func (r *reader) hand(ctx context.Context, s *source, b *Block, end int64, o *outcome) bool {
	before := b.mem[:min(int64(len(b.mem)), end-b.base)]
	if b.base+int64(len(before)) < end { // the end of a line that was streamed past
		before = make([]byte, min(tailMax, end))
		if n, err := s.f.ReadAt(before, end-int64(len(before))); n < len(before) {
			o.err = err
			b.Release()
			return false
		}
	}
	if err := s.growHead(end, b.mem, b.base); err != nil {
		o.err = err
		b.Release()
		return false
	}
	b.File, b.Stream, b.Input = s.id, s.stream, s.input
	b.Origin, b.Path, b.Head, b.Seen = s.origin, s.path, s.head, s.seen
	b.Start, b.End = s.off, end
	b.end = markOf(before[max(0, len(before)-tailMax):])
	for i := range b.Entries {
		if b.Entries[i].Flags&Truncated != 0 {
			o.cut++
		}
	}
	// The source moves first: once handed over, the block is no longer ours.
	// A refused block ends the run, so that the position no longer counts.
	start := s.off
	s.advance(end, before)
	if err := r.handle(ctx, b); err != nil {
		b.Release()
		o.err, o.ended = err, true
		return false
	}
	o.read += end - start
	return true
}

// long deals with a line that does not fit a block: it looks for its end
// without keeping it, then reads as much of it as an entry may hold.
func (r *reader) long(ctx context.Context, s *source, final bool, o *outcome) {
	end, found, err := r.search(s, o.size)
	if err != nil {
		o.err = err
		return
	}
	if !found {
		if s.searched < o.size && s.dry != o.size {
			o.more = true
			return
		}
		if !final {
			return
		}
		if s.dry > o.size { // it grows: not finished after all
			o.more = true
			return
		}
		end = o.size
	}
	// A run of NUL bytes before the text is dealt with by itself, so that it
	// takes nothing of the text's room.
	if text, err := s.skipNUL(end); err != nil || text-s.off >= 2 {
		if o.err = err; err == nil {
			b := r.pool.get(1)
			b.base = s.off
			o.more = r.hand(ctx, s, b, text, o)
		}
		return
	}
	r.longLine(ctx, s, end, found, o)
}

// longLine hands over the line [s.off,end), of which the last byte is a newline
// if newline says so.
func (r *reader) longLine(ctx context.Context, s *source, end int64, newline bool, o *outcome) {
	const slack = 4 // to see whether the cut would split a rune, and CR LF
	room := int(min(end-s.off, int64(s.limit)+slack))
	b := r.pool.get(len(s.tail) + room)
	b.mem = b.mem[:0:min(cap(b.mem), len(s.tail)+room)]
	data, _ := r.fill(s, b, o)
	if data == nil {
		b.Release()
		return
	}
	line, flags := data, Flags(0)
	whole := int64(len(data)) == end-s.off
	switch nul := bytes.Index(data, []byte{0, 0}); {
	case whole && newline:
		line = data[:len(data)-1]
	case whole:
		flags = Partial
	case nul > 0: // a crash cut the line here; what follows the NULs is another
		end, line, flags = s.off+int64(nul), data[:nul], Partial
	default:
		flags = Truncated
		if !newline {
			flags |= Partial
		}
		line = data[:min(len(data), s.limit+1)]
	}
	b.Entries = appendLine(b.Entries, line, s.off, end, s.limit, flags, true)
	o.more = r.hand(ctx, s, b, end, o)
}

// search looks for the newline that ends the line at s.off, from s.searched on,
// and returns the offset after it.
func (r *reader) search(s *source, size int64) (end int64, found bool, err error) {
	b := r.pool.get(r.pool.size)
	defer b.Release()
	stop := s.searched + searchPerTurn
	nul := int64(-1)
	for at := s.searched; ; {
		n, err := s.f.ReadAt(b.mem[:cap(b.mem)], at)
		data := b.mem[:n]
		if i := bytes.IndexByte(data, '\n'); i >= 0 {
			return at + int64(i) + 1, true, nil
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return 0, false, err
		}
		if i := bytes.IndexByte(data, 0); i >= 0 && nul < 0 {
			nul = at + int64(i)
		}
		at += int64(n)
		// NUL bytes have to be searched to their end in one go, since the next
		// search begins at the first of them again.
		if err != nil || (at >= stop && nul < 0) {
			s.searched = at
			if nul >= 0 {
				s.searched = nul
			}
			if err != nil {
				s.dry = max(size, at)
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
