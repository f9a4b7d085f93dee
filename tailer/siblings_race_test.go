package tailer

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"sync/atomic"
	"testing"
	"time"
)

// TestSiblingsWhileRenamed renames one file to and fro while its folder is
// listed: it is always there.
func TestSiblingsWhileRenamed(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a.log"), filepath.Join(dir, "b.log")
	if err := os.WriteFile(a, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	var stop atomic.Bool
	done := make(chan error)
	go func() {
		var err error
		for !stop.Load() && err == nil {
			if err = os.Rename(a, b); err == nil {
				err = os.Rename(b, a)
			}
			for range 2000 { // as a rotation: now and then, not all the time
				if stop.Load() {
					break
				}
				_, _ = os.Lstat(dir)
			}
		}
		done <- err
	}()
	missed := 0
	for range 2000 {
		if ss, _ := siblingsIn(dir); len(ss) == 0 {
			missed++
		}
	}
	stop.Store(true)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if missed > 0 {
		t.Errorf("the file was not there in %d of 2000 listings", missed)
	}
}

// Generations of several names, found together, are put into an order that
// holds for each name.
func TestOlder(t *testing.T) {
	at := func(origin, path string, mtime, born int, packed bool) generation {
		base := time.Unix(1e9, 0)
		return generation{origin: origin, place: place{path: path, mtime: base.Add(time.Duration(mtime) * time.Millisecond), packed: packed}, born: base.Add(time.Duration(born) * time.Millisecond)}
	}
	gs := []generation{
		at("b.log", "b.log-20261124.000007.gz", 290, 300, true),
		at("a.log", "a.log.3.gz", 334, 1030, true),
		at("b.log", "b.log-20261124.000009", 5000, 340, false),
		at("a.log", "a.log.5.gz", 262, 299, true),
		at("c.log", "c.log.old.1.gz", 300, 320, true),
		at("a.log", "a.log.1", 2278, 1034, false),
		at("b.log", "b.log-20261124.000008.gz", 330, 335, true),
		at("a.log", "a.log.4.gz", 299, 334, true),
		at("a.log", "a.log.2.gz", 1030, 2278, true),
	}
	want := map[string][]string{
		"a.log": {"a.log.5.gz", "a.log.4.gz", "a.log.3.gz", "a.log.2.gz", "a.log.1"},
		"b.log": {"b.log-20261124.000007.gz", "b.log-20261124.000008.gz", "b.log-20261124.000009"},
		"c.log": {"c.log.old.1.gz"},
	}
	for range 200 {
		rand.Shuffle(len(gs), func(i, k int) { gs[i], gs[k] = gs[k], gs[i] })
		slices.SortStableFunc(gs, older)
		got := map[string][]string{}
		for _, g := range gs {
			got[g.origin] = append(got[g.origin], g.path)
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("got %v", got)
		}
	}
}

// What one missing file is found as is no generation after another, whatever
// becomes of the answers: one of them may be no longer wanted.
func TestFoundIsNoGeneration(t *testing.T) {
	dir := t.TempDir()
	first, second := []byte("one\ntwo\n"), []byte("three\n")
	packed := writeFile(t, filepath.Join(dir, "a.log.2.gz"), compressed("gzip", first))
	plain := writeFile(t, filepath.Join(dir, "a.log.1"), second)
	m, err := newMatcher([]Input{{Paths: []string{filepath.Join(dir, "*.log")}}})
	if err != nil {
		t.Fatal(err)
	}
	origin, now := filepath.Join(dir, "a.log"), time.Now()
	a := traces{id: 1, origin: origin, path: filepath.Join(dir, "a.log.1"), key: fileKey{1, 1}, off: 4, head: markOf(first[:4]), tail: markOf(first[:4])}
	b := traces{id: 2, origin: origin, path: origin, key: plain, head: markOf(second)}
	f := &finder{matcher: m}
	got := f.look([]missing{{traces: a, seen: now, found: now, others: []traces{b}}, {traces: b, seen: now, found: now, others: []traces{a}}})
	if got[0].key != packed || got[1].key != plain {
		t.Fatalf("found at %q and %q", got[0].path, got[1].path)
	}
	for _, r := range got {
		if len(r.later) > 0 {
			t.Errorf("after %v came %+v", r.id, r.later)
		}
	}
}

// What is not found in a folder that does not stand still may be there, and so
// may what came before its generations.
func TestLookInAMovingFolder(t *testing.T) {
	dir := t.TempDir()
	origin, now := filepath.Join(dir, "a.log"), time.Now()
	m, err := newMatcher([]Input{{Paths: []string{filepath.Join(dir, "*.log")}}})
	if err != nil {
		t.Fatal(err)
	}
	l := missing{traces: traces{id: 1, origin: origin, path: origin, key: fileKey{1, 1}, off: 4, head: markOf([]byte("one\n")), tail: markOf([]byte("one\n"))}, seen: now, found: now}
	for _, still := range []bool{true, false} {
		for _, impatient := range []bool{true, false} {
			l.impatient = impatient
			f := &finder{matcher: m, siblings: func(string) ([]sibling, bool) { return nil, still }}
			r := f.look([]missing{l})[0]
			if want := !still && !impatient; r.undecided != want || r.again != want {
				t.Errorf("still %v, impatient %v: undecided %v, again %v, want %v", still, impatient, r.undecided, r.again, want)
			}
		}
	}
}
