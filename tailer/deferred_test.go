package tailer

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
)

// distinct returns lines of which no file of another name has any, more than the
// first bytes that a file is known by.
func distinct(name string) (text string, lines []string) {
	for k := range 60 {
		lines = append(lines, fmt.Sprintf("%s line %d of some that are no others'", name, k))
	}
	return strings.Join(lines, "\n") + "\n", lines
}

// zip writes what text is into a compressed file, which is complete at once.
func (r *rig) zip(name, text string) {
	r.t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write([]byte(text))
	r.must(err)
	r.must(w.Close())
	r.must(os.WriteFile(r.path("tmp"), b.Bytes(), 0o600))
	r.rename("tmp", name)
}

// TestCompressedWhileItWaitsForAFileThatIsGone: a file waits for its predecessor,
// which was deleted. Meanwhile its name is removed, so that it is read through its
// descriptor, and a compressed file appears that begins as it does. Whether that is
// a copy of it can be told when it is read to its end, and not before: the deleted
// one must not wait for that, since it is waited for itself. A copy must not be
// shipped, and what is none must be.
func TestCompressedWhileItWaitsForAFileThatIsGone(t *testing.T) {
	t.Parallel()
	if heldNames {
		t.Skip("on this system a file that is open keeps its name")
	}
	second, secondLines := distinct("second")
	_, others := distinct("other")
	begin := secondLines[:40]
	if len(strings.Join(begin, "\n")) < headMax {
		t.Fatal("the two can be told apart by what they are known by")
	}
	for _, c := range []struct {
		name, compressed string
		more             []string // lines beside those of the three
	}{
		{"a copy", second, nil},
		{"another", strings.Join(slices.Concat(begin, others), "\n") + "\n", slices.Concat(begin, others)},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r, rest := waitsForAFileThatIsGone(t, second)
			r.zip("a.log.1.gz", c.compressed)
			r.remove("a.log.1")
			r.remove("a.log.2.gz")
			r.o.Admit(0) // the agent has room again
			r.tailer.Nudge()
			want := slices.Sorted(slices.Values(slices.Concat(rest, c.more)))
			r.wait("all lines", func() bool { return len(r.texts()) >= len(want) })
			r.nothingMore(10)
			if got := slices.Sorted(slices.Values(r.texts())); !slices.Equal(got, want) {
				t.Errorf("lines:\n got  %q\n want %q", got, want)
			}
		})
	}
}

// waitsForAFileThatIsGone returns a rig in which a.log.2.gz was read, and a.log.1,
// which is open, and a.log wait until the stream 0 was asked for. rest are the lines
// of all three.
func waitsForAFileThatIsGone(t *testing.T, second string) (r *rig, rest []string) {
	t.Helper()
	r = newRig(t)
	first, firstLines := distinct("first")
	third, thirdLines := distinct("third")
	r.write("a.log", first)
	r.start()
	r.want(firstLines...)
	r.stop()

	r.zip("a.log.2.gz", first)
	r.write("next", second)
	r.rename("next", "a.log") // it has not the inode of the first
	var open atomic.Bool
	r.o.Admit = func(stream uint64) bool {
		if stream == 0 {
			open.Store(true)
		}
		return open.Load()
	}
	r.start()
	r.wait("two files", func() bool { return len(r.tailer.Files()) == 2 })
	r.stop()
	r.start() // what is known by its inode is opened, so that it is proved
	r.wait("the first file, and the second open", func() bool { return r.lies("a.log.2.gz") && r.lies("a.log") && r.isOpen("a.log") })
	r.rename("a.log", "a.log.1")
	r.write("a.log", third)
	r.wait("the second file under its second name", func() bool { return r.isOpen("a.log.1") })
	return r, slices.Concat(firstLines, strings.Split(strings.TrimSuffix(second, "\n"), "\n"), thirdLines)
}

// lies reports whether a file is known to lie there, and isOpen whether it is open.
func (r *rig) lies(name string) bool {
	return slices.ContainsFunc(r.tailer.Files(), func(s Status) bool { return s.Path == r.path(name) })
}

func (r *rig) isOpen(name string) bool {
	return slices.ContainsFunc(r.tailer.Files(), func(s Status) bool { return s.Path == r.path(name) && s.Open })
}
