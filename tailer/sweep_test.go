package tailer

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
	"unsafe"
)

// sweeping is a finder that has listed a folder with some files, which was left
// alone for a while.
func sweeping(t *testing.T, files int) (f *finder, dir string) {
	t.Helper()
	dir = t.TempDir()
	if !eventsAreTold(dir) {
		t.Skip("on this system each scan lists each folder")
	}
	for k := range files {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d.log", k)), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	m, err := newMatcher([]Input{{Paths: []string{filepath.Join(dir, "*.log")}}})
	if err != nil {
		t.Fatal(err)
	}
	f = &finder{matcher: m, watch: func(string) bool { return true }, unwatch: func(string) {}, known: map[string]bool{}}
	leaveAlone(t, dir)
	if s := f.all(nil); len(s.candidates) != files || !s.whole() {
		t.Fatalf("the first scan met %d of %d files", len(s.candidates), files)
	}
	return f, dir
}

// leaveAlone makes it look as if nothing had happened in dir for long.
func leaveAlone(t *testing.T, dir string) {
	t.Helper()
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(dir, old, old); err != nil {
		t.Fatal(err)
	}
}

// TestSweepListsOnlyWhatChanged: a sweep lists a folder if a name in it may have
// changed, and else looks at a bounded number of files.
func TestSweepListsOnlyWhatChanged(t *testing.T) {
	const files = 3*roundFiles + 7
	f, dir := sweeping(t, files)
	met := map[string]int{}
	recent := known{filepath.Join(dir, "5.log"), 0}
	for range 4 {
		s := f.all(&sweep{recent: []known{recent}})
		if s.listed != 0 || !s.unlisted[dir] || len(s.candidates) > roundFiles+1 {
			t.Fatalf("a sweep listed %d folders and met %d files", s.listed, len(s.candidates))
		}
		for _, c := range s.candidates {
			met[c.name]++
		}
	}
	if len(met) != files || met[recent.name] < 4 {
		t.Errorf("four sweeps met %d of %d files, and %d times the one that grew", len(met), files, met[recent.name])
	}
	for _, step := range []struct {
		what   string
		change func() error
		files  int
	}{
		{"a file was made", func() error { return os.WriteFile(filepath.Join(dir, "new.log"), nil, 0o600) }, files + 1},
		{"a file was renamed", func() error { return os.Rename(filepath.Join(dir, "new.log"), filepath.Join(dir, "newer.log")) }, files + 1},
		{"a file was removed", func() error { return os.Remove(filepath.Join(dir, "newer.log")) }, files},
	} {
		if err := step.change(); err != nil {
			t.Fatal(err)
		}
		for range 2 { // as long as the folder has just changed its time says nothing
			if s := f.all(&sweep{}); s.listed != 1 || len(s.candidates) != step.files || !s.whole() {
				t.Errorf("%s: the sweep listed %d folders and met %d files", step.what, s.listed, len(s.candidates))
			}
		}
		leaveAlone(t, dir)
		f.all(&sweep{})
		if s := f.all(&sweep{}); s.listed != 0 {
			t.Errorf("%s long ago, and the folder is still listed", step.what)
		}
	}
	if s := f.all(&sweep{changed: map[string]bool{dir: true}}); s.listed != 1 {
		t.Error("an event told of the folder, and it was not listed")
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if s := f.all(&sweep{}); s.listed == 0 || s.unlisted[dir] {
		t.Error("the folder is gone, and nobody was told")
	}
}

// TestSweepListsWhatEventsMayNotTell: links lead elsewhere, and a folder that
// cannot be watched, or has two names, tells nothing for certain.
func TestSweepListsWhatEventsMayNotTell(t *testing.T) {
	listed := func(t *testing.T, f *finder, dir string) {
		t.Helper()
		leaveAlone(t, dir)
		f.all(&sweep{})
		if s := f.all(&sweep{}); s.unlisted[dir] {
			t.Error("the folder was not listed")
		}
	}
	t.Run("a link", func(t *testing.T) {
		f, dir := sweeping(t, 1)
		if err := os.Symlink(filepath.Join(dir, "0.log"), filepath.Join(dir, "link.log")); err != nil {
			t.Fatal(err)
		}
		listed(t, f, dir)
	})
	t.Run("no watch", func(t *testing.T) {
		f, dir := sweeping(t, 1)
		f.watch = func(string) bool { return false }
		listed(t, f, dir)
	})
	t.Run("two names", func(t *testing.T) {
		f, dir := sweeping(t, 1)
		other := filepath.Join(t.TempDir(), "other")
		if err := os.Symlink(dir, other); err != nil {
			t.Fatal(err)
		}
		m, err := newMatcher([]Input{{Paths: []string{filepath.Join(dir, "*.log"), filepath.Join(other, "*.log")}}})
		if err != nil {
			t.Fatal(err)
		}
		f.matcher = m
		f.all(nil)
		listed(t, f, dir)
		listed(t, f, other)
	})
}

// TestGrowthWithoutAnEvent: what a sweep meets is read, though no event told of
// it and the folder was not listed. A writer that has the file by a name in
// another folder makes no events in this one.
func TestGrowthWithoutAnEvent(t *testing.T) {
	r := newRig(t)
	if !eventsAreTold(r.dir) {
		t.Skip("on this system each scan lists each folder")
	}
	r.write("a.log", "one\n")
	other := filepath.Join(t.TempDir(), "a")
	r.must(os.Link(r.path("a.log"), other))
	leaveAlone(t, r.dir)
	r.start()
	r.want("one")
	f, err := os.OpenFile(other, os.O_APPEND|os.O_WRONLY, 0)
	r.must(err)
	_, err = f.WriteString("two\n")
	r.must(err)
	r.must(f.Close())
	r.want("one", "two")
}

// TestManyOpenEntries: the last entry of a file is handed over in its time, though
// the file is closed meanwhile because too many are open.
func TestManyOpenEntries(t *testing.T) {
	r := joining(t, NewAutoJoiner(begins), 50*time.Millisecond)
	r.o.MaxOpenFiles = 1
	const files = 300
	for k := range files {
		r.write(fmt.Sprintf("%d.log", k), fmt.Sprintf("2026-11-23 09:00:00 %d\n", k))
	}
	r.start()
	r.wait("the last entry of each file", func() bool { return len(r.texts()) == files })
}

// TestWhatIsNewGoesFirst: files that did not grow while nobody looked have their
// turns after the others, and have them, however many turns others want.
func TestWhatIsNewGoesFirst(t *testing.T) {
	tl, err := New(Options{Inputs: []Input{{Paths: []string{"/x/*.log"}}}})
	if err != nil {
		t.Fatal(err)
	}
	turn := func() *file {
		f, _ := tl.nextReady()
		if f == nil {
			t.Fatal("no file has its turn")
		}
		tl.started(job{f: f})
		f.busy = false
		delete(tl.reading, f.src.stream)
		return f
	}
	var files []*file
	for k := range 20 {
		name := fmt.Sprintf("/x/%d.log", k)
		files = append(files, tl.register(name, name, name, tl.inputs[0], fileKey{1, uint64(k + 1)}, 0, time.Now()))
	}
	tl.turns = 1
	for _, f := range files[:19] {
		tl.wakeLast(f)
	}
	tl.wakeNow(files[19])
	tl.wakeNow(files[7]) // it has grown meanwhile
	if a, b := turn(), turn(); a != files[19] || b != files[7] {
		t.Errorf("%s and %s went first", a.name, b.name)
	}
	had := map[*file]int{}
	for range 19 * lastEvery { // while one file always wants another turn
		tl.wakeNow(files[19])
		had[turn()]++
	}
	for _, f := range files[:19] {
		if f != files[7] && had[f] != 1 {
			t.Errorf("%s had %d turns, want one", f.name, had[f])
		}
	}
}

// TestSweepLooksLessOftenAtWhatGrewLonger: a file that grows is looked at by each
// sweep, one that grew a while ago by ever fewer, and by none after recentFor.
func TestSweepLooksLessOftenAtWhatGrewLonger(t *testing.T) {
	in := &input{}
	began := time.Now()
	f := &file{src: source{in: in, path: "/a.log"}, name: "/a.log", here: true, grown: began}
	tl := &Tailer{o: Options{RescanInterval: time.Second}, inputs: []*input{in}, scanned: true, recent: map[*file]bool{f: true}}
	var looked []int
	for second := range 15 {
		now := began.Add(time.Duration(second) * time.Second)
		if second < 3 {
			tl.note(f, result{outcome: outcome{read: 1}}, now)
		}
		if len(tl.sweepNext(now.Add(100*time.Millisecond)).recent) > 0 {
			looked = append(looked, second)
		}
	}
	if want := []int{0, 1, 2, 3, 5, 9}; !slices.Equal(looked, want) {
		t.Errorf("looked at in the seconds %v, want %v", looked, want)
	}
	if len(tl.recent) > 0 {
		t.Error("it is still one that grew not long ago")
	}
}

// TestSizeOfAKnownFile bounds what each of very many known files takes: on systems
// of 64 bits the allocator gives the next size, 1152 bytes, to what is a byte larger.
func TestSizeOfAKnownFile(t *testing.T) {
	if size := unsafe.Sizeof(file{}); size > 1024 {
		t.Errorf("%d bytes", size)
	}
}
