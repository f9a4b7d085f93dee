package agent

import "bytes"

const (
	// readStep is how much of a file is read at a time.
	readStep = 256 << 10
	// keptText bounds what is kept of a line that never came.
	keptText = 400
)

// examination reads a file from its beginning, once, and tells what the bytes are
// that never came. It has no clock and no disk of its own.
type examination struct {
	proof    *FileProof
	lacks    []lack
	size     int64 // of the content; -1: not known before its end
	maxLines int   // lines whose text is kept
	acked    int64 // what lies behind was not acknowledged when we began; -1: not known
	utf16    bool  // NUL bytes are no text

	next  int   // in lacks
	line  int64 // number of the line that is read, from 1
	last  byte  // the byte just before; a file begins as after a newline
	open  bool  // piece is not at its end
	piece piece
	gap   Gap  // the last one
	kept  bool // it is in the proof
	shown int  // lines whose text is kept
}

// piece is a part of one line, its newline included, that never came.
type piece struct {
	start  int64
	begun  bool // it begins where a line does
	nuls   int  // NUL bytes just before
	text   bool // there is more in it than white space and NUL bytes
	blank  bool // there is white space in it
	prefix []byte
}

// run reads what is needed of the content, and returns its size.
func (x *examination) run(c *content) (size int64, err error) {
	size = x.size
	x.line, x.last = 1, '\n'
	var buf []byte
	at := int64(0)
	for size < 0 || at < size && x.next < len(x.lacks) {
		n := int64(readStep)
		if size >= 0 {
			n = min(n, size-at)
		}
		if buf, err = c.read(buf[:0], at, int(n)); err != nil {
			return at, err
		}
		if len(buf) == 0 {
			if size >= 0 {
				return at, errChanged
			}
			break
		}
		x.feed(buf, at)
		at += int64(len(buf))
	}
	if size < 0 {
		size = at
	}
	x.endPiece(at, at == size)
	return size, nil
}

// feed takes the bytes from offset base on.
func (x *examination) feed(data []byte, base int64) {
	end := base + int64(len(data))
	for at := base; at < end; {
		if x.next == len(x.lacks) || x.lacks[x.next].start >= end {
			x.pass(data[at-base:])
			return
		}
		k := x.lacks[x.next]
		if at < k.start {
			x.pass(data[at-base : k.start-base])
			at = k.start
		}
		stop := min(k.end, end)
		part := data[at-base : stop-base]
		switch k.kind {
		case lackDead, lackSkipped: // it is known what they are
			x.proof.known(k, int64(len(part)))
			x.pass(part)
		default:
			x.look(part, at)
		}
		if at = stop; at == k.end {
			x.endPiece(at, false)
			x.next++
		}
	}
}

// pass goes over bytes that need no look.
func (x *examination) pass(b []byte) {
	if len(b) > 0 {
		x.line += int64(bytes.Count(b, []byte{'\n'}))
		x.last = b[len(b)-1]
	}
}

// look takes bytes that never came, from offset at on.
func (x *examination) look(b []byte, at int64) {
	for len(b) > 0 {
		n := bytes.IndexByte(b, '\n') + 1
		part := b
		if n > 0 {
			part = b[:n]
		}
		text := part
		if !x.open {
			x.open = true
			x.piece = piece{start: at, begun: x.last == '\n' || x.last == 0, prefix: x.piece.prefix[:0]}
			if at == 0 {
				text = withoutMark(part)
			}
		}
		x.piece.add(text, x.utf16)
		x.last = part[len(part)-1]
		at += int64(len(part))
		b = b[len(part):]
		if n > 0 {
			x.endPiece(at, false)
			x.line++
		}
	}
}

// add takes more bytes into the piece. Blank is what the tailer makes no entry
// of: white space, and NUL bytes that are not alone.
func (p *piece) add(b []byte, utf16 bool) {
	if room := keptText - len(p.prefix); room > 0 {
		p.prefix = append(p.prefix, b[:min(room, len(b))]...)
	}
	for _, c := range b {
		if c != 0 && p.nuls == 1 && !utf16 {
			p.text = true // a single one is somebody's data
		}
		if p.text {
			return
		}
		switch c {
		case ' ', '\t', '\r', '\v', '\f', '\n':
			p.blank, p.nuls = true, 0
		case 0:
			p.nuls++
		default:
			p.text = true
		}
	}
}

// withoutMark takes a byte order mark off.
func withoutMark(b []byte) []byte {
	for _, mark := range []string{"\xef\xbb\xbf", "\xff\xfe", "\xfe\xff"} {
		if bytes.HasPrefix(b, []byte(mark)) {
			return b[len(mark):]
		}
	}
	return b
}

// endPiece decides what the piece is that ends at offset end. last says that the
// file ends there too.
func (x *examination) endPiece(end int64, last bool) {
	if !x.open {
		return
	}
	x.open = false
	p, r := &x.piece, x.proof
	n := end - p.start
	closed := x.last == '\n'
	last = last || end == x.size
	text := p.text || p.nuls == 1 && !x.utf16
	switch kind := x.lacks[x.next].kind; {
	case !text && (!p.blank || p.begun && (closed || last)):
		r.Blank += n
	case last && !closed:
		r.Unfinished += n
	case kind == lackGap:
		x.lost(end)
	default:
		r.known(x.lacks[x.next], n)
	}
}

// lost notes that the piece, which ends at offset end, is nowhere.
func (x *examination) lost(end int64) {
	p, r := &x.piece, x.proof
	unsent := x.acked >= 0 && p.start >= x.acked
	r.GapBytes += end - p.start
	r.GapLines++
	if unsent {
		r.UnsentBytes += end - p.start
	}
	if x.gap.End != p.start || x.gap.Unsent != unsent || r.GapCount == 0 {
		r.GapCount++
		x.gap = Gap{Start: p.start, Line: x.line, Unsent: unsent, Text: []string{}}
		if x.kept = len(r.Gaps) < x.maxLines; x.kept {
			r.Gaps = append(r.Gaps, Gap{})
		}
	}
	x.gap.End = end
	x.gap.Lines++
	if x.shown < x.maxLines {
		x.shown++
		x.gap.Text = append(x.gap.Text, lineText(p.prefix, end-p.start))
	}
	if x.kept {
		r.Gaps[len(r.Gaps)-1] = x.gap
	}
}
