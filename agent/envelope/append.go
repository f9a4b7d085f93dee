package envelope

import (
	"encoding/binary"
	"unicode/utf8"
)

const hexDigits = "0123456789abcdef"

// AppendString appends text as a JSON string (RFC 8259 section 7). Control
// characters, quotes and backslashes are escaped, and nothing else; bytes that
// are no UTF-8 become U+FFFD.
func AppendString(dst, text []byte) []byte {
	dst = append(dst, '"')
	from := 0
	for i := cleanLen(text); i < len(text); {
		if len(text)-i >= 8 && clean8(binary.LittleEndian.Uint64(text[i:])) {
			i += 8
			continue
		}
		c := text[i]
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRune(text[i:])
			if r == utf8.RuneError && n == 1 {
				dst = append(append(dst, text[from:i]...), "\uFFFD"...)
				from = i + 1
			}
			i += n
			continue
		}
		if c >= ' ' && c != '"' && c != '\\' {
			i++
			continue
		}
		dst = appendEscape(append(dst, text[from:i]...), c)
		i++
		from = i
	}
	return append(append(dst, text[from:]...), '"')
}

func appendEscape(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\n':
		return append(dst, '\\', 'n')
	case '\r':
		return append(dst, '\\', 'r')
	case '\t':
		return append(dst, '\\', 't')
	}
	return append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
}

// cleanLen returns how many bytes at the beginning of text need no look of their
// own; all of them, for most texts.
func cleanLen(text []byte) int {
	n, i := len(text), 0
	for ; n-i >= 8; i += 8 {
		if !clean8(binary.LittleEndian.Uint64(text[i:])) {
			return i
		}
	}
	// What is left is looked at together with some of what was clean.
	switch {
	case i == n:
		return n
	case n >= 8:
		if clean8(binary.LittleEndian.Uint64(text[n-8:])) {
			return n
		}
	case n >= 4:
		if clean8(uint64(binary.LittleEndian.Uint32(text)) | uint64(binary.LittleEndian.Uint32(text[n-4:]))<<32) {
			return n
		}
	}
	return i
}

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// clean8 reports whether none of eight bytes is a control character, a quote,
// a backslash, or outside ASCII: "haszero" of Bit Twiddling Hacks, four times.
// It may say false for clean bytes behind one that is not.
func clean8(w uint64) bool {
	quote := w ^ '"'*ones
	slash := w ^ '\\'*ones
	bad := w | (w - ' '*ones) | (quote - ones) | (slash - ones)
	return bad&highs == 0
}
