package tailer

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/ianaindex"
	"golang.org/x/text/transform"
)

// breaks says how an encoding writes the end of a line.
type breaks int

const (
	breakLF      breaks = iota // the byte 0x0A, which is part of no other character
	breakUTF16LE               // 0x0A 0x00 at an even offset of the file
	breakUTF16BE               // 0x00 0x0A at an even offset of the file
	breakEBCDIC                // 0x15 (NEL) or 0x25 (LF): z/OS writes the one, file transfers make it the other
)

// codec is an encoding, as far as cutting lines has to know it. It does not
// change.
type codec struct {
	name   string
	breaks breaks
	width  int               // bytes of a code unit
	enc    encoding.Encoding // nil where the tailer decodes by itself: UTF-8, UTF-16
	ascii  bool              // a line of bytes below 0x80 is the same in UTF-8
}

var ( //nolint:gochecknoglobals // constants that Go cannot express
	utf8Codec    = &codec{name: "utf-8", width: 1, ascii: true}
	utf16LECodec = &codec{name: "utf-16le", width: 2, breaks: breakUTF16LE}
	utf16BECodec = &codec{name: "utf-16be", width: 2, breaks: breakUTF16BE}
)

// CheckEncoding returns an error that says what to write instead, unless name
// is one that Input.Encoding may have.
func CheckEncoding(name string) error {
	_, err := codecOf(name)
	return err
}

// codecOf returns the encoding of that name, nil for one that has to be
// recognised from the bytes of each file.
func codecOf(name string) (*codec, error) {
	switch strings.ToLower(name) {
	case "", "auto", "utf-16", "utf16":
		return nil, nil
	case "utf-8", "utf8", "us-ascii", "ascii":
		return utf8Codec, nil
	case "utf-16le", "utf16le":
		return utf16LECodec, nil
	case "utf-16be", "utf16be":
		return utf16BECodec, nil
	}
	enc, err := ianaindex.IANA.Encoding(name)
	if err != nil || enc == nil {
		if enc, err = htmlindex.Get(name); err != nil {
			return nil, fmt.Errorf("encoding %q is not known: write auto or an IANA name such as utf-8, utf-16le, windows-1252, iso-8859-15, shift_jis, gb18030, euc-kr, ibm037", name)
		}
	}
	canonical, err := ianaindex.IANA.Name(enc)
	if err != nil {
		canonical = name
	}
	c := &codec{name: strings.ToLower(canonical), width: 1, enc: enc}
	if c.decodes("\n") != "\n" {
		if _, one := enc.(*charmap.Charmap); !one || c.decodes("\x25") != "\n" {
			return nil, fmt.Errorf("encoding %q has no byte that ends a line: logs cannot be read in it", name)
		}
		c.breaks = breakEBCDIC
	}
	var ascii [utf8.RuneSelf]byte
	for i := range ascii {
		ascii[i] = byte(i)
	}
	c.ascii = c.decodes(string(ascii[:])) == string(ascii[:])
	return c, nil
}

func (c *codec) decodes(s string) string {
	text, err := c.enc.NewDecoder().String(s)
	if err != nil {
		return ""
	}
	return text
}

// newline returns where in data, which lies at offset base of the file, the
// next newline begins and ends; -1 where there is none.
func (c *codec) newline(data []byte, base int64) (at, end int) {
	switch c.breaks {
	case breakUTF16LE, breakUTF16BE:
		return newline16(data, base, c.breaks == breakUTF16BE)
	case breakEBCDIC:
		for i, b := range data {
			if b == 0x15 || b == 0x25 {
				return i, i + 1
			}
		}
		return -1, -1
	}
	if at = bytes.IndexByte(data, '\n'); at < 0 {
		return -1, -1
	}
	return at, at + 1
}

// newline16 is newline for UTF-16: the byte 0x0A may be half of another
// character, or lie across two.
func newline16(data []byte, base int64, big bool) (at, end int) {
	other := 1 // where the NUL byte of the newline lies
	if big {
		other = -1
	}
	for from := 0; ; {
		i := bytes.IndexByte(data[from:], '\n')
		if i < 0 {
			return -1, -1
		}
		i += from
		from = i + 1
		nul := i + other
		if even := (base+int64(i))%2 == 0; even == big || nul < 0 || nul >= len(data) || data[nul] != 0 {
			continue
		}
		return min(i, nul), max(i, nul) + 1
	}
}

// lastNewline returns the end of the last newline in data, -1 where there is
// none.
func (c *codec) lastNewline(data []byte, base int64) int {
	if c.breaks == breakLF {
		if i := bytes.LastIndexByte(data, '\n'); i >= 0 {
			return i + 1
		}
		return -1
	}
	last := -1
	for at := 0; ; {
		_, end := c.newline(data[at:], base+int64(at))
		if end < 0 {
			return last
		}
		at += end
		last = at
	}
}

// firstNUL returns where the first NUL character in data begins, -1 where there
// is none.
func (c *codec) firstNUL(data []byte, base int64) int {
	if c.width == 1 {
		return bytes.IndexByte(data, 0)
	}
	for i := int(base % 2); i+1 < len(data); i += 2 {
		if data[i] == 0 && data[i+1] == 0 {
			return i
		}
	}
	return -1
}

// textMax returns how many bytes of UTF-8 n raw bytes can become, with some to
// spare for those that are no text.
func (c *codec) textMax(n int) int {
	switch {
	case c == utf8Codec:
		return n
	case c.width == 2:
		return 3*(n/2) + 2*utf8.UTFMax
	}
	return 3*n + 2*utf8.UTFMax
}

// rawMax returns how many raw bytes n bytes of UTF-8 can come from.
func (c *codec) rawMax(n int) int {
	if c == utf8Codec {
		return n
	}
	return 2 * n // a character of 4 bytes in GB18030 is one of 2 or more in UTF-8
}

// decoder turns the lines of one file into UTF-8.
type decoder struct {
	*codec
	transformer transform.Transformer // nil where the tailer decodes by itself
}

func newDecoder(c *codec) *decoder {
	d := &decoder{codec: c}
	if c.enc != nil {
		d.transformer = c.enc.NewDecoder().Transformer
	}
	return d
}

const replacement = "\uFFFD"

// append appends the line, which lies at offset base of the file, to dst, and
// returns how much of it was no text. dst has room for textMax bytes.
func (d *decoder) append(dst, line []byte, base int64) ([]byte, int) {
	switch {
	case d.breaks == breakUTF16LE:
		return decode16(dst, line, base, false)
	case d.breaks == breakUTF16BE:
		return decode16(dst, line, base, true)
	case d.transformer == nil || d.ascii && isASCII(line):
		return append(dst, line...), 0
	}
	before := len(dst)
	d.transformer.Reset()
	for len(line) > 0 {
		n, read, err := d.transformer.Transform(dst[len(dst):cap(dst)], line, true)
		dst, line = dst[:len(dst)+n], line[read:]
		if err != nil && read == 0 && len(line) > 0 { // a decoder should not do this; go on all the same
			dst, line = append(dst, replacement...), line[1:]
		}
	}
	return dst, bytes.Count(dst[before:], []byte(replacement))
}

func isASCII(b []byte) bool {
	for len(b) >= 8 {
		if binary.LittleEndian.Uint64(b)&0x8080808080808080 != 0 {
			return false
		}
		b = b[8:]
	}
	for _, c := range b {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// decode16 is decoder.append for UTF-16.
func decode16(dst, line []byte, base int64, big bool) (out []byte, invalid int) {
	if base%2 != 0 && len(line) > 0 { // the second half of a code unit whose first was taken at a file's end
		dst, line, invalid = append(dst, replacement...), line[1:], 1
	}
	for len(line) >= 2 {
		unit := unit16(line, big)
		switch {
		case unit < utf8.RuneSelf:
			dst, line = asciiRun(append(dst, byte(unit)), line[2:], big)
			continue
		case !utf16.IsSurrogate(unit):
			dst = utf8.AppendRune(dst, unit)
			line = line[2:]
			continue
		}
		r := rune(utf8.RuneError)
		if line = line[2:]; len(line) >= 2 {
			r = utf16.DecodeRune(unit, unit16(line, big))
		}
		if r == utf8.RuneError {
			invalid++
		} else {
			line = line[2:]
		}
		dst = utf8.AppendRune(dst, r)
	}
	if len(line) > 0 {
		dst, invalid = append(dst, replacement...), invalid+1
	}
	return dst, invalid
}

func unit16(b []byte, big bool) rune {
	if big {
		return rune(b[0])<<8 | rune(b[1])
	}
	return rune(b[1])<<8 | rune(b[0])
}

// asciiRun is decode16 for what most of a log is, four characters at a time.
func asciiRun(dst, line []byte, big bool) (out, rest []byte) {
	const others = 0xFF80_FF80_FF80_FF80 // set in none but four characters of ASCII, the first byte of each its low one
	for len(line) >= 8 {
		four := binary.LittleEndian.Uint64(line)
		if big {
			four = four>>8 | four<<56
		}
		if four&others != 0 {
			break
		}
		dst = append(dst, byte(four), byte(four>>16), byte(four>>32), byte(four>>48))
		line = line[8:]
	}
	return dst, line
}

// sniffMax is how many bytes of a file's beginning say what it is encoded in.
const sniffMax = 128

// recognise tells from a file's first bytes, up to sniffMax, what it is encoded
// in: by the byte order mark, or by the NUL bytes of UTF-16 that a text mostly
// of Latin letters has, else UTF-8. It is nil where more bytes are needed;
// complete says that there are none. The answer depends on the first line only,
// so that it is the same after a restart.
func recognise(data []byte, complete bool) *codec {
	data = data[:min(len(data), sniffMax)]
	complete = complete || len(data) == sniffMax
	switch {
	case bytes.HasPrefix(data, []byte("\xFF\xFE")):
		return utf16LECodec
	case bytes.HasPrefix(data, []byte("\xFE\xFF")):
		return utf16BECodec
	case len(data) == 1 && !complete && data[0] >= 0xFE:
		return nil
	}
	first := -1
	if len(data) > 0 {
		first = bytes.IndexByte(data[1:], '\n') + 1 // at 0 it is a blank line, which says nothing
	}
	switch {
	case first <= 0 && !complete:
		return nil
	case first <= 0:
		first = -1
	case bytes.IndexByte(data[:first], 0) < 0:
		return utf8Codec
	case data[first-1] == 0 && first%2 == 1: // the end of a line in UTF-16BE
		data = data[:first+1]
	case first%2 == 1: // the end of a line in neither
		return utf8Codec
	case first+1 < len(data):
		data = data[:first+2]
	case !complete:
		return nil
	}
	if data = data[:len(data)&^1]; len(data) < 2 {
		return utf8Codec
	}
	return sniff16(data, first)
}

// sniff16 decides between UTF-16 and UTF-8 for a first line with NUL bytes in
// it, whose first byte 0x0A lies at newline; -1 if there is none. Characters that
// are NUL are no text: a line that has many, or that has nothing but those and
// control characters, was left by a crash.
func sniff16(data []byte, newline int) *codec {
	var low, high int // code units of which only that half is NUL
	var zero, letters int
	for i := 0; i < len(data); i += 2 {
		a, b := data[i], data[i+1]
		switch {
		case a == 0 && b == 0:
			zero++
		case a == 0:
			low++
		case b == 0:
			high++
		}
		if max(a, b) > ' ' {
			letters++
		}
	}
	units := len(data) / 2
	switch {
	case newline < 0 && letters == 0:
	case high >= 2 && 2*high >= units && 4*low <= high && 2*zero < high && (newline < 0 || newline%2 == 0 && (newline+1 >= len(data) || data[newline+1] == 0)):
		return utf16LECodec
	case low >= 2 && 2*low >= units && 4*high <= low && 2*zero < low && (newline < 0 || newline%2 == 1 && data[newline-1] == 0):
		return utf16BECodec
	}
	return utf8Codec
}

// withoutMark takes the byte order mark off the beginning of a file's text.
func withoutMark(text []byte, start int64) []byte {
	if start == 0 && len(text) >= 3 && text[0] == 0xEF && text[1] == 0xBB && text[2] == 0xBF {
		return text[3:]
	}
	return text
}
