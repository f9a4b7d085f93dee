package tailer

import (
	"bytes"
	"compress/bzip2"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// packing is a way in which a file is compressed. The name of the file decides
// nothing.
type packing int

const (
	notPacked packing = iota
	gzipPacked
	zstdPacked
	bzip2Packed
)

// String names it in messages.
func (c packing) String() string { return [...]string{"plain", "gzip", "zstd", "bzip2"}[c] }

// sniffLen is how many bytes of a file tell how it is compressed.
const sniffLen = 10

// ErrCompression says that a file is compressed in a way that is recognised, and not
// read: xz, lz4, zip.
var ErrCompression = errors.New("compression that is not read: use gzip, zstd or bzip2")

// sniff recognises how a file of that size is compressed. No text begins like any
// of them.
func sniff(f io.ReaderAt, size int64) (packing, error) {
	var b [sniffLen]byte
	n, err := f.ReadAt(b[:], 0)
	if err != nil && err != io.EOF {
		return notPacked, err
	}
	if int64(n) < min(size, sniffLen) {
		return notPacked, errShortRead
	}
	h := string(b[:n])
	switch {
	case strings.HasPrefix(h, "\x1f\x8b\x08"):
		return gzipPacked, nil
	case strings.HasPrefix(h, "\x28\xb5\x2f\xfd"), len(h) >= 4 && h[0]&0xf0 == 0x50 && h[1:4] == "\x2a\x4d\x18": // the second: what pzstd puts first
		return zstdPacked, nil
	case len(h) == sniffLen && h[:3] == "BZh" && (h[4:] == "1AY&SY" || h[4:] == "\x17rE8P\x90"):
		return bzip2Packed, nil
	}
	for name, magic := range map[string]string{"xz": "\xfd7zXZ\x00", "lz4": "\x04\x22\x4d\x18", "zip": "PK\x03\x04"} {
		if strings.HasPrefix(h, magic) {
			return notPacked, fmt.Errorf("%s: %w", name, ErrCompression)
		}
	}
	return notPacked, nil
}

// Compression tells from the first ten bytes of a file, or all where it has fewer, how
// it is compressed: gzip, zstd, bzip2, or "" for not at all. Its error names a
// compression that is recognised and not read.
func Compression(head []byte) (string, error) {
	c, err := sniff(bytes.NewReader(head), int64(len(head)))
	if err != nil || c == notPacked {
		return "", err
	}
	return c.String(), nil
}

// settledPlain reports whether a content that was taken for a plain file is one:
// it may have been opened before there was enough of it to tell, as a file that
// is just being compressed is.
func settledPlain(c content) bool {
	p, ok := c.(plain)
	if !ok {
		return true
	}
	var b [sniffLen]byte
	n, err := p.ReadAt(b[:], 0)
	if err != nil && err != io.EOF {
		return false
	}
	kind, err := sniff(bytes.NewReader(b[:n]), int64(n))
	if kind != notPacked || err != nil {
		return false
	}
	for _, magic := range [...]string{"\x1f\x8b\x08", "\x28\xb5\x2f\xfd", "BZh91AY&SY"} {
		if n > 0 && n < len(magic) && magic[:n] == string(b[:n]) {
			return false
		}
	}
	return true
}

const (
	// maxWindow bounds what a zstd file may ask for: it is what level 20 needs.
	maxWindow = 32 << 20
	unpackLen = 64 << 10  // bytes unpacked at a time
	backMax   = 512 << 10 // bytes kept of what was unpacked last
	aheadMin  = 256 << 10 // bytes unpacked before they are asked for
)

// errIncomplete is the end of a compressed file that is being written, or never
// was to its end.
var errIncomplete = errors.New("the compressed file ends too early: it is still being written, or was cut off")

// DamagedError says that a compressed file cannot be unpacked to its end.
type DamagedError struct {
	Codec  string // gzip, zstd or bzip2
	Offset int64  // bytes of the uncompressed stream that could be read, and were
	Err    error
}

// Error says up to where the file was read.
func (e *DamagedError) Error() string {
	return fmt.Sprintf("%s data is damaged: %v; the %d uncompressed bytes before that were read, what follows is lost unless the file is restored", e.Codec, e.Err, e.Offset)
}

// Unwrap returns what the decoder said.
func (e *DamagedError) Unwrap() error { return e.Err }

// packedFile is a compressed file, unpacked as it is read. It keeps what was
// unpacked last, and what begins at the offset that is held, as long as a line
// may be, so that reading on does not unpack twice. Anything else before it
// means to begin again.
type packedFile struct {
	file    plain
	packing packing
	raw     int64 // size and time of the file that dec reads
	mtime   time.Time

	in  faultReader
	dec io.ReadCloser
	buf []byte
	err error // why there is no more: io.EOF, errIncomplete, a DamagedError, or of the disk
	end int64 // bytes unpacked

	head     []byte // the first headMax bytes
	front    []byte // from frontAt on
	frontAt  int64
	frontMax int
	back     []byte // the last bytes before end
}

// faultReader notes the error of the file under a decoder, which is no damage.
type faultReader struct {
	r    io.Reader
	left int64 // bytes that there have to be
	err  error
}

func (f *faultReader) Read(p []byte) (int, error) {
	n, err := f.r.Read(p)
	f.left -= int64(n)
	switch {
	case err == io.EOF && f.left > 0:
		f.err = errShortRead
	case err != nil && err != io.EOF:
		f.err = err
	}
	return n, err
}

func newPacked(f plain, fi os.FileInfo, c packing, at int64, limit int) *packedFile {
	p := &packedFile{file: f, packing: c, frontMax: limit + 4*tailMax}
	p.restart(fi.Size(), fi.ModTime(), max(0, at-tailMax))
	return p
}

// restart begins the stream anew, to be read from at on.
func (p *packedFile) restart(raw int64, mtime time.Time, at int64) {
	p.raw, p.mtime, p.end, p.frontAt = raw, mtime, 0, at
	p.head, p.front, p.back = p.head[:0], p.front[:0], p.back[:0]
	p.release()
	p.in = faultReader{r: io.NewSectionReader(p.file, 0, raw), left: raw}
	var err error
	switch p.packing {
	case gzipPacked:
		var d *gzip.Reader
		if d, err = gzip.NewReader(&p.in); err == nil {
			p.dec = d
		}
	case zstdPacked:
		var d *zstd.Decoder
		if d, err = zstd.NewReader(&p.in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow)); err == nil {
			p.dec = d.IOReadCloser()
		}
	case bzip2Packed:
		p.dec = io.NopCloser(bzip2.NewReader(&p.in))
	}
	p.err = p.reason(err)
}

// reason says what an error of the decoder means.
func (p *packedFile) reason(err error) error {
	switch {
	case err == nil:
		return nil
	case p.in.err != nil:
		return p.in.err
	case err == io.EOF:
		return err
	case errors.Is(err, io.ErrUnexpectedEOF):
		return errIncomplete
	}
	return &DamagedError{p.packing.String(), p.end, err}
}

// release gives the decoder back.
func (p *packedFile) release() {
	if p.dec != nil {
		// What a decoder says at its closing it said at the last read.
		_ = p.dec.Close()
		p.dec = nil
	}
}

// Close gives decoder and descriptor back.
func (p *packedFile) Close() error {
	p.release()
	return p.file.Close()
}

// resting reports whether it needs no decoder any more, and no memory but for
// the rest of its text, such as an entry that waits for its end.
func (p *packedFile) resting() bool { return p.dec == nil && p.err == io.EOF }

// unpack unpacks some more.
func (p *packedFile) unpack() {
	if p.buf == nil {
		p.buf = make([]byte, unpackLen)
	}
	n, err := p.dec.Read(p.buf)
	b := p.buf[:n]
	if room := headMax - len(p.head); room > 0 {
		p.head = append(p.head, b[:min(n, room)]...)
	}
	if skip := p.frontAt + int64(len(p.front)) - p.end; skip < int64(n) && skip >= 0 && len(p.front) < p.frontMax {
		p.front = append(p.front, b[skip:]...)
	}
	if len(p.back)+n > 2*backMax {
		p.back = append(p.back[:0], p.back[len(p.back)-backMax:]...)
	}
	p.back = append(p.back, b...)
	p.end += int64(n)
	p.err = p.reason(err)
}

// memory returns what is kept of the stream from at on.
func (p *packedFile) memory(at int64) []byte {
	if i := at - (p.end - int64(len(p.back))); i >= 0 && i < int64(len(p.back)) {
		return p.back[i:]
	}
	if i := at - p.frontAt; i >= 0 && i < int64(len(p.front)) {
		return p.front[i:]
	}
	if at < int64(len(p.head)) {
		return p.head[at:]
	}
	return nil
}

// ReadAt reads from the uncompressed stream. Where it breaks off, for whatever
// reason, it ends: look says why.
func (p *packedFile) ReadAt(b []byte, at int64) (int, error) {
	n := 0
	for n < len(b) {
		m := p.memory(at + int64(n))
		switch {
		case len(m) > 0:
			n += copy(b[n:], m)
		case at+int64(n) < p.end: // no longer in memory
			p.restart(p.raw, p.mtime, at+int64(n))
		case p.err != nil:
			return n, io.EOF
		default:
			p.unpack()
		}
	}
	return n, nil
}

// hold keeps what begins at at in memory.
func (p *packedFile) hold(at int64) {
	kept := p.memory(at)
	p.front, p.frontAt = append(p.front[:0], kept[:min(len(kept), p.frontMax)]...), at
}

// look unpacks enough for a block, and begins anew if the file has changed
// since the stream came to an end.
func (p *packedFile) look() (look, error) {
	fi, err := p.file.Stat()
	if err != nil {
		return look{}, err
	}
	if p.err != nil && (fi.Size() != p.raw || !fi.ModTime().Equal(p.mtime)) {
		p.restart(fi.Size(), fi.ModTime(), p.frontAt)
	}
	for p.err == nil && p.end < p.frontAt+aheadMin {
		p.unpack()
	}
	if p.err == io.EOF && p.frontAt+int64(len(p.front)) == p.end { // all that is left to be read is there
		p.release()
		p.back, p.buf = nil, nil
	}
	l := look{size: p.end, raw: p.raw, mtime: p.mtime, links: links(p.file.File, fi), packed: true, whole: p.err == io.EOF}
	var damage *DamagedError
	switch {
	case errors.Is(p.err, errIncomplete) || errors.As(p.err, &damage):
		l.broken = p.err
	case p.err != nil && !l.whole:
		return look{}, p.err
	}
	return l, nil
}

// length unpacks all of it and returns how much that is.
func (p *packedFile) length() (int64, error) {
	for p.err == nil {
		p.unpack()
	}
	if p.err != io.EOF {
		return 0, p.err
	}
	return p.end, nil
}

// lengthOf returns the length of a content, to its very end.
func lengthOf(c content) (int64, error) {
	if p, ok := c.(*packedFile); ok {
		return p.length()
	}
	l, err := c.look()
	return l.size, err
}
