package agent

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"shiplog/agent/checkpoint"
	"shiplog/tailer"
)

// state is a file as an event tells of it.
func state(id tailer.FileID, offset int64) tailer.State {
	return tailer.State{ID: id, Stream: 1, Path: "/l/a.log", Origin: "/l/a.log", Offset: offset}
}

func event(l *ledger, kind tailer.EventKind, s tailer.State) {
	l.event(tailer.Event{Kind: kind, File: s})
}

// TestLedgerNeverAhead settles blocks in any order: what is saved is never
// beyond the contiguous prefix, and its seen time is that of the block that
// ends there.
func TestLedgerNeverAhead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := newLedger(nil, time.Now)
		event(l, tailer.Found, state(7, 0))
		var blocks []*tailer.Block
		at := int64(0)
		for i := range rapid.IntRange(1, 30).Draw(t, "blocks") {
			n := rapid.Int64Range(1, 50).Draw(t, "length")
			blocks = append(blocks, &tailer.Block{File: 7, Stream: 1, Start: at, End: at + n, Head: tailer.Mark{Len: 1, Hash: uint64(at + n)}, Seen: int64(i)})
			at += n
		}
		for _, b := range blocks {
			l.handed(b, "t")
		}
		settled := map[int64]int64{} // start -> end
		for _, i := range rapid.Permutation(indices(len(blocks))).Draw(t, "order") {
			b := blocks[i]
			end := b.End
			if rapid.IntRange(0, 9).Draw(t, "part") == 0 {
				end = rapid.Int64Range(b.Start, b.End).Draw(t, "end")
			}
			l.settled(b, end, nil)
			if end > b.Start {
				settled[b.Start] = end
			}
			prefix := int64(0)
			for settled[prefix] > prefix {
				prefix = settled[prefix]
			}
			e := l.files[7].entry
			if e.Offset != prefix {
				t.Fatalf("saved %d, the prefix is %d", e.Offset, prefix)
			}
			if prefix > 0 && e.Head.Hash != uint64(endOf(blocks, prefix)) {
				t.Fatalf("at %d: the head mark is of the block that ends at %d", prefix, e.Head.Hash)
			}
		}
	})
}

func indices(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

// endOf returns the end of the block in which offset, its last byte, lies.
func endOf(blocks []*tailer.Block, offset int64) int64 {
	for _, b := range blocks {
		if offset <= b.End {
			return b.End
		}
	}
	return 0
}

func TestLedgerTakesEachChangeOnce(t *testing.T) {
	l := newLedger(nil, time.Now)
	event(l, tailer.Found, state(1, 10))
	if changed, _ := l.take(); len(changed) != 1 || changed[0].Offset != 10 {
		t.Errorf("changed %+v", changed)
	}
	if changed, removed := l.take(); len(changed)+len(removed) != 0 {
		t.Errorf("again %v, %v", changed, removed)
	}
}

func TestLedgerForgetsWhenAllIsSettled(t *testing.T) {
	l := newLedger(nil, time.Now)
	event(l, tailer.Found, state(1, 0))
	b := &tailer.Block{File: 1, Stream: 1, Start: 0, End: 5}
	l.handed(b, "t")
	event(l, tailer.Forgotten, state(1, 5))
	if _, removed := l.take(); len(removed) != 0 {
		t.Fatal("removed before its last line was acknowledged")
	}
	l.settled(b, 5, nil)
	if _, removed := l.take(); len(removed) != 1 || removed[0] != 1 {
		t.Errorf("removed %v", removed)
	}
	if len(l.resume()) != 0 {
		t.Error("it is resumed")
	}
}

func TestLedgerKeepsVanishedFilesForAWhile(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	l := newLedger(nil, func() time.Time { return now })
	event(l, tailer.Found, state(1, 3))
	event(l, tailer.Vanished, state(1, 3))
	changed, _ := l.take()
	if len(changed) != 1 || !changed[0].Gone.Equal(now) {
		t.Fatalf("changed %+v", changed)
	}
	for after, kept := range map[time.Duration]int{forgetAfter - time.Hour: 1, forgetAfter + time.Hour: 0} {
		again := newLedger(changed, func() time.Time { return now.Add(after) })
		if got := again.resume(); len(got) != kept {
			t.Errorf("after %v: %d files are resumed, want %d", after, len(got), kept)
		} else if kept == 1 && !got[0].Gone {
			t.Error("it is resumed as if it were there")
		}
		if _, removed := again.take(); len(removed) != 1-kept {
			t.Errorf("after %v: removed %v", after, removed)
		}
	}
	event(l, tailer.Resumed, state(1, 3))
	if changed, _ := l.take(); len(changed) != 1 || !changed[0].Gone.IsZero() {
		t.Errorf("found again: %+v", changed)
	}
}

func TestLedgerIgnoresPipes(t *testing.T) {
	l := newLedger([]checkpoint.Entry{}, time.Now)
	b := &tailer.Block{File: 1, End: 5, Volatile: true}
	l.handed(b, "t")
	l.settled(b, 5, nil)
	if changed, _ := l.take(); len(changed) != 0 || len(l.files) != 0 {
		t.Errorf("changed %v", changed)
	}
}

// TestLedgerSettlesWhatWasCarried: an entry that began in the file before moves
// both files, at once, and neither before it is settled.
func TestLedgerSettlesWhatWasCarried(t *testing.T) {
	l := newLedger(nil, time.Now)
	event(l, tailer.Found, state(7, 0))
	event(l, tailer.Found, state(8, 0))
	before := &tailer.Block{File: 7, Stream: 1, Start: 0, End: 10}
	c := &tailer.Carry{File: 7, Start: 10, End: 30, Head: tailer.Mark{Len: 30, Hash: 1}, Tail: tailer.Mark{Len: 20, Hash: 2}}
	b := &tailer.Block{File: 8, Stream: 1, Start: 0, End: 50, Entries: []tailer.Entry{{Start: 0, End: 15, Carry: c}, {Start: 15, End: 50}}}
	l.handed(before, "t")
	l.settled(before, 10, nil)
	l.handed(b, "t")
	event(l, tailer.Forgotten, state(7, 30))
	if l.files[7] == nil || l.files[7].read != 30 {
		t.Fatal("the rotated file is forgotten before its part is settled")
	}
	l.take()
	l.settled(b, 14, nil) // not yet the entry's end
	if l.files[7].prefix.End() != 10 {
		t.Error("the rotated file's part is settled before the entry")
	}
	l.settled(b, 50, nil)
	changed, removed := l.take()
	if len(removed) != 1 || removed[0] != 7 || len(changed) != 1 || changed[0].Offset != 50 {
		t.Errorf("saved %+v, removed %v", changed, removed)
	}
}

// The first bytes of a file are saved when they are known, before any of it is
// read; once some of it is acknowledged, what was acknowledged says more.
func TestLedgerGlimpsed(t *testing.T) {
	l := newLedger(nil, time.Now)
	event(l, tailer.Found, state(7, 0))
	l.take()
	s := state(7, 0)
	s.Head = tailer.Mark{Len: 3, Hash: 9}
	event(l, tailer.Glimpsed, s)
	if changed, _ := l.take(); len(changed) != 1 || changed[0].Head != (checkpoint.Mark{Len: 3, Hash: 9}) {
		t.Fatalf("saved %+v, want the first bytes", changed)
	}
	b := &tailer.Block{File: 7, Stream: 1, Start: 0, End: 10, Head: tailer.Mark{Len: 10, Hash: 1}}
	l.handed(b, "t")
	l.settled(b, 10, nil)
	event(l, tailer.Glimpsed, s)
	if changed, _ := l.take(); len(changed) != 1 || changed[0].Head.Len != 10 {
		t.Fatalf("saved %+v, want the head that was acknowledged", changed)
	}
}

// BenchmarkLedger is what the books cost a block: that it is handed over, and
// that it is acknowledged, one of a thousand files after the other.
func BenchmarkLedger(b *testing.B) {
	for _, ahead := range []int{1, 16} {
		b.Run(fmt.Sprintf("unacknowledged=%d", ahead), func(b *testing.B) {
			const files, size = 1000, 256 << 10
			l := newLedger(nil, time.Now)
			blocks := make([][]tailer.Block, files) // those on their way
			for i := range blocks {
				id := tailer.FileID(i + 1)
				event(l, tailer.Found, state(id, 0))
				for k := range int64(ahead) {
					blocks[i] = append(blocks[i], tailer.Block{File: id, Stream: uint64(id), Start: k * size, End: (k + 1) * size})
					l.handed(&blocks[i][k], "t")
				}
			}
			b.ReportAllocs()
			for n := 0; b.Loop(); n++ {
				block := &blocks[n%files][n/files%ahead]
				l.settled(block, block.End, nil)
				block.Start, block.End = block.Start+int64(ahead)*size, block.End+int64(ahead)*size
				l.handed(block, "t")
			}
		})
	}
}

// TestLedgerSavesWhatIsNew: a file that is found again as the checkpoint tells of
// it is not written once more, and one of which anything is otherwise is.
func TestLedgerSavesWhatIsNew(t *testing.T) {
	at := time.Unix(1_700_000_000, 0)
	known := checkpoint.Entry{ID: 7, Stream: 1, Path: "/l/a.log", Origin: "/l/a.log", Dev: 1, Ino: 2, Offset: 10, Seen: at, Found: at}
	again := tailer.State{ID: 7, Stream: 1, Path: "/l/a.log", Origin: "/l/a.log", Dev: 1, Ino: 2, Offset: 10, Seen: at, Found: at}
	for what, change := range map[string]func(*checkpoint.Entry, *tailer.State){
		"":                  func(*checkpoint.Entry, *tailer.State) {},
		"it has moved":      func(_ *checkpoint.Entry, s *tailer.State) { s.Path = "/l/b.log" },
		"it was copied":     func(_ *checkpoint.Entry, s *tailer.State) { s.Ino = 3 },
		"it is rotated":     func(_ *checkpoint.Entry, s *tailer.State) { s.Rotated = true },
		"it was seen later": func(_ *checkpoint.Entry, s *tailer.State) { s.Seen = at.Add(1) },
		"it has its end":    func(_ *checkpoint.Entry, s *tailer.State) { s.Sealed.Size = 1 },
		"it had been gone":  func(e *checkpoint.Entry, _ *tailer.State) { e.Gone = at },
	} {
		e, s := known, again
		change(&e, &s)
		l := newLedger([]checkpoint.Entry{e}, func() time.Time { return at })
		event(l, tailer.Resumed, s)
		changed, _ := l.take()
		if (len(changed) > 0) != (what != "") {
			t.Errorf("%q: %d entries are to be saved", what, len(changed))
		}
		if what != "" && (changed[0].Path != s.Path || changed[0].Ino != s.Ino || changed[0].Rotated != s.Rotated || !changed[0].Seen.Equal(s.Seen) || !changed[0].Gone.IsZero()) {
			t.Errorf("%q: saved is %+v", what, changed[0])
		}
	}
}
