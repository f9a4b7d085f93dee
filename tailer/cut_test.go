package tailer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"github.com/cespare/xxhash/v2"
	"pgregory.net/rapid"
)

// reference cuts a whole file in the plainest way: what every other way of
// reading it has to come to.
func reference(text []byte, limit int) []Entry {
	var out []Entry
	for at := 0; at < len(text); {
		e := Entry{Start: int64(at), Flags: Partial}
		line, end := text[at:], len(text)
		if i := bytes.IndexByte(line, '\n'); i >= 0 {
			line, end, e.Flags = line[:i], at+i+1, 0
		}
		e.End, at = int64(end), end
		line = bytes.TrimSuffix(line, []byte("\r"))
		var kept []byte
		for i, c := range line {
			alone := (i == 0 || line[i-1] != 0) && (i == len(line)-1 || line[i+1] != 0)
			if c != 0 || alone {
				kept = append(kept, c)
			}
		}
		if len(bytes.Trim(kept, " \t\r\v\f")) == 0 {
			continue
		}
		if len(kept) > limit {
			n := limit
			for n > limit-utf8.UTFMax+1 && n > 1 && !utf8.RuneStart(kept[n]) {
				n--
			}
			if !utf8.RuneStart(kept[n]) {
				n = limit
			}
			kept, e.Flags = kept[:n], e.Flags|Truncated
		}
		e.Data = kept
		out = append(out, e)
	}
	return out
}

// texts draws files with all that is odd in them, except NUL bytes in lines
// longer than a block, which have tests of their own.
func texts() *rapid.Generator[[]byte] {
	piece := rapid.SampledFrom([]string{"a", "word ", "\n", "\r\n", "\r", " ", "\t", "é", "日本", "\x00", "\x00\x00\x00", "\xff", strings.Repeat("long ", 9), "\n\n", "😀"})
	return rapid.Custom(func(t *rapid.T) []byte {
		return []byte(strings.Join(rapid.SliceOfN(piece, 0, 60).Draw(t, "pieces"), ""))
	})
}

func TestCut(t *testing.T) {
	for _, c := range []struct {
		in   string
		want []Entry
		rest int
	}{
		{"", nil, 0},
		{"no end", nil, 6},
		{"a\nb\r\nc", []Entry{{0, 2, []byte("a"), 0, nil}, {2, 5, []byte("b"), 0, nil}}, 1},
		{"\n\r\n \t\n", nil, 0},
		{"a\rb\n", []Entry{{0, 4, []byte("a\rb"), 0, nil}}, 0},
		{"\x00\x00\x00a\x00\x00b\n", []Entry{{0, 8, []byte("ab"), 0, nil}}, 0},
		{"a\x00b\n", []Entry{{0, 4, []byte("a\x00b"), 0, nil}}, 0},
		{"0123456789\n", []Entry{{0, 11, []byte("01234567"), Truncated, nil}}, 0},
		{"0123456é9\n", []Entry{{0, 11, []byte("0123456"), Truncated, nil}}, 0},
		{"01234567\n", []Entry{{0, 9, []byte("01234567"), 0, nil}}, 0},
	} {
		got, done := cut(nil, []byte(c.in), 0, 8)
		if !reflect.DeepEqual(got, c.want) || done != len(c.in)-c.rest {
			t.Errorf("%q: %s, %d", c.in, show(got), done)
		}
	}
}

// recorder copies what a reader hands over, and holds its marks against the
// file.
type recorder struct {
	t       testing.TB
	entries []Entry
	at      int64
	head    Mark
	raw     []byte // what the file holds, to hold the marks against
}

func (r *recorder) block(_ context.Context, b *Block) error {
	if b.Start != r.at {
		r.t.Fatalf("block [%d,%d) after %d", b.Start, b.End, r.at)
	}
	r.at, r.head = b.End, b.Head
	if n := min(b.End, headMax); b.Head.Len > 0 && (b.Head.Len != int(n) || b.Head.Hash != xxhash.Sum64(r.raw[:n])) {
		r.t.Fatalf("head mark of %d bytes after [%d,%d) is wrong", b.Head.Len, b.Start, b.End)
	}
	for _, e := range b.Entries {
		for _, off := range []int64{e.End, b.End} {
			if m := b.Tail(off); m.Len > 0 && m != markOf(r.raw[off-int64(m.Len):off]) {
				r.t.Fatalf("tail mark at %d in [%d,%d) is wrong", off, b.Start, b.End)
			}
		}
		e.Data = append([]byte(nil), e.Data...)
		r.entries = append(r.entries, e)
	}
	b.Release()
	return nil
}

func (r *recorder) drain(rd *reader, s *source, final bool) {
	r.t.Helper()
	for range 10_000 {
		o := rd.turn(context.Background(), s, final)
		if o.err != nil || o.verdict != same {
			r.t.Fatalf("turn at %d: verdict %v, %v", s.off, o.verdict, o.err)
		}
		if !o.more {
			return
		}
	}
	r.t.Fatal("the turns do not end")
}

// readFile reads a file that is written in two parts, in blocks of a size.
func readFile(t testing.TB, path string, text []byte, split, block, limit int) []Entry {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := &recorder{t: t, raw: text}
	rd := &reader{pool: newBlockPool(block), handle: r.block}
	fi, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	s := &source{in: &input{form: form{codec: utf8Codec}}, path: path, limit: limit, key: keyOf(f, fi)}
	defer s.close()
	for i, part := range [][]byte{text[:split], text[split:]} {
		if _, err := f.Write(part); err != nil {
			t.Fatal(err)
		}
		r.drain(rd, s, i == 1)
	}
	if s.off != int64(len(text)) {
		t.Fatalf("read up to %d of %d", s.off, len(text))
	}
	return r.entries
}

func show(entries []Entry) string {
	var b strings.Builder
	for _, e := range entries {
		fmt.Fprintf(&b, "[%d,%d)%d%q ", e.Start, e.End, e.Flags, e.Data)
	}
	return b.String()
}

func sameEntries(a, b []Entry) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].Start != b[i].Start || a[i].End != b[i].End || a[i].Flags != b[i].Flags || !bytes.Equal(a[i].Data, b[i].Data) {
			return false
		}
	}
	return true
}

// TestAllChunkBoundaries reads files in blocks of many sizes, written in two
// parts that are divided at every byte.
func TestAllChunkBoundaries(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.log")
	rapid.Check(t, func(rt *rapid.T) {
		text := texts().Draw(rt, "text")
		want := reference(text, 40)
		block := rapid.IntRange(4*tailMax, 6*tailMax).Draw(rt, "block")
		for split := 0; split <= len(text); split += 1 + len(text)/25 {
			if got := readFile(t, path, text, split, block, 40); !sameEntries(got, want) {
				rt.Fatalf("%q, divided at %d, in blocks of %d:\n got  %s\n want %s", text, split, block, show(got), show(want))
			}
		}
	})
}

// TestLongLinesInSmallBlocks has lines of many lengths around the block's size
// and the limit.
func TestLongLinesInSmallBlocks(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.log")
	const block, limit = 4 * tailMax, 700
	for _, n := range []int{block - tailMax - 1, block - tailMax, block - 1, block, block + 1, limit - 1, limit, limit + 1, limit + 4, limit + 5, 3 * limit, 20 * limit} {
		for _, end := range []string{"\n", "\r\n", ""} {
			text := []byte("first\n" + strings.Repeat("x", n) + end + strings.Repeat("last\n", len(end)))
			for split := 0; split <= len(text); split += 1 + len(text)/17 {
				if got := readFile(t, path, text, split, block, limit); !sameEntries(got, reference(text, limit)) {
					t.Fatalf("line of %d, end %q, divided at %d: %d entries %v", n, end, split, len(got), got[len(got)-1].Flags)
				}
			}
		}
	}
}

// TestLongLineWithNULs cuts a line that is too long where a crash left NULs:
// what follows is another line, and is not lost with the first.
func TestLongLineWithNULs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.log")
	zeros := strings.Repeat("\x00", 3000)
	got := readFile(t, path, []byte(zeros+"begun"+zeros+"after\n"+zeros), 5000, 4*tailMax, 700)
	var texts []string
	for _, e := range got {
		texts = append(texts, string(e.Data))
	}
	if fmt.Sprint(texts) != "[begun after]" {
		t.Errorf("lines %q", texts)
	}
}

func TestLines(t *testing.T) {
	broken := errors.New("broken")
	rapid.Check(t, func(rt *rapid.T) {
		text := texts().Draw(rt, "text")
		want := reference(text, 40)
		encoding := ""
		if bytes.IndexByte(text, 0) >= 0 { // it may well be UTF-16
			encoding = "utf-8"
		}
		for name, in := range map[string]io.Reader{"a byte at a time": iotest.OneByteReader(bytes.NewReader(text)), "error with the last": iotest.DataErrReader(bytes.NewReader(text))} {
			var got []Entry
			err := Lines(in, Input{MaxLineBytes: 40, Encoding: encoding}, func(e Entry) error {
				e.Data = append([]byte(nil), e.Data...)
				got = append(got, e)
				return nil
			})
			if err != nil || len(got) != len(want) {
				rt.Fatalf("%s: %q (%v):\n got  %s\n want %s", name, text, err, show(got), show(want))
			}
			for i, e := range got { // the flags of a long line may be known too late
				if e.Start != want[i].Start || e.End != want[i].End || bytes.IndexByte(text, 0) < 0 && !bytes.Equal(e.Data, want[i].Data) {
					rt.Fatalf("%s: %q:\n got  %s\n want %s", name, text, show(got), show(want))
				}
			}
		}
	})
	if err := Lines(iotest.ErrReader(broken), Input{}, nil); !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
	if err := Lines(strings.NewReader("a\n"), Input{}, func(Entry) error { return broken }); !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
}

func FuzzCut(f *testing.F) {
	f.Add([]byte("a\r\nb\n\n\x00\x00c\x00d\ne"), uint16(3), uint16(300))
	f.Add([]byte(strings.Repeat("long ", 300)+"\nshort"), uint16(700), uint16(256))
	path := filepath.Join(f.TempDir(), "a.log")
	f.Fuzz(func(t *testing.T, text []byte, split, block uint16) {
		const limit = 100
		if len(text) > 4096 {
			return // more of the same
		}
		got := readFile(t, path, text, int(split)%(len(text)+1), 4*tailMax+int(block)%512, limit)
		if bytes.IndexByte(text, 0) >= 0 && len(text) > limit {
			return // NULs in a line over the limit end it: a test of its own
		}
		if want := reference(text, limit); !sameEntries(got, want) {
			t.Fatalf("%q:\n got  %s\n want %s", text, show(got), show(want))
		}
	})
}

func BenchmarkCut(b *testing.B) {
	line := strings.Repeat("2026-11-23T10:00:00.000Z INFO [worker-7] ", 4)[:146] + "\n"
	block := []byte(strings.Repeat(line, 1783))
	var entries []Entry
	b.ReportAllocs()
	b.SetBytes(int64(len(block)))
	for b.Loop() {
		entries, _ = cut(entries[:0], block, 0, 1<<20)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1783, "ns/line")
}

func BenchmarkTurn(b *testing.B) {
	path := filepath.Join(b.TempDir(), "a.log")
	line := strings.Repeat("2026-11-23T10:00:00.000Z INFO [worker-7] ", 4)[:146] + "\n"
	if err := os.WriteFile(path, []byte(strings.Repeat(line, 100_000)), 0o600); err != nil {
		b.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		b.Fatal(err)
	}
	rd := &reader{pool: newBlockPool(256 << 10), handle: func(_ context.Context, bl *Block) error { bl.Release(); return nil }}
	b.ReportAllocs()
	b.SetBytes(fi.Size())
	for b.Loop() {
		s := &source{in: &input{form: form{codec: utf8Codec}}, path: path, limit: 1 << 20, key: keyOf(f, fi)}
		for rd.turn(context.Background(), s, false).more {
		}
		s.close()
	}
}
