package tailer

import (
	"errors"
	"fmt"
	"io"
	"os"
)

// Identity returns device and inode of the file at path, symbolic links
// followed; on Windows the volume's serial number and the file index.
func Identity(path string) (dev, ino uint64, err error) {
	fi, err := os.Stat(path)
	if err != nil {
		return 0, 0, err
	}
	key, err := keyAt(path, fi)
	return key.dev, key.ino, err
}

// ErrOtherFile says that what lies at a path is not the file that was known
// there: it was truncated, written anew, or another has its name.
var ErrOtherFile = errors.New("another file lies there now")

// ErrNotALine says that an offset is not the beginning of a line.
var ErrNotALine = errors.New("not the beginning of a line")

// Proof is an open file that is known to be the one that a State tells of. It
// has one owner.
type Proof struct {
	f     content
	codec *codec
	// Size is how many bytes the file has, and a compressed one its uncompressed
	// stream: of that it is -1 where it would have to be unpacked for it.
	Size int64
}

// Prove opens the file at path and compares its content with the marks of s.
// Its error is ErrOtherFile where they do not agree, else the system's. What s
// says of device and inode is not compared: they change with a reboot.
func Prove(path string, s State) (*Proof, error) {
	f, fi, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	c, err := contentOf(f, fi, 0, 0)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	p := &Proof{f: c, Size: fi.Size()}
	known := false // without comparing: it is as it was when it was read to its end
	if _, packed := c.(*packedFile); packed {
		p.Size = -1
		if s.Sealed.fits(fi.Size(), fi.ModTime()) {
			p.Size, known = s.Sealed.End, s.Sealed.End == s.Offset
		}
	} else if p.Size < s.Offset {
		err = ErrOtherFile
	}
	if err == nil && !known {
		err = agree(c, s)
	}
	if err == nil {
		err = p.Decode(Input{})
	}
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return p, nil
}

// Decode has lines looked for as the files of an input are read. Without it
// their encoding is recognised, as for an input that names none.
func (p *Proof) Decode(in Input) error {
	form, err := newForm(&in)
	if err != nil {
		return err
	}
	if p.codec = form.codec; p.codec != nil {
		return nil
	}
	b, err := p.sample()
	if err != nil {
		return err
	}
	if p.codec = recognise(b, true); p.codec == utf8Codec {
		p.codec = form.otherwise
	}
	return nil
}

// agree compares content with the marks of s.
func agree(f io.ReaderAt, s State) error {
	for _, c := range []struct {
		at   int64
		mark Mark
	}{{0, s.Head}, {s.Offset - int64(s.Tail.Len), s.Tail}} {
		if c.mark.Len == 0 {
			continue
		}
		m, err := markAt(f, c.at, c.mark.Len)
		if err != nil {
			return err
		}
		if m != c.mark {
			return ErrOtherFile
		}
	}
	return nil
}

// Close closes the file.
func (p *Proof) Close() error { return p.f.Close() }

// TailAt returns the fingerprint of the bytes before offset, which has to be
// the beginning of a line: it fails with ErrNotALine elsewhere.
func (p *Proof) TailAt(offset int64) (Mark, error) {
	if offset == 0 {
		return Mark{}, nil
	}
	b := make([]byte, min(offset, tailMax))
	if n, err := p.f.ReadAt(b, offset-int64(len(b))); n < len(b) {
		return Mark{}, fmt.Errorf("read the bytes before %d: %w", offset, err)
	}
	if p.codec.lastNewline(b, offset-int64(len(b))) != len(b) {
		return Mark{}, ErrNotALine
	}
	return markOf(b), nil
}

// Around returns the beginnings of lines next to offset, before it and after
// it, of those that lie in [0,limit].
func (p *Proof) Around(offset, limit int64) (before, after int64, err error) {
	b := make([]byte, 64<<10)
	aligned := offset - offset%int64(p.codec.width) // so that no newline lies across two chunks
	for at := aligned; at > 0; {
		from := max(0, at-int64(len(b)))
		n, err := p.f.ReadAt(b[:at-from], from)
		if int64(n) < at-from {
			return 0, 0, err
		}
		if end := p.codec.lastNewline(b[:n], from); end >= 0 {
			before = from + int64(end)
			break
		}
		at = from
	}
	for at := aligned; at < limit; {
		n, err := p.f.ReadAt(b[:min(int64(len(b)), limit-at)], at)
		if _, end := p.codec.newline(b[:n], at); end >= 0 {
			return before, at + int64(end), nil
		}
		if n == 0 {
			return 0, 0, err
		}
		at += int64(n)
	}
	return before, limit, nil
}

// LineAt returns where line n begins, counted from 1, and how many lines begin
// before limit.
func (p *Proof) LineAt(n, limit int64) (offset, lines int64, err error) {
	b := make([]byte, 256<<10)
	offset = -1
	if n == 1 {
		offset = 0
	}
	lines = 1
	for at := int64(0); at < limit && offset < 0; {
		k, err := p.f.ReadAt(b[:min(int64(len(b)), limit-at)], at)
		if k == 0 {
			return 0, 0, err
		}
		for data := b[:k]; ; {
			_, end := p.codec.newline(data, at+int64(k-len(data)))
			if end < 0 {
				break
			}
			data = data[end:]
			lines++
			if lines == n {
				return at + int64(k-len(data)), lines, nil
			}
		}
		at += int64(k)
	}
	return offset, lines, nil
}

// sample returns the file's first bytes.
func (p *Proof) sample() ([]byte, error) {
	b := make([]byte, sniffMax)
	n, err := p.f.ReadAt(b, 0)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return b[:n], err
}
