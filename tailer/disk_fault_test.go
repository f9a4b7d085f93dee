package tailer

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// badDisk stands between a tailer and its files: while it is broken, what lies
// at an offset from good on cannot be read.
type badDisk struct {
	mu     sync.Mutex
	broken bool
	good   int64
	err    error
}

func (d *badDisk) set(broken bool, good int64, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.broken, d.good, d.err = broken, good, err
}

func (d *badDisk) through(f *os.File) io.ReaderAt { return badFile{f, d} }

type badFile struct {
	f *os.File
	d *badDisk
}

func (b badFile) ReadAt(p []byte, at int64) (int, error) {
	b.d.mu.Lock()
	broken, good, err := b.d.broken, b.d.good, b.d.err
	b.d.mu.Unlock()
	if !broken || at+int64(len(p)) <= good {
		return b.f.ReadAt(p, at)
	}
	n, rerr := b.f.ReadAt(p[:max(0, min(int64(len(p)), good-at))], at)
	if rerr != nil {
		return n, rerr
	}
	return n, err
}

// TestDiskFaults has reads fail or give less than the file has, at its beginning
// and in the middle of a line, of files of every kind, which are rotated
// meanwhile: that is said, and when it is over all is read, once.
func TestDiskFaults(t *testing.T) {
	long := strings.Repeat("0123456789", 3000) + "\n"
	for _, c := range []struct {
		name         string
		first, after string
	}{
		{"lines", "one\n", "two\nthree\n"},
		{"nothing read before", "", "one\ntwo\n"},
		{"a line longer than a block", "one\n", long + "two\n"},
		{"no end", "one\n", long[:20_000]},
	} {
		for fault, err := range map[string]error{"EIO": syscall.EIO, "short": io.EOF} {
			for _, good := range []int64{0, 6, 5000} {
				for _, pack := range []string{"", "gzip"} {
					if pack != "" && c.first == "" {
						continue // nothing would tell that it is the same file
					}
					t.Run(fmt.Sprintf("%s, %s from %d, %s", c.name, fault, good, pack), func(t *testing.T) {
						t.Parallel()
						testDiskFault(t, c.first, c.after, good, err, pack)
					})
				}
			}
		}
	}
}

func testDiskFault(t *testing.T, first, after string, good int64, fault error, pack string) {
	d := &badDisk{}
	r := newRig(t, "a.log*")
	r.o.ReadThrough, r.o.BlockBytes = d.through, 4<<10
	r.o.Inputs[0].RotateWait = 50e6
	r.write("a.log", "")
	r.start()
	r.sawEvent(Found)
	r.append("a.log", first)
	want := strings.Split(strings.TrimSuffix(first+after, "\n"), "\n")
	n := strings.Count(first, "\n")
	r.want(want[:n]...)
	if pack != "" { // it is read from its beginning again
		r.stop()
	}
	d.set(true, good, fault)
	r.append("a.log", after)
	if pack != "" {
		r.must((&script{rig: r}).compress(pack, r.path("a.log"), r.path("a.log.1")))
		r.start()
	} else {
		r.rename("a.log", "a.log.1")
	}
	r.write("a.log", "after it\n")
	size := int64(len(first) + len(after))
	if pack == "" && good < size {
		e := r.sawEvent(Unreadable)
		r.wait("the status to say so", func() bool { // it follows the event
			return slices.ContainsFunc(r.tailer.Files(), func(f Status) bool {
				return f.ID == e.File.ID && f.State == "unreadable" && f.Reason != "" && f.Failed > 0
			})
		})
		if fault != io.EOF && !strings.Contains(e.Err.Error(), fault.Error()) {
			t.Errorf("reason %v, want %v", e.Err, fault)
		}
	}
	d.set(false, 0, nil)
	r.want(append(want, "after it")...)
	if pack == "" && good < size {
		r.sawEvent(Readable)
	}
}

// TestUnreadableAndGone has a file go that could not be read: that is told, and then
// it is missing, and no trouble to be mended any more.
func TestUnreadableAndGone(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	const text = "PK\x03\x04 a zip file is not read\n"
	r.append("a.log", text)
	r.start()
	r.sawEvent(Unreadable)
	r.remove("a.log")
	if e := r.sawEvent(Vanished); e.Lost != int64(len(text)) {
		t.Errorf("lost %d bytes", e.Lost)
	}
	r.wait("it to be missing", func() bool {
		f := r.tailer.Files()
		return len(f) == 1 && f[0].State == "missing"
	})
}
