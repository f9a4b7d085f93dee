package tailer

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf16"

	"golang.org/x/text/encoding/ianaindex"
	"pgregory.net/rapid"
)

// encode returns text as a file in that encoding holds it.
func encode(t testing.TB, name, text string) []byte {
	t.Helper()
	order := binary.AppendByteOrder(binary.LittleEndian)
	switch name {
	case "utf-8", "auto":
		return []byte(text)
	case "utf-16be":
		order = binary.BigEndian
		fallthrough
	case "utf-16le":
		var out []byte
		for _, u := range utf16.Encode([]rune(text)) {
			out = order.AppendUint16(out, u)
		}
		return out
	}
	enc, err := ianaindex.IANA.Encoding(name)
	if err != nil {
		t.Fatal(err)
	}
	out, err := enc.NewEncoder().Bytes([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// refLine is a line of a file as its maker knows it.
type refLine struct {
	text       string
	start, end int64
	partial    bool
}

// refLines encodes a text line by line.
func refLines(t testing.TB, encoding, text string) (raw []byte, lines []refLine) {
	for _, l := range strings.SplitAfter(text, "\n") {
		if l == "" {
			continue
		}
		r := refLine{start: int64(len(raw)), partial: !strings.HasSuffix(l, "\n")}
		raw = append(raw, encode(t, encoding, l)...)
		r.end = int64(len(raw))
		r.text = strings.TrimSuffix(strings.TrimSuffix(l, "\n"), "\r")
		lines = append(lines, r)
	}
	return raw, lines
}

// refEntries joins lines in the plainest way: an entry is taken as far as it
// goes, then the next.
func refEntries(lines []refLine, f *form, limit int) []Entry {
	var out []Entry
	for len(lines) > 0 {
		first := lines[0]
		if blank([]byte(first.text)) {
			lines = lines[1:]
			continue
		}
		e := Entry{Start: first.start, End: first.end, Data: []byte(first.text)}
		if first.partial {
			e.Flags = Partial
		}
		lines = lines[1:]
		switch {
		case len(e.Data) > limit:
			e.Data, e.Flags = e.Data[:runeBoundary(e.Data, limit)], e.Flags|Truncated
		case f.joiner != nil:
			lines = lines[refJoin(&e, lines, f, limit):]
		}
		out = append(out, e)
	}
	return out
}

// refJoin adds to e the lines that belong to it, and returns how many they are.
func refJoin(e *Entry, lines []refLine, f *form, limit int) (taken int) {
	_, state := f.joiner.Join(0, e.Data)
	text := string(e.Data)
	for i, l := range lines {
		shown := []byte(l.text)
		if len(shown) > limit {
			shown = shown[:runeBoundary(shown, limit)]
		}
		joins, next := f.joiner.Join(state, shown)
		over := i+2 > f.joinLines || len(text)+1+len(l.text) > f.joinBytes
		switch {
		case state == 0:
			return taken
		case blank(shown):
			if !joins || next == 0 || over {
				return taken
			}
		case !joins:
			return taken
		case over || len(l.text) > limit:
			e.Flags |= Split
			return taken
		}
		text, state = text+"\n"+l.text, next
		if blank(shown) {
			continue
		}
		e.Data, e.End, taken = []byte(text), l.end, i+1
		if l.partial {
			e.Flags |= Partial
		}
	}
	return taken
}

// readForm reads a file that is written in parts, in blocks of a size.
func readForm(t testing.TB, path string, raw []byte, cuts []int, block, limit int, f form) []Entry {
	t.Helper()
	w, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	r := &recorder{t: t, raw: raw}
	rd := &reader{pool: newBlockPool(block), handle: r.block}
	fi, err := w.Stat()
	if err != nil {
		t.Fatal(err)
	}
	s := &source{in: &input{form: f}, path: path, limit: limit, key: keyOf(w, fi)}
	defer s.close()
	from := 0
	for _, to := range append(cuts, len(raw)) {
		if _, err := w.Write(raw[from:to]); err != nil {
			t.Fatal(err)
		}
		from = to
		r.drain(rd, s, false)
	}
	r.drain(rd, s, true)
	if s.off != int64(len(raw)) {
		t.Fatalf("read up to %d of %d", s.off, len(raw))
	}
	return r.entries
}

// encodings are those that the properties are held against, with what stands
// for letters that they have beyond ASCII.
var encodings = []struct{ name, letters string }{
	{"utf-8", "é日😀"}, {"utf-16le", "é日😀Ċ《"}, {"utf-16be", "é日😀Ċ《"}, {"windows-1252", "é€"}, {"shift_jis", "日ｱ表"}, {"gb18030", "é日😀"}, {"ibm037", "é"}, {"euc-kr", "한"},
}

func textOf(t *rapid.T, letters string) string {
	pieces := []string{"a", "word ", "\n", "\n", "\n ", "\n+", "\r\n", "\r\n ", "\r", ";", ";\n", " ", "\n\n", "\n\n ", strings.Repeat("long ", 9), strings.Repeat("\n line", 9), strings.Repeat("far too long ", 40)}
	for _, l := range letters {
		pieces = append(pieces, string(l))
	}
	return strings.Join(rapid.SliceOfN(rapid.SampledFrom(pieces), 0, 60).Draw(t, "pieces"), "")
}

// TestAnyWayOfReadingIsTheSame holds entries of several lines, in many
// encodings, against those of the plainest way, however the file is written and
// whatever the size of the blocks.
func TestAnyWayOfReadingIsTheSame(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.log")
	re := regexp.MustCompile
	joiner := NewPatternJoiner(nil, re(`^[ +]`), re(`;$`))
	rapid.Check(t, func(rt *rapid.T) {
		enc := rapid.SampledFrom(encodings).Draw(rt, "encoding")
		in := Input{Encoding: enc.name, MaxLineBytes: 60, JoinLines: rapid.IntRange(1, 12).Draw(rt, "lines"), JoinBytes: rapid.SampledFrom([]int{60, 400}).Draw(rt, "bytes")}
		if rapid.Bool().Draw(rt, "joined") {
			in.Joiner = joiner
		}
		in.fill()
		f, err := newForm(&in)
		if err != nil {
			rt.Fatal(err)
		}
		text := textOf(rt, enc.letters)
		raw, lines := refLines(t, enc.name, text)
		want := refEntries(lines, &f, in.MaxLineBytes)
		block := rapid.IntRange(4*tailMax, 8*tailMax).Draw(rt, "block")
		for range 6 {
			a := rapid.IntRange(0, len(raw)).Draw(rt, "cut")
			b := rapid.IntRange(a, len(raw)).Draw(rt, "cut")
			c := rapid.IntRange(b, len(raw)).Draw(rt, "cut")
			if got := readForm(t, path, raw, []int{a, b, c}, block, in.MaxLineBytes, f); !sameEntries(got, want) {
				rt.Fatalf("%s %q, divided at %d, %d, %d, in blocks of %d:\n got  %s\n want %s", enc.name, text, a, b, c, block, show(got), show(want))
			}
		}
		for name, r := range map[string]io.Reader{"a byte at a time": iotest.OneByteReader(bytes.NewReader(raw)), "at once": iotest.DataErrReader(bytes.NewReader(raw))} {
			var got []Entry
			if err := Lines(r, in, func(e Entry) error {
				e.Data = bytes.Clone(e.Data)
				got = append(got, e)
				return nil
			}); err != nil {
				rt.Fatal(err)
			}
			for i := range got { // that a long line ends without a newline may be known too late
				if i < len(want) && got[i].Flags|Partial == want[i].Flags && want[i].Flags&Truncated != 0 {
					got[i].Flags = want[i].Flags
				}
			}
			if !sameEntries(got, want) {
				rt.Fatalf("%s %q, %s:\n got  %s\n want %s", enc.name, text, name, show(got), show(want))
			}
		}
	})
}

// TestHalfANewlineAtTheEnd has lines in UTF-16 that fit no block, and a writer
// that stops at each byte around their ends.
func TestHalfANewlineAtTheEnd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.log")
	for _, enc := range []string{"utf-16le", "utf-16be"} {
		in := Input{Encoding: enc, Joiner: countingJoiner{new(int)}, MaxLineBytes: 600}
		in.fill()
		f, err := newForm(&in)
		if err != nil {
			t.Fatal(err)
		}
		raw, lines := refLines(t, enc, "first\n"+strings.Repeat("x", 500)+"\n "+strings.Repeat("y", 50)+"\n"+strings.Repeat("z", 700)+"\n"+strings.Repeat("u", 80)+"\nlast\n")
		want := refEntries(lines, &f, in.MaxLineBytes)
		for _, l := range lines {
			for cut := max(0, int(l.end)-4); cut <= min(int(l.end)+4, len(raw)); cut++ {
				if got := readForm(t, path, raw, []int{cut}, 4*tailMax, in.MaxLineBytes, f); !sameEntries(got, want) {
					t.Fatalf("%s, divided at %d:\n got  %s\n want %s", enc, cut, show(got), show(want))
				}
			}
		}
	}
}

// TestLongLineInHalves has a stream stop at each byte of a line that is longer than
// may be kept, also where that is known just within its newline: the next line does
// not go on with it.
func TestLongLineInHalves(t *testing.T) {
	for _, enc := range []string{"utf-8", "utf-16le", "utf-16be"} {
		for length := 55; length < 75; length++ {
			raw, lines := refLines(t, enc, strings.Repeat("a", length)+"\nnext\n")
			var ends []int64
			if err := Lines(iotest.OneByteReader(bytes.NewReader(raw)), Input{Encoding: enc, MaxLineBytes: 60}, func(e Entry) error {
				ends = append(ends, e.End)
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			if len(ends) != 2 || ends[0] != lines[0].end || ends[1] != lines[1].end {
				t.Errorf("%s, %d letters: entries end at %d", enc, length, ends)
			}
		}
	}
}

// TestMemoryOfDecodedText is charged for: a text can be longer than its bytes.
func TestMemoryOfDecodedText(t *testing.T) {
	g, data := gathererOf(t, "windows-1252", strings.Repeat("€€€€€€€€€€€€€€€€€€€\n", 5000))
	b := &Block{mem: make([]byte, 0, len(data))}
	g.b, g.e = b, openEntry{}
	g.gather(data, 0, true)
	text := 0
	for _, e := range b.Entries {
		text += len(e.Data)
	}
	if held := b.Memory() - int64(cap(b.Entries))*entrySize; text <= len(data) || held < int64(len(data)+text) {
		t.Errorf("%d bytes of text of %d raw ones, %d of memory", text, len(data), held)
	}
}

func FuzzGather(f *testing.F) {
	f.Add([]byte("a\r\n b\n\n c;\nd"), uint16(3), uint16(300), uint8(0))
	f.Add([]byte("\xff\xfea\x00\n\x00 \x00b\x00\n\x00\x00\xd8"), uint16(3), uint16(256), uint8(1))
	names := []string{"auto", "utf-16le", "utf-16be", "shift_jis", "gb18030", "ibm037", "iso-2022-jp", "big5", "windows-1253", "hz-gb-2312"}
	path := filepath.Join(f.TempDir(), "a.log")
	joiner := NewAutoJoiner(func(l []byte) bool { return l[0] == '#' })
	f.Fuzz(func(t *testing.T, raw []byte, split, block uint16, encoding uint8) {
		if len(raw) > 4096 {
			return // more of the same
		}
		in := Input{Encoding: names[int(encoding)%len(names)], Joiner: joiner, MaxLineBytes: 100, JoinBytes: 300, JoinLines: 5}
		in.fill()
		fm, err := newForm(&in)
		if err != nil {
			t.Fatal(err)
		}
		cut := int(split) % (len(raw) + 1)
		got := readForm(t, path, raw, []int{cut}, 4*tailMax+int(block)%512, in.MaxLineBytes, fm)
		at := int64(0)
		for _, e := range got {
			if e.Start < at || e.End <= e.Start || len(e.Data) > in.JoinBytes {
				t.Fatalf("%q: %s", raw, show(got))
			}
			at = e.End
		}
	})
}

// TestOpenEntryIsNotLookedAtAgain writes a long entry line by line: each line is
// read about once more, not all those before it.
func TestOpenEntryIsNotLookedAtAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.log")
	w, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	asked := 0
	in := Input{Joiner: countingJoiner{&asked}, JoinLines: 10_000}
	in.fill()
	f, err := newForm(&in)
	if err != nil {
		t.Fatal(err)
	}
	fi, err := w.Stat()
	if err != nil {
		t.Fatal(err)
	}
	r := &recorder{t: t}
	rd := &reader{pool: newBlockPool(256 << 10), handle: r.block}
	s := &source{in: &input{form: f}, path: path, limit: in.MaxLineBytes, key: keyOf(w, fi)}
	defer s.close()
	const lines = 3000
	for i := range lines {
		fmt.Fprintf(w, " line %d of one entry, which goes on and on and on\n", i)
		r.drain(rd, s, false)
	}
	if len(r.entries) > 0 || asked > lines+lines/10 {
		t.Errorf("%d lines, the joiner was asked %d times; %d entries", lines, asked, len(r.entries))
	}
	fmt.Fprint(w, "another\n")
	if r.raw, err = os.ReadFile(path); err != nil {
		t.Fatal(err)
	}
	r.drain(rd, s, false)
	if len(r.entries) != 1 || bytes.Count(r.entries[0].Data, []byte("\n")) != lines-1 {
		t.Errorf("%d entries", len(r.entries))
	}
}

// countingJoiner joins indented lines, and counts how often it is asked.
type countingJoiner struct{ asked *int }

func (j countingJoiner) Join(_ uint32, line []byte) (joins bool, next uint32) {
	*j.asked++
	return indented(line), 1
}

// TestCutAndJoinAllocateNothing is about the block that is used again and again.
func TestCutAndJoinAllocateNothing(t *testing.T) {
	for name, text := range map[string]string{"one line": "2026-11-23 10:00:00 INFO a line\n", "java": javaTrace + "\n"} {
		for _, enc := range []string{"utf-8", "utf-16le", "windows-1252"} {
			g, data := gathererOf(t, enc, strings.Repeat(text, 50))
			if n := testing.AllocsPerRun(100, func() {
				g.b.Entries, g.b.text, g.e = g.b.Entries[:0], g.b.text[:0], openEntry{}
				g.gather(data, 0, false)
			}); n > 0 {
				t.Errorf("%s, %s: %v allocations in a block", name, enc, n)
			}
		}
	}
}

func gathererOf(t testing.TB, encoding, text string) (*gatherer, []byte) {
	data := encode(t, encoding, text)
	in := Input{Joiner: NewAutoJoiner(begins), Encoding: encoding}
	in.fill()
	f, err := newForm(&in)
	if err != nil {
		t.Fatal(err)
	}
	b := &Block{mem: make([]byte, 0, len(data))}
	g := &gatherer{form: &f, dec: newDecoder(f.codec), limit: in.MaxLineBytes, b: b}
	b.room(3*len(data) + 1024)
	g.gather(data, 0, false)
	return g, data
}

func BenchmarkGather(b *testing.B) {
	plain := strings.Repeat(strings.Repeat("2026-11-23 10:00:00,000 INFO [worker-7] ", 4)[:146]+"\n", 100)
	trace := strings.Repeat(strings.Join(strings.SplitN(javaTrace, "\n", 14)[:13], "\n")+"\n", 100)
	for _, text := range []struct{ name, text string }{{"plain", plain}, {"trace", trace}} {
		for _, enc := range []string{"utf-8", "utf-16le", "windows-1252", "shift_jis"} {
			b.Run(text.name+"/"+enc, func(b *testing.B) {
				g, data := gathererOf(b, enc, text.text)
				b.ReportAllocs()
				b.SetBytes(int64(len(data)))
				for b.Loop() {
					g.b.Entries, g.b.text, g.e = g.b.Entries[:0], g.b.text[:0], openEntry{}
					g.gather(data, 0, false)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(strings.Count(text.text, "\n")), "ns/line")
			})
		}
	}
}
