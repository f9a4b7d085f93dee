package agent

import (
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"shiplog/agent/checkpoint"
	"shiplog/shipper"
	"shiplog/tailer"
)

// TestWhatIsForeseenComesTrue hands blocks over and settles them, in order, some at
// a time: what after says of each time before is what the ledger has afterwards.
// Blocks without records are settled by themselves, at any time.
func TestWhatIsForeseenComesTrue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := newLedger(nil, time.Now)
		l.committed = func() uint64 { return 4 }
		files := []tailer.FileID{7, 8}
		at := map[tailer.FileID]int64{}
		for _, id := range files {
			s := state(id, 0)
			event(l, tailer.Found, s)
		}
		var waiting []*shipment
		hand := func() {
			id := rapid.SampledFrom(files).Draw(t, "file")
			n := rapid.Int64Range(1, 50).Draw(t, "length")
			b := &tailer.Block{File: id, Stream: 1, Start: at[id], End: at[id] + n, Head: tailer.Mark{Len: 1, Hash: uint64(at[id] + n)}, Seen: at[id], Entries: []tailer.Entry{{Start: at[id], End: at[id] + n}}, Epoch: l.files[id].rewound}
			at[id] = b.End
			s := &shipment{block: b}
			if rapid.Bool().Draw(t, "state") {
				s.states = []parserState{{b.End, []byte{byte(n)}}}
			}
			l.handed(b, "t")
			if rapid.IntRange(0, 4).Draw(t, "empty") == 0 {
				l.settled(b, b.End, nil)
				return
			}
			waiting = append(waiting, s)
		}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			switch rapid.IntRange(0, 5).Draw(t, "step") {
			case 0:
				n := rapid.IntRange(0, len(waiting)).Draw(t, "transaction")
				before := map[tailer.FileID]checkpoint.Entry{}
				for _, id := range files {
					before[id] = l.files[id].entry
				}
				entries, _ := l.after(waiting[:n])
				for _, id := range files {
					if !reflect.DeepEqual(before[id], l.files[id].entry) {
						t.Fatal("after has changed the ledger")
					}
				}
				for _, s := range waiting[:n] {
					var parser []byte
					if len(s.states) > 0 {
						parser = s.states[0].state
					}
					l.settled(s.block, s.block.End, parser)
				}
				waiting = waiting[n:]
				said := map[tailer.FileID]checkpoint.Entry{}
				for _, e := range entries {
					said[tailer.FileID(e.ID)] = e
				}
				for _, id := range files {
					is := l.files[id].entry
					if e, ok := said[id]; !ok && is.Offset != before[id].Offset || ok && (e.Offset != is.Offset || e.Head != is.Head || e.Tail != is.Tail || !reflect.DeepEqual(e.Parser, is.Parser)) {
						t.Fatalf("file %s: foreseen %+v (%v), came %+v", id, e, ok, is)
					}
				}
			case 1:
				id := rapid.SampledFrom(files).Draw(t, "rewound")
				s := state(id, 0)
				l.event(tailer.Event{Kind: tailer.Rewound, File: s, Epoch: l.files[id].rewound + 1})
				at[id] = 0
				if l.files[id].entry.Amended != 5 {
					t.Fatalf("amended: %d, want the transaction that may be under way", l.files[id].entry.Amended)
				}
			default:
				hand()
			}
		}
	})
}

func TestTheLaterOfDiskAndKafkaCounts(t *testing.T) {
	file := func(id uint64, offset int64, amended uint64) checkpoint.Entry {
		return checkpoint.Entry{ID: id, Path: "/l/disk.log", Origin: "/l/a.log", Offset: offset, Tail: checkpoint.Mark{Len: 1, Hash: uint64(offset)}, Amended: amended}
	}
	inKafka := func(id uint64, offset int64, number uint64) shipper.Kept {
		e := file(id, offset, 0)
		e.Path = "/l/kafka.log"
		k := keptEntry(&e)
		k.Number = number
		return k
	}
	for name, c := range map[string]struct {
		disk    []checkpoint.Entry
		known   uint64
		kafka   []shipper.Kept
		want    []checkpoint.Entry
		claimed []string // keys; with ! in front those that are removed
	}{
		"Kafka has more":            {[]checkpoint.Entry{file(1, 10, 0)}, 5, []shipper.Kept{inKafka(1, 30, 6)}, []checkpoint.Entry{file(1, 30, 0)}, nil},
		"both have the same":        {[]checkpoint.Entry{file(1, 30, 0)}, 6, []shipper.Kept{inKafka(1, 30, 6)}, []checkpoint.Entry{file(1, 30, 0)}, nil},
		"the disk has left out":     {[]checkpoint.Entry{file(1, 40, 0)}, 6, []shipper.Kept{inKafka(1, 30, 6)}, []checkpoint.Entry{file(1, 40, 0)}, []string{"0000000000000001"}},
		"rewound while nobody ran":  {[]checkpoint.Entry{file(1, 0, 1<<64-1)}, 5, []shipper.Kept{inKafka(1, 30, 6)}, []checkpoint.Entry{file(1, 0, 0)}, []string{"0000000000000001"}},
		"rewound, and sent since":   {[]checkpoint.Entry{file(1, 0, 6)}, 5, []shipper.Kept{inKafka(1, 20, 7)}, []checkpoint.Entry{file(1, 20, 0)}, nil},
		"rewound in a transaction":  {[]checkpoint.Entry{file(1, 0, 6)}, 5, []shipper.Kept{inKafka(1, 30, 6)}, []checkpoint.Entry{file(1, 0, 0)}, []string{"0000000000000001"}},
		"new on the disk":           {[]checkpoint.Entry{file(1, 10, 0)}, 5, nil, []checkpoint.Entry{file(1, 10, 0)}, []string{"0000000000000001"}},
		"forgotten on the disk":     {nil, 6, []shipper.Kept{inKafka(1, 30, 6)}, nil, []string{"!0000000000000001"}},
		"the disk is lost":          {nil, 0, []shipper.Kept{inKafka(1, 30, 6)}, []checkpoint.Entry{{ID: 1, Path: "/l/kafka.log", Origin: "/l/a.log", Offset: 30, Tail: checkpoint.Mark{Len: 1, Hash: 30}}}, nil},
		"sent without transactions": {[]checkpoint.Entry{file(1, 90, 0)}, 1<<64 - 1, []shipper.Kept{inKafka(1, 30, 6)}, []checkpoint.Entry{file(1, 90, 0)}, []string{"0000000000000001"}},
	} {
		kept := map[string]shipper.Kept{}
		for _, k := range c.kafka {
			kept[k.Key] = k
		}
		entries, claim, err := reconcile(c.disk, c.known, kept)
		var keys []string
		for _, k := range claim {
			if k.Value == nil {
				k.Key = "!" + k.Key
			}
			keys = append(keys, k.Key)
		}
		if err != nil || !reflect.DeepEqual(entries, c.want) || !slices.Equal(keys, c.claimed) {
			t.Errorf("%s: got %+v, %v, %v\nwant %+v, %v", name, entries, keys, err, c.want, c.claimed)
		}
	}
}

func TestAStateDirectoryHasOneTransactionalID(t *testing.T) {
	dir := t.TempDir()
	first, err := ownID(dir)
	if err != nil {
		t.Fatal(err)
	}
	again, err := ownID(dir)
	if err != nil || again != first || len(first) != len("shiplog-")+16 {
		t.Errorf("%q, then %q, %v", first, again, err)
	}
	if err := os.Remove(filepath.Join(dir, idName)); err != nil {
		t.Fatal(err)
	}
	if other, err := ownID(dir); err != nil || other == first {
		t.Errorf("%q again, %v", other, err)
	}
}

// TestFilesThatAreForgottenAreRemovedFromKafka has the removal in each transaction
// until one was committed.
func TestFilesThatAreForgottenAreRemovedFromKafka(t *testing.T) {
	l := newLedger([]checkpoint.Entry{{ID: 1, Offset: 10}}, time.Now)
	committed := uint64(3)
	l.committed = func() uint64 { return committed }
	x := &exactlyOnce{gone: map[tailer.FileID]uint64{}}
	l.event(tailer.Event{Kind: tailer.Dropped, File: state(1, 10)})
	for i, want := range []int{1, 1, 0} {
		if i == 2 {
			committed++
		}
		if got := x.keptOf(l, nil); len(got) != want {
			t.Errorf("transaction %d removes %v", i, got)
		}
	}
	if len(x.gone) != 0 {
		t.Errorf("left: %v", slices.Collect(maps.Keys(x.gone)))
	}
}
