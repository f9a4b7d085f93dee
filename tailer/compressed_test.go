package tailer

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// numbered returns n lines that all differ.
func numbered(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "line %d of a log that is to be compressed, %x\n", i, i*i)
	}
	return b.String()
}

// A compressed file answers as the plain one would, wherever it is read.
func TestPackedReadsAsPlain(t *testing.T) {
	text := []byte(numbered(40_000)) // more than is kept in memory
	for _, how := range []string{"gzip", "zstd"} {
		path := filepath.Join(t.TempDir(), "a")
		if err := os.WriteFile(path, compressed(how, text), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := openContent(path)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		rapid.Check(t, func(t *rapid.T) {
			at := rapid.Int64Range(0, int64(len(text))+10).Draw(t, "at")
			got := make([]byte, rapid.IntRange(1, 300_000).Draw(t, "n"))
			if rapid.Bool().Draw(t, "hold") {
				c.hold(at)
			}
			want := make([]byte, len(got))
			n, err := c.ReadAt(got, at)
			wn, wantErr := bytes.NewReader(text).ReadAt(want, at)
			if n != wn || err != wantErr || !bytes.Equal(got, want) {
				t.Fatalf("%s: ReadAt(%d bytes at %d) = %d, %v; want %d, %v", how, len(got), at, n, err, wn, wantErr)
			}
		})
		if n, err := lengthOf(c); err != nil || n != int64(len(text)) {
			t.Errorf("%s: length %d, %v", how, n, err)
		}
	}
}

func TestSniff(t *testing.T) {
	for want, head := range map[packing]string{
		notPacked: "2026-11-25 a log\n", gzipPacked: "\x1f\x8b\x08\x00", zstdPacked: "\x28\xb5\x2f\xfd\x00", bzip2Packed: "BZh91AY&SY",
	} {
		if c, err := sniff(strings.NewReader(head), int64(len(head))); c != want || err != nil {
			t.Errorf("%q: %v, %v; want %v", head, c, err, want)
		}
	}
	for _, head := range []string{"", "P", "BZh91 is a line", "PK is a line"} {
		if c, err := sniff(strings.NewReader(head), int64(len(head))); c != notPacked || err != nil {
			t.Errorf("%q: %v, %v; want plain", head, c, err)
		}
	}
	if _, err := sniff(strings.NewReader("\xfd7zXZ\x00\x00"), 0); !errors.Is(err, ErrCompression) {
		t.Errorf("xz: %v", err)
	}
}

// A compressed file is read as far as it goes while it is being written.
func TestIncompleteCompressedFileIsWaitedFor(t *testing.T) {
	r := newRig(t, "*.gz")
	data := compressed("gzip", []byte(numbered(3000)))
	r.write("a.gz", string(data[:2])) // not even enough to tell what it is
	r.start()
	r.wait("the file to be met", func() bool { return len(r.tailer.Files()) == 1 })
	r.append("a.gz", string(data[2:len(data)/2]))
	r.wait("the first lines", func() bool { return len(r.texts()) > 500 })
	if n := len(r.texts()); n >= 3000 {
		t.Fatalf("%d lines of half a file", n)
	}
	r.append("a.gz", string(data[len(data)/2:]))
	r.want(strings.Split(strings.TrimSuffix(numbered(3000), "\n"), "\n")...)
	r.sawEvent(Finished)
	for _, e := range r.events {
		if e.Kind == Unreadable {
			t.Errorf("said to be unreadable: %v", e.Err)
		}
	}
}

func TestDamagedCompressedFileIsSaid(t *testing.T) {
	r := newRig(t, "*.gz")
	data := compressed("gzip", []byte(numbered(3000)))
	data[len(data)*3/4] ^= 0xff
	r.write("a.gz", string(data))
	r.write("b.gz", string(compressed("gzip", []byte("fine\n"))))
	r.start()
	e := r.sawEvent(Unreadable)
	var damage *DamagedError
	if !errors.As(e.Err, &damage) || damage.Offset == 0 || e.File.Offset != damage.Offset {
		t.Fatalf("error %v, file read to %d", e.Err, e.File.Offset)
	}
	r.wait("the other file", func() bool { return strings.Contains(strings.Join(r.texts(), "\n"), "fine") })
	n := len(r.texts())
	r.stop()
	r.start()
	r.sawEvent(Resumed)
	r.append("b.gz", string(compressed("gzip", []byte("more\n"))))
	r.wait("one more line", func() bool { return len(r.texts()) > n })
	if got := len(r.texts()); got != n+1 {
		t.Errorf("%d lines came again", got-n-1)
	}
}

// Finished compressed files hold neither descriptor nor decoder, and are not
// unpacked again by a restart.
func TestFinishedCompressedFilesRest(t *testing.T) {
	const files = 20
	r := newRig(t, "*.gz")
	for i := range files {
		r.write(fmt.Sprintf("%d.gz", i), string(compressed("gzip", []byte(fmt.Sprintf("file %d\n", i)))))
		r.must(os.Chtimes(r.path(fmt.Sprintf("%d.gz", i)), time.Time{}, time.Now().Add(-time.Hour)))
	}
	for range 2 {
		r.start()
		r.wait("all to be finished and closed", func() bool {
			n := 0
			for _, f := range r.tailer.Files() {
				if f.State == "finished" && !f.Open {
					n++
				}
			}
			return n == files && len(r.texts()) == files
		})
		r.stop()
		if n := len(r.tailer.unpacking) + len(r.tailer.watched); n != 0 {
			t.Errorf("%d files are still looked after", n)
		}
	}
	r.o.Once = true // has no more decoders, and none to wait for
	r.start().finish()
	for _, s := range r.states {
		if s.Sealed.End != s.Offset || s.Offset == 0 {
			t.Errorf("%s: sealed at %d, read to %d", s.Path, s.Sealed.End, s.Offset)
		}
	}
}

func TestLongLineInCompressedFile(t *testing.T) {
	long := strings.Repeat("0123456789", 300_000)
	r := newRig(t, "*.zst")
	r.write("a.zst", string(compressed("zstd", []byte("one\n"+long+"\n"+strings.Repeat("y", 900_000)+"\ntwo\n"))))
	r.start()
	r.want("one", long[:1<<20], strings.Repeat("y", 900_000), "two")
}

// bzip2 cannot be written here: what the tool made of "one\ntwo\n", twice.
const bzip2OneTwo = "QlpoOTFBWSZTWacUK3cAAALBgAAQAgGEgCAAIYAMAjj1G4u5IpwoSFOKFbuA"

func TestBzip2(t *testing.T) {
	data, err := base64.StdEncoding.DecodeString(bzip2OneTwo)
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, "*.bz2")
	r.write("a.bz2", string(data)+string(data))
	r.start()
	r.want("one", "two", "one", "two")
}

// A rotated file and its compressed form are one file, when its writer has had
// time to close it.
func TestDeletedFileLivesOnCompressed(t *testing.T) {
	r := newRig(t)
	r.write("a.log", "one\n")
	r.start()
	r.want("one")
	r.stop()
	tl, err := New(r.o)
	r.must(err)
	now := time.Now()
	f := tl.register(r.path("a.log"), "", r.path("a.log"), tl.inputs[0], fileKey{1, 2}, 4, now)
	f.finished, f.leaving = true, true
	at := place{r.path("a.log.gz"), fileKey{1, 3}, 30, now, true}
	tl.settle(f, found{id: f.src.id, place: at}, now)
	if f.src.path != at.path || tl.byID[f.src.id] != f || tl.byKey[at.key] != f || f.how != Compressed {
		t.Errorf("it lies at %s (%s), want it at %s", f.src.path, f.how, at.path)
	}
	f.leaving = true
	tl.settle(f, found{id: f.src.id}, now)
	if tl.byID[f.src.id] != nil {
		t.Error("a file that is nowhere is kept")
	}
}

// The original goes while its compressed form is only half there, with the
// tailer running or not: it is waited for, and is the file that was read.
func TestHalfCompressedAndOriginalGone(t *testing.T) {
	bz, err := base64.StdEncoding.DecodeString(bzip2OneTwo)
	if err != nil {
		t.Fatal(err)
	}
	text := "one\ntwo\n"
	for how, data := range map[string][]byte{"gzip": compressed("gzip", []byte(text)), "zstd": compressed("zstd", []byte(text)), "bzip2": bz} {
		for _, down := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, down %t", how, down), func(t *testing.T) {
				t.Parallel()
				r := newRig(t)
				r.write("a.log", text[:4])
				r.start()
				r.want("one")
				if down {
					r.stop()
				}
				r.append("a.log", text[4:])
				if !down {
					r.want("one", "two")
				}
				for _, n := range []int{0, 2, 8, len(data) / 2} { // at no length it is another file
					r.write("a.log.1.z", string(data[:n]))
					if n == 0 {
						r.remove("a.log")
					}
					if n == 0 && down {
						r.start()
					}
					r.nothingMore(3)
				}
				r.write("a.log.1.z", string(data))
				r.write("a.log", "three\n")
				r.want("one", "two", "three")
			})
		}
	}
}

func FuzzPacked(f *testing.F) {
	for _, how := range []string{"gzip", "zstd"} {
		f.Add(compressed(how, []byte("one\ntwo\n")))
	}
	f.Add([]byte("BZh91AY&SY"))
	f.Add([]byte("\x1f\x8b\x08"))
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "a")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := openContent(path)
		if err != nil {
			return
		}
		defer c.Close()
		p, ok := c.(*packedFile)
		if !ok {
			return
		}
		b := make([]byte, 100_000)
		for at := int64(0); at < 4<<20; {
			n, err := c.ReadAt(b, at)
			at += int64(n)
			if err != nil {
				if err != io.EOF || p.err == nil {
					t.Fatalf("ReadAt: %v, of %v", err, p.err)
				}
				break
			}
		}
		p.restart(p.raw, p.mtime, 0) // it was written to meanwhile
	})
}

func BenchmarkUnpack(b *testing.B) {
	text := []byte(numbered(200_000))
	for _, how := range []string{"gzip", "zstd"} {
		b.Run(how, func(b *testing.B) {
			path := filepath.Join(b.TempDir(), "a")
			if err := os.WriteFile(path, compressed(how, text), 0o600); err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				c, err := openContent(path)
				if err != nil {
					b.Fatal(err)
				}
				buf := make([]byte, 256<<10)
				for at := int64(0); ; {
					c.hold(at)
					n, err := c.ReadAt(buf, at)
					if at += int64(n); err != nil {
						break
					}
				}
				c.Close()
			}
		})
	}
}
