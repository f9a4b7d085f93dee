package tailer

import "bytes"

// gathering is how far the lines of a source have come on their way to entries.
// It belongs to whoever has the source.
type gathering struct {
	decoder *decoder  // nil until it is known what the file is encoded in
	open    openEntry // begins at the source's offset; with no lines where none is open
	heard   int64     // when more of it, or of the line after it, was there; unix nanoseconds
	flush   bool      // the next turn hands the open entry over, unless there is more
	lend    bool      // the next turn returns the open entry, unless there is more
	carry   *lent     // what the file before leaves open, as long as nothing was read of this one
}

// gatherer makes entries of lines that are joined, or that are no UTF-8.
type gatherer struct {
	*form
	dec   *decoder
	limit int // bytes of one line's text
	b     *Block
	e     openEntry
	first []byte // text of the open entry's first line, if it was looked at in this block
	bad   int    // what of first was no text
	carry *lent  // what the open entry began with, if it is carried
	// refused: what was carried does not go on here, and has to be handed over
	// from its own file first.
	refused bool
}

// gather appends to the block the entries in data, whose first byte lies at
// base, where the open entry begins. What it leaves is e. last says that no more
// comes: what follows the last newline is a line.
func (g *gatherer) gather(data []byte, base int64, last bool) {
	for at := int(g.e.seen - base); !g.refused; {
		i, end := g.dec.newline(data[at:], base+int64(at))
		if i < 0 {
			break
		}
		g.line(data, base, at, at+i, at+end, 0)
		at += end
	}
	if at := int(g.e.seen - base); last && at < len(data) && !g.refused {
		g.line(data, base, at, len(data), len(data), Partial)
	}
	if last {
		g.emit(data, base)
	}
}

// cutBlock is gather by the fastest way that there is.
func (g *gatherer) cutBlock(data []byte, base int64, last bool) {
	if !g.plain(g.dec) {
		g.gather(data, base, last)
		return
	}
	var done int
	g.b.Entries, done = cut(g.b.Entries, data, base, g.limit)
	if last && done < len(data) {
		g.b.Entries = appendLine(g.b.Entries, data[done:], base+int64(done), base+int64(len(data)), g.limit, Partial, true)
		done = len(data)
	}
	g.e.seen = base + int64(done)
}

// line deals with the line data[at:newline], which ends at end.
func (g *gatherer) line(data []byte, base int64, at, newline, end int, flags Flags) {
	before := len(g.b.text)
	text, bad := g.decode(data[at:newline], base+int64(at))
	if len(text) > g.limit {
		text, flags = text[:runeBoundary(text, g.limit)], flags|Truncated
	}
	start, stop := base+int64(at), base+int64(end)
	var own ownState
	if !g.add(&g.e, text, start, stop, flags, &own) {
		if g.emit(data, base); g.refused {
			return
		}
		g.add(&g.e, text, start, stop, flags, &own)
	}
	if g.e.lines == 1 && g.e.start == start {
		g.first, g.bad = text, bad
	} else if len(g.b.text) > before { // it was only looked at
		g.b.text = g.b.text[:before]
	}
	if g.e.over {
		g.emit(data, base)
	}
}

// decode returns the text of a line that lies at offset start of the file, and
// how much of it was no text. It is part of line, or of the block's memory.
func (g *gatherer) decode(line []byte, start int64) (text []byte, bad int) {
	if g.dec.codec == utf8Codec {
		text = withoutReturn(withoutMark(line, start))
		if bytes.Contains(text, []byte{0, 0}) {
			g.b.room(len(text))
			text = withoutNULRuns(g.b.text, text)
			g.b.text = g.b.text[:len(g.b.text)+len(text)]
		}
		return text, 0
	}
	g.b.room(g.dec.textMax(len(line)))
	before := len(g.b.text)
	g.b.text, bad = g.dec.append(g.b.text, line, start)
	text = withoutReturn(withoutMark(g.b.text[before:], start))
	return withoutNULRuns(text[:0], text), bad
}

// emit appends the open entry, which data holds, to the block's entries.
func (g *gatherer) emit(data []byte, base int64) {
	e := &g.e
	if e.lines == 0 {
		return
	}
	if g.refused = g.refuses(); g.refused {
		return
	}
	text, bad := g.first, g.bad
	if e.lines > 1 || text == nil {
		text, bad = g.render(data[e.start-base:e.end-base], e.start)
	}
	entry := Entry{Start: e.start, End: e.end, Data: text, Flags: e.flags}
	if e.carried {
		g.b.room(len(g.carry.text) + 1 + len(text))
		before := len(g.b.text)
		g.b.text = append(append(append(g.b.text, g.carry.text...), '\n'), text...)
		entry.Data, entry.Carry = g.b.text[before:], &g.carry.Carry
	}
	g.b.Entries = append(g.b.Entries, entry)
	g.b.Invalid += bad
	g.e, g.first = openEntry{seen: e.seen}, nil
}

// refuses reports whether the open entry is what the file before left, and
// nothing of this one.
func (g *gatherer) refuses() bool { return g.e.carried && g.e.end == 0 }

// render returns the text of the lines in raw, which lies at offset start of the
// file. Where it can, it is part of raw.
func (g *gatherer) render(raw []byte, start int64) (text []byte, bad int) {
	if g.dec.codec == utf8Codec {
		text = withoutReturn(bytes.TrimSuffix(raw, []byte("\n")))
		if bytes.IndexByte(text, '\r') < 0 && bytes.IndexByte(text, 0) < 0 {
			return g.cut(withoutMark(text, start)), 0
		}
	}
	g.b.room(g.dec.textMax(len(raw))) // no line comes into other memory than those before it
	from := len(g.b.text)
	for at := 0; at < len(raw); {
		i, end := g.dec.newline(raw[at:], start+int64(at))
		if i < 0 {
			i, end = len(raw)-at, len(raw)-at
		}
		before := len(g.b.text)
		line, n := g.decode(raw[at:at+i], start+int64(at))
		bad += n
		g.b.text = append(g.b.text[:before], line...)
		if at += end; at < len(raw) {
			g.b.text = append(g.b.text, '\n')
		}
	}
	return g.cut(g.b.text[from:]), bad
}

// cut bounds an entry of one line; one of several is within bounds already.
func (g *gatherer) cut(text []byte) []byte {
	if g.e.flags&Truncated != 0 && len(text) > g.limit {
		return text[:runeBoundary(text, g.limit)]
	}
	return text
}

// done returns up to where all is dealt with once the block is.
func (g *gatherer) done() int64 {
	if g.e.lines > 0 {
		return g.e.start
	}
	return g.e.seen
}
