package tailer

import (
	"strings"
	"testing"
)

func TestRecognise(t *testing.T) {
	le, be := func(s string) string { return string(encode(t, "utf-16le", s)) }, func(s string) string { return string(encode(t, "utf-16be", s)) }
	long := strings.Repeat("2026-11-23 ", 20)
	for name, c := range map[string]struct {
		data     string
		complete bool
		want     *codec // nil: more is needed
	}{
		"nothing":                        {"", false, nil},
		"nothing more":                   {"", true, utf8Codec},
		"a line":                         {"a\n", false, utf8Codec},
		"a line begun":                   {"a", false, nil},
		"a long line begun":              {long, false, utf8Codec},
		"mark, UTF-8":                    {"\xef\xbb\xbfa\n", false, utf8Codec},
		"mark, little":                   {"\xff\xfe", false, utf16LECodec},
		"mark, big":                      {"\xfe\xff", false, utf16BECodec},
		"half a mark":                    {"\xff", false, nil},
		"little":                         {le("2026 日本\n"), false, utf16LECodec},
		"big":                            {be("2026 日本\n"), false, utf16BECodec},
		"little, one letter":             {le("a\n"), false, utf16LECodec},
		"big, one letter":                {be("a\n"), false, utf16BECodec},
		"little, half a newline":         {le("ab\n")[:5], false, nil},
		"little, a long line":            {le(long), false, utf16LECodec},
		"big, a long line":               {be(long), false, utf16BECodec},
		"little, no end":                 {le("ab"), true, utf16LECodec},
		"a NUL in a line":                {"a\x00b\n more", false, utf8Codec},
		"NULs of a crash":                {"\x00\x00\x00\x00\x00\x00abc\n", false, utf8Codec},
		"NULs of a crash, odd":           {"ab\x00\x00\x00\x00\x00c\n", true, utf8Codec},
		"little, NULs would be anywhere": {"a\x00b\x00c\x00\nd", false, utf8Codec},
		"NULs and returns":               {"\x00\x00\x00\r\x00\x00\x00\r", true, utf8Codec},
		"NULs and returns, a newline":    {"\x00\x00\x00\r\x00\x00\x00\r\n", true, utf8Codec},
		"returns only":                   {"\x00\r\x00\r", true, utf8Codec},
		"little, a blank line":           {le("\r\n"), false, utf16LECodec},
		"big, a blank line":              {be("\r\n"), false, utf16BECodec},
		"Latin 1":                        {"caf\xe9\n", false, utf8Codec},
	} {
		got := recognise([]byte(c.data), c.complete)
		if got != c.want {
			t.Errorf("%s: %v", name, got)
		}
		if got == nil {
			continue
		}
		for _, more := range []string{"x\x00", "\x00x", strings.Repeat("\x00", 200), "日本"} { // a restart sees more, and must see the same
			if again := recognise([]byte(c.data+more), false); !c.complete && again != got {
				t.Errorf("%s: %v with %q after it", name, again, more)
			}
		}
	}
}

func TestDecode(t *testing.T) {
	for _, c := range []struct {
		encoding, raw, want string
		invalid             int
	}{
		{"utf-16le", "a\x00\x3d\xd8\x00\xdeb\x00", "a😀b", 0},
		{"utf-16le", "a\x00\x3d\xd8b\x00", "a\uFFFDb", 1},
		{"utf-16le", "\x00\xde\x3d\xd8", "\uFFFD\uFFFD", 2},
		{"utf-16le", "a\x00b", "a\uFFFD", 1},
		{"utf-16be", "\x00a\x65\xe5\x00b\x00c\x00d\x00e\x00f", "a日bcdef", 0},
		{"windows-1252", "caf\xe9 \x80\x81", "café €\uFFFD", 1},
		{"iso-8859-15", "\xa4", "€", 0},
		{"iso-8859-1", "\xe9", "é", 0},
		{"shift_jis", "\x93\xfa\x96\x7b\x81", "日本\uFFFD", 1},
		{"gb18030", "\xc8\xd5\x81\x30\x81\x30", "日\u0080", 0},
		{"euc-jp", "\xc6\xfc", "日", 0},
		{"koi8-r", "\xc1", "а", 0},
		{"ibm037", "\xc1\x51", "Aé", 0},
		{"iso-2022-jp", "\x1b$BF|\x1b(B!", "日!", 0},
	} {
		codec, err := codecOf(c.encoding)
		if err != nil {
			t.Fatal(err)
		}
		d := newDecoder(codec)
		got, invalid := d.append(make([]byte, 0, d.textMax(len(c.raw))), []byte(c.raw), 0)
		if string(got) != c.want || invalid != c.invalid {
			t.Errorf("%s %q: %q, %d invalid", c.encoding, c.raw, got, invalid)
		}
	}
}

func TestCheckEncoding(t *testing.T) {
	for _, name := range []string{"", "auto", "UTF-8", "utf-16", "UTF-16LE", "Windows-1252", "ISO-8859-15", "Shift_JIS", "gb18030", "EUC-JP", "euc-kr", "big5", "IBM037", "IBM01140", "IBM1047", "KOI8-R", "macintosh", "latin1", "sjis", "US-ASCII"} {
		if err := CheckEncoding(name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{"utf-9", "windows", "x"} {
		if err := CheckEncoding(name); err == nil || !strings.Contains(err.Error(), "IANA name") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := New(Options{Inputs: []Input{{Name: "a", Encoding: "utf-9"}}}); err == nil || !strings.Contains(err.Error(), "input a") {
		t.Errorf("New with an unknown encoding: %v", err)
	}
}

// TestEBCDICNewlines: z/OS ends lines with NEL, transfers with LF.
func TestEBCDICNewlines(t *testing.T) {
	var got []string
	err := Lines(strings.NewReader("\xc1\x15\xc2\x25\xc3\x0d\x25\x40\x15\xc4"), Input{Encoding: "ibm037"}, func(e Entry) error {
		got = append(got, string(e.Data))
		return nil
	})
	if err != nil || strings.Join(got, ",") != "A,B,C,D" {
		t.Errorf("%q, %v", got, err)
	}
}

// TestNULsInUTF16 takes the NULs of a crash out, and leaves those that are half
// of a character.
func TestNULsInUTF16(t *testing.T) {
	raw := string(encode(t, "utf-16le", "\uFEFFone\ntw\x00\x00\x00o\nth\x00ree\n")) + strings.Repeat("\x00", 50) + string(encode(t, "utf-16le", "four\n"))
	var got []string
	err := Lines(strings.NewReader(raw), Input{}, func(e Entry) error {
		got = append(got, string(e.Data))
		return nil
	})
	if err != nil || strings.Join(got, ",") != "one,two,th\x00ree,four" {
		t.Errorf("%q, %v", got, err)
	}
}
