package tailer

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// idle returns a tailer that does not run, of *.log in dir.
func idle(t *testing.T, dir string) *Tailer {
	t.Helper()
	tl, err := New(Options{Inputs: []Input{{Name: "test", Paths: []string{filepath.Join(dir, "*.log")}}}})
	if err != nil {
		t.Fatal(err)
	}
	return tl
}

// writeFile makes a file and returns its key.
func writeFile(t *testing.T, path string, data []byte) fileKey {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	fi, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	key, err := keyAt(path, fi)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// A file was found that has the inode of one in the books. It may be that under
// another name, or another that has its inode by now.
func TestHolds(t *testing.T) {
	const dir = "/logs"
	key := fileKey{1, 7}
	long, other := markOf([]byte("one\ntwo\n")), markOf([]byte("six\nten\n"))
	short := markOf([]byte("one\n"))
	for _, c := range []struct {
		name    string
		path    string // where the file in the books is
		head    Mark
		looking bool
		once    bool
		want    answer
		asked   bool // whether it is looked for then
	}{
		{name: "the same", path: "a.log.1", head: long, want: yes},
		{name: "the same, renamed", path: "a.log", head: long, want: yes},
		{name: "another's inode", path: "b.log.1", head: other, want: no, asked: true},
		{name: "another's inode, of the same name", path: "a.log.1", head: other, want: no, asked: true},
		{name: "less is known of it", path: "b.log.1", head: short, want: notYet, asked: true},
		{name: "less is known of it, of the same name", path: "a.log.1", head: short, want: yes},
		{name: "being looked for", path: "a.log.1", head: short, looking: true, want: notYet, asked: true},
		{name: "nothing will be asked again", path: "b.log.1", head: short, once: true, want: yes},
	} {
		t.Run(c.name, func(t *testing.T) {
			tl := idle(t, dir)
			tl.o.Once = c.once
			f := tl.register(dir+"/b.log", "", filepath.Join(dir, c.path), tl.inputs[0], key, 8, time.Now())
			f.src.head, f.looking = c.head, c.looking
			if got := tl.holds(f, filepath.Join(dir, "a.log.1"), long); got != c.want || f.looking != c.asked {
				t.Errorf("got %v, looked for %v; want %v, %v", got, f.looking, c.want, c.asked)
			}
		})
	}
}

// Of the generations after a missing file none is taken up as long as it is not
// clear what one of them is: it may be the first.
func TestGenerationsAreMetInOrder(t *testing.T) {
	dir := filepath.FromSlash("/logs")
	tl := idle(t, dir)
	origin, now := filepath.Join(dir, "a.log"), time.Now()
	last := tl.register(origin, "", filepath.Join(dir, "a.log.3"), tl.inputs[0], fileKey{1, 3}, 8, now)
	stale := tl.register(filepath.Join(dir, "b.log"), "", filepath.Join(dir, "b.log.1"), tl.inputs[0], fileKey{1, 2}, 8, now)
	gen := func(name string, ino uint64, age time.Duration) generation {
		at := now.Add(-age)
		return generation{origin: origin, place: place{path: filepath.Join(dir, name), key: fileKey{1, ino}, mtime: at}, born: at, head: markOf([]byte(name))}
	}
	r := found{id: last.src.id, place: place{path: last.src.path, key: last.src.key}, later: []generation{gen("a.log.1", 1, time.Second), gen("a.log.2", 2, 2*time.Second)}}
	tl.answered([]found{r})
	if n := len(tl.streams[streamOf(origin)]); n != 1 || !tl.undecided[last] || !stale.looking {
		t.Fatalf("%d files, asked again %v, the other looked for %v", n, tl.undecided[last], stale.looking)
	}

	stale.looking = false
	tl.unplace(stale) // it was found elsewhere
	stale.src.key = fileKey{1, 9}
	tl.place(stale)
	tl.seekAgain()
	tl.answered([]found{r})
	var paths []string
	for _, f := range tl.streams[streamOf(origin)] {
		paths = append(paths, filepath.Base(f.src.path))
	}
	if len(paths) != 3 || paths[1] != "a.log.2" || paths[2] != "a.log.1" || tl.undecided[last] {
		t.Errorf("files %q, asked again %v", paths, tl.undecided[last])
	}
}

// What holds a name up for good, a second name of a file perhaps, is passed over
// in the end.
func TestGenerationsAreNotWaitedForForEver(t *testing.T) {
	dir := filepath.FromSlash("/logs")
	tl := idle(t, dir)
	origin, now := filepath.Join(dir, "a.log"), time.Now()
	last := tl.register(origin, "", filepath.Join(dir, "a.log.3"), tl.inputs[0], fileKey{1, 3}, 8, now)
	tl.register(filepath.Join(dir, "b.log"), "", filepath.Join(dir, "b.log.1"), tl.inputs[0], fileKey{1, 2}, 8, now)
	last.undecided = now.Add(-2 * unreadableWait)
	g := generation{origin: origin, place: place{path: filepath.Join(dir, "a.log.2"), key: fileKey{1, 2}}, head: markOf([]byte("2"))}
	young := generation{origin: origin, place: place{path: filepath.Join(dir, "a.log.1"), key: fileKey{1, 1}}, born: now, head: markOf([]byte("1"))}
	tl.answered([]found{{id: last.src.id, place: place{path: last.src.path, key: last.src.key}, later: []generation{young, g}}})
	fs := tl.streams[streamOf(origin)]
	if len(fs) != 2 || fs[1].src.path != young.path {
		t.Errorf("files %+v", fs)
	}
}

// A generation that is gone from where it was listed is not taken up with nothing
// that it could be known by.
func TestGenerationsGoneSinceTheListing(t *testing.T) {
	dir := t.TempDir()
	origin, path, now := filepath.Join(dir, "a.log"), filepath.Join(dir, "a.log.1"), time.Now()
	if err := os.WriteFile(path, []byte("one\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ss, _ := siblingsIn(dir)
	m, err := newMatcher([]Input{{Paths: []string{filepath.Join(dir, "*.log")}}})
	if err != nil {
		t.Fatal(err)
	}
	f := &finder{matcher: m}
	l := missing{traces: traces{origin: origin, path: origin, key: fileKey{1, 1}}, seen: now, found: now}
	met, _, again := f.generations(l, nil, map[fileKey]bool{}, map[fileKey]bool{}, ss)
	if len(met) != 1 || met[0].head.Len == 0 || again {
		t.Fatalf("met %+v, again %v", met, again)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if met, _, again = f.generations(l, nil, map[fileKey]bool{}, map[fileKey]bool{}, ss); len(met) > 0 || !again {
		t.Errorf("met %+v, again %v", met, again)
	}
	if _, there := headOf(&ss[0]); there {
		t.Error("it is said to be there")
	}
}

// A file whose path leads to another, and that is looked for, has no turn before
// there is an answer: each would come to the same, at once.
func TestNoTurnsForAFileThatStrayed(t *testing.T) {
	const dir = "/logs"
	for _, verdict := range []outcome{{verdict: swapped}, {err: fs.ErrNotExist}} {
		tl := idle(t, dir)
		f := tl.register(dir+"/a.log", "", dir+"/a.log.1", tl.inputs[0], fileKey{1, 1}, 8, time.Now())
		f.busy = true
		tl.turned(result{job{f: f}, verdict})
		if ready, _ := tl.nextReady(); ready != nil || !f.looking {
			t.Errorf("%+v: has a turn: %v, looked for: %v", verdict, ready != nil, f.looking)
		}
	}
}

// A missing file is found by its content, under an inode that the books have for
// another: that one has lost it.
func TestFoundUnderAnInodeThatWasUsedAgain(t *testing.T) {
	const dir = "/logs"
	tl := idle(t, dir)
	now := time.Now()
	f := tl.register(dir+"/a.log", "", dir+"/a.log.1", tl.inputs[0], fileKey{1, 1}, 8, now)
	other := tl.register(dir+"/b.log", "", dir+"/b.log.1", tl.inputs[0], fileKey{1, 2}, 8, now)
	f.src.head, other.src.head = markOf([]byte("one\n")), markOf([]byte("six\n"))
	tl.answered([]found{{id: f.src.id, place: place{path: dir + "/a.log.2.gz", key: fileKey{1, 2}, packed: true}}})
	if !f.here || f.src.path != dir+"/a.log.2.gz" || tl.byKey[fileKey{1, 2}] != f || !other.looking {
		t.Errorf("here %v at %s, the other looked for %v", f.here, f.src.path, other.looking)
	}
}

// As long as there is no answer about a file, it is known since when.
func TestPatienceEnds(t *testing.T) {
	const dir = "/logs"
	tl := idle(t, dir)
	now := time.Now()
	f := tl.register(dir+"/a.log", "", dir+"/a.log.1", tl.inputs[0], fileKey{1, 1}, 8, now)
	taken := tl.register(dir+"/b.log", "", dir+"/b.log.1", tl.inputs[0], fileKey{1, 2}, 8, now)
	f.src.head, taken.src.head = markOf([]byte("one\n")), markOf([]byte("one\n"))
	f.src.off = 4
	r := []found{{id: f.src.id, place: place{path: dir + "/b.log.1", key: fileKey{1, 2}}}}
	tl.answered(r)
	since := f.undecided
	if since.IsZero() || !tl.undecided[f] {
		t.Fatalf("undecided since %v, asked again %v", since, tl.undecided[f])
	}
	tl.answered(r)
	if f.undecided != since {
		t.Errorf("undecided since %v, then since %v", since, f.undecided)
	}
	f.undecided = now.Add(-2 * unreadableWait)
	tl.answered(r)
	if f.here || tl.undecided[f] || !f.undecided.IsZero() {
		t.Errorf("here %v, asked again %v, undecided since %v", f.here, tl.undecided[f], f.undecided)
	}
}

// A rotated file's inode is met under the name that it had first. As long as its
// content was not compared, it keeps its place in the order.
func TestReturnedKeepsItsPlaceUntilItIsProved(t *testing.T) {
	const dir = "/logs"
	for _, end := range []string{"proved", "replaced", "renamed"} {
		tl := idle(t, dir)
		origin, now := dir+"/a.log", time.Now()
		f := tl.register(origin, "", dir+"/a.log.1", tl.inputs[0], fileKey{1, 1}, 8, now)
		g := tl.register(origin, origin, origin, tl.inputs[0], fileKey{1, 2}, 8, now)
		first := f.found
		tl.unplace(f)
		f.here, f.missed = false, true
		tl.arrive(f, origin, origin, fileKey{1, 1}, now)
		tl.displace(g, now)
		if fs := tl.streams[f.src.stream]; fs[0] != f || fs[1] != g || f.found != first {
			t.Fatalf("it has lost its place already")
		}
		switch end {
		case "proved":
			tl.proved(f)
		case "replaced":
			tl.replace(f, now)
		case "renamed":
			tl.loseName(f, now)
			tl.proved(f)
		}
		want := []*file{f, g}
		if end == "proved" {
			want = []*file{g, f}
		}
		if fs := tl.streams[f.src.stream]; fs[0] != want[0] || fs[1] != want[1] {
			t.Errorf("%s: it has the wrong place", end)
		}
	}
}

// The inode of a missing file is met under its name, by a scan that did not ask
// when the file was made: the next one does, and nothing is decided before.
func TestMissingInodeIsDatedFirst(t *testing.T) {
	dir := t.TempDir()
	tl := idle(t, dir)
	path := filepath.Join(dir, "a.log")
	key := writeFile(t, path, []byte("new\n"))
	f := &finder{matcher: tl.matcher, watch: func(string) bool { return false }, unwatch: func(string) {}, known: map[string]bool{}}
	f.all(nil) // the first scan asks of each file
	if _, told := birth(path); !told {
		t.Skip("the file system does not tell when files were made")
	}
	old := tl.register(path, "", path+".1", tl.inputs[0], key, 8, time.Now().Add(-time.Hour))
	tl.unplace(old)
	old.here, old.missed, old.src.off, tl.byKey[key] = false, true, 8, old
	tl.apply(t.Context(), f.all(nil))
	if old.here || !tl.births[key] || !tl.rescan || len(tl.byID) != 1 {
		t.Fatalf("here %v, asked %v, looked at again %v, %d files", old.here, tl.births[key], tl.rescan, len(tl.byID))
	}
	f.births, tl.births = tl.births, nil
	s := f.all(nil)
	if !s.candidates[0].dated {
		t.Fatal("it was not asked")
	}
	tl.apply(t.Context(), s)
	if old.here || tl.births[key] {
		t.Errorf("here %v, asked again %v", old.here, tl.births[key])
	}
}

// Of two files that seem to have one name the one that was met last has it, and a
// rotated file does not wait for that.
func TestOneFileHasTheName(t *testing.T) {
	const dir = "/logs"
	tl := idle(t, dir)
	origin, now := dir+"/a.log", time.Now()
	f := tl.register(origin, origin, origin, tl.inputs[0], fileKey{1, 1}, 8, now)
	g := tl.register(origin, origin, origin, tl.inputs[0], fileKey{1, 2}, 8, now)
	tl.liveLast(f.src.stream)
	if fs := tl.streams[f.src.stream]; fs[1] != g || tl.live(f) || !tl.live(g) {
		t.Fatalf("the older one has the name")
	}
	late := tl.register(origin, "", dir+"/a.log.1", tl.inputs[0], fileKey{1, 3}, 8, now)
	f.finished = true
	if p := tl.predecessor(late); p != nil {
		t.Errorf("waits for %s", p.src.path)
	}
}

// What has the inode of a file that was glimpsed, and is shorter than what is
// known of it, is another file.
func TestShorterThanItsGlimpse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.log")
	s := &source{path: path, key: writeFile(t, path, []byte("new\n")), head: markOf([]byte("one\ntwo\nthree\n"))}
	o := (&reader{}).glimpse(s)
	if o.verdict != replaced || o.err != nil {
		t.Errorf("verdict %v, error %v; want that it is another", o.verdict, o.err)
	}
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
}
