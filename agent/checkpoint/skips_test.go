package checkpoint

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"pgregory.net/rapid"
)

func openSkips(t testing.TB, dir string, o SkipsOptions) *Skips {
	t.Helper()
	s, err := OpenSkips(dir, o)
	must(t, err)
	return s
}

func readSkips(t testing.TB, dir string) SkipList {
	t.Helper()
	l, err := ReadSkips(dir)
	must(t, err)
	return l
}

func TestSkipsAreThereAgain(t *testing.T) {
	dir := t.TempDir()
	if l := readSkips(t, dir); len(l.Skips)+len(l.Dropped)+len(l.Lost) != 0 {
		t.Errorf("no journal says %+v", l)
	}
	s := openSkips(t, dir, SkipsOptions{})
	must(t, s.Flush())
	if _, err := os.Stat(skipsPath(dir)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("nothing was left out, and there is a file (%v)", err)
	}
	s.Append(Skip{7, 0, 100, StartedAtEnd})
	if len(readSkips(t, dir).Skips) != 0 {
		t.Error("on disk before Flush")
	}
	s.Append(Skip{7, 200, 210, Filtered}, Skip{7, 210, 220, Filtered}, Skip{7, 220, 230, Sampled}, Skip{3, 5, 6, Filtered}, Skip{7, 300, 310, Filtered}, Skip{9, 4, 4, Filtered})
	must(t, s.Flush())
	must(t, s.Close())
	s = openSkips(t, dir, SkipsOptions{})
	s.Append(Skip{7, 100, 110, Rewound})
	must(t, s.Close())
	want := []Skip{{3, 5, 6, Filtered}, {7, 0, 100, StartedAtEnd}, {7, 100, 110, Rewound}, {7, 200, 220, Filtered}, {7, 220, 230, Sampled}, {7, 300, 310, Filtered}}
	if got := readSkips(t, dir); !reflect.DeepEqual(got.Skips, want) || got.Dropped != nil || got.Lost != nil {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

// TestSkipsAreBounded fills the journal over its bound, many times.
func TestSkipsAreBounded(t *testing.T) {
	dir := t.TempDir()
	const limit = 4 << 10
	s := openSkips(t, dir, SkipsOptions{MaxBytes: limit})
	const n = 5000
	for i := range int64(n) {
		s.Append(Skip{1 + uint64(i%3), 1000 * i, 1000*i + 10, Filtered})
		if i%10 == 0 {
			must(t, s.Flush())
		}
	}
	must(t, s.Close())
	if fi, err := os.Stat(skipsPath(dir)); err != nil || fi.Size() > 2*limit {
		t.Errorf("%d bytes (%v)", fi.Size(), err)
	}
	l := readSkips(t, dir)
	if len(l.Skips) == 0 || len(l.Skips) >= n || len(l.Dropped) != 3 || l.Lost != nil {
		t.Fatalf("%d skips, dropped %v, lost %v", len(l.Skips), l.Dropped, l.Lost)
	}
	// Each range is either there, or within what is said to be dropped.
	there := map[Skip]bool{}
	for _, k := range l.Skips {
		there[k] = true
	}
	for i := range int64(n) {
		k := Skip{1 + uint64(i%3), 1000 * i, 1000*i + 10, Filtered}
		said := false
		for _, d := range l.Dropped {
			said = said || (d.File == k.File && d.Start <= k.Start && k.End <= d.End)
		}
		if !there[k] && !said {
			t.Fatalf("%v is forgotten in silence", k)
		}
	}
}

// journalBytes is a journal of several records, and where each ends.
func journalBytes() (data []byte, ends []int) {
	data = appendSkipsHeader(nil)
	ends = append(ends, len(data))
	for i := range int64(5) {
		data = appendSkips(data, []Skip{{uint64(i), i, i + 1, Filtered}, {uint64(i), i + 5, i + 9, Filtered}})
		ends = append(ends, len(data))
	}
	return data, ends
}

// TestSkipsTorn cuts the journal at each byte, as a crash does.
func TestSkipsTorn(t *testing.T) {
	whole, ends := journalBytes()
	for cut := len(skipsMagic); cut < len(whole); cut++ {
		intact := 0
		for i, e := range ends {
			if e <= cut {
				intact = i
			}
		}
		dir := t.TempDir()
		must(t, os.WriteFile(skipsPath(dir), whole[:cut], 0o600))
		s := openSkips(t, dir, SkipsOptions{})
		s.Append(Skip{99, 1, 2, Filtered})
		must(t, s.Close())
		if l := readSkips(t, dir); len(l.Skips) != 2*intact+1 || l.Lost != nil {
			t.Fatalf("cut at %d: %d skips, want %d; lost %v", cut, len(l.Skips), 2*intact+1, l.Lost)
		}
	}
}

// TestSkipsDamaged flips each byte.
func TestSkipsDamaged(t *testing.T) {
	whole, ends := journalBytes()
	all := 2 * (len(ends) - 1)
	for i := range whole {
		dir := t.TempDir()
		bad := append([]byte(nil), whole...)
		bad[i] ^= 0x11
		must(t, os.WriteFile(skipsPath(dir), bad, 0o600))
		s := openSkips(t, dir, SkipsOptions{})
		s.Append(Skip{99, 1, 2, Filtered})
		must(t, s.Close())
		l := readSkips(t, dir)
		want := all - 2 + 1
		switch {
		case i < len(skipsMagic):
			want = 1 // not known for a journal
		case i < ends[0]:
			want = all + 1
		}
		// The last record may also count as one that a crash cut short.
		if i < ends[len(ends)-2] && l.Lost == nil || len(l.Skips) != want {
			t.Errorf("byte %d of %d: %d skips, want %d; lost %v", i, len(whole), len(l.Skips), want, l.Lost)
		}
	}
}

func TestSkipsOfANewerVersion(t *testing.T) {
	dir := t.TempDir()
	data := appendFrame([]byte(skipsMagic), typeVersion, protowire.AppendVarint(nil, skipsVersion+1))
	must(t, os.WriteFile(skipsPath(dir), data, 0o600))
	var tooNew *VersionError
	if _, err := OpenSkips(dir, SkipsOptions{}); !errors.As(err, &tooNew) {
		t.Errorf("OpenSkips: %v", err)
	}
	if _, err := ReadSkips(dir); !errors.As(err, &tooNew) {
		t.Errorf("ReadSkips: %v", err)
	}
}

// TestSkipsFaults fails each operation once: what was appended is on disk after
// the next Flush that succeeds, and a reader never sees less than what a
// successful Flush promised.
func TestSkipsFaults(t *testing.T) {
	for _, fault := range []error{syscall.ENOSPC, syscall.EIO} {
		for failAt := 1; ; failAt++ {
			dir := t.TempDir()
			disk := &faultFS{failAt: failAt, fault: fault, half: true}
			s := openSkips(t, dir, SkipsOptions{FS: disk, MaxBytes: 180})
			var want []Skip
			failed := 0
			for i := range int64(12) {
				k := Skip{1, 10 * i, 10*i + 5, Filtered}
				want = append(want, k)
				s.Append(k)
				if err := s.Flush(); err != nil {
					failed++
					if !errors.Is(err, fault) {
						t.Fatalf("%v is not %v", err, fault)
					}
					continue
				}
				l := readSkips(t, dir)
				first := int64(0)
				for _, d := range l.Dropped {
					first = d.End
				}
				for _, k := range want {
					if k.Start >= first && !contains(l.Skips, k) {
						t.Fatalf("fault %d: %v is not in %v after Flush", failAt, k, l)
					}
				}
			}
			if err := s.Close(); err != nil && !errors.Is(err, fault) {
				t.Fatal(err)
			}
			if failed == 0 && disk.calls < failAt {
				break
			}
		}
	}
}

func contains(skips []Skip, k Skip) bool {
	for _, s := range skips {
		if s == k {
			return true
		}
	}
	return false
}

func TestUnreadableJournalIsSetAside(t *testing.T) {
	dir := t.TempDir()
	must(t, os.Mkdir(skipsPath(dir), 0o700)) // cannot be read as a file
	s := openSkips(t, dir, SkipsOptions{})
	s.Append(Skip{1, 2, 3, Filtered})
	must(t, s.Close())
	if l := readSkips(t, dir); len(l.Skips) != 1 || len(l.Lost) != 1 {
		t.Errorf("%+v", l)
	}
	if _, err := os.Stat(filepath.Join(dir, "skips-damaged")); err != nil {
		t.Error(err)
	}
}

// TestSkipsRoundTrip writes any skips and reads them back.
func TestSkipsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		skips := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Skip {
			start := rapid.Int64Range(0, 1<<40).Draw(t, "start")
			return Skip{rapid.Uint64().Draw(t, "file"), start, start + rapid.Int64Range(1, 1<<30).Draw(t, "length"), Reason(rapid.IntRange(1, 9).Draw(t, "reason"))}
		}), 0, 50).Draw(t, "skips")
		j, err := readJournal("skips", appendSkips(appendSkipsHeader(nil), skips))
		if err != nil || len(j.list.Skips) != len(skips) {
			t.Fatalf("%d of %d: %v", len(j.list.Skips), len(skips), err)
		}
		for i := range skips {
			if j.list.Skips[i] != skips[i] {
				t.Fatalf("%v, want %v", j.list.Skips[i], skips[i])
			}
		}
	})
}

func FuzzReadJournal(f *testing.F) {
	data, _ := journalBytes()
	f.Add(data)
	f.Add(appendFrame(data, typeDropped, appendDropped(nil, Dropped{1, 2, 3, time.Unix(4, 5)})))
	f.Add([]byte(skipsMagic))
	f.Fuzz(func(t *testing.T, data []byte) {
		j, err := readJournal("skips", data)
		if j.size > int64(len(data)) {
			t.Errorf("%d bytes are intact of %d", j.size, len(data))
		}
		for _, k := range j.list.Skips {
			if k.Start < 0 || k.End <= k.Start {
				t.Errorf("%v", k)
			}
		}
		if err != nil && strings.TrimSpace(err.Error()) == "" {
			t.Error("an error without words")
		}
	})
}
