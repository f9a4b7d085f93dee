package tailer

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestReadsWhatIsThereAndWhatComes(t *testing.T) {
	r := newRig(t)
	r.write("a.log", "one\ntwo\r\n\n  \nthree")
	r.start()
	r.want("one", "two")
	r.append("a.log", "\nfour\n")
	r.want("one", "two", "three", "four")
	r.mu.Lock()
	l := r.lines[2]
	r.mu.Unlock()
	if l.start != 13 || l.end != 19 {
		t.Errorf("three is at [%d,%d), want [13,19)", l.start, l.end)
	}
}

func TestSubfoldersExcludesAndTwoNames(t *testing.T) {
	r := newRig(t, "**/*.log")
	r.o.Inputs[0].Exclude = []string{"**/debug-*.log"}
	r.write("x/y/a.log", "a1\n")
	r.write("x/debug-a.log", "no\n")
	r.must(os.Symlink(r.path("x/y/a.log"), r.path("link.log")))
	r.must(os.Link(r.path("x/y/a.log"), r.path("x/hard.log")))
	r.must(os.Symlink(r.dir, r.path("x/loop")))
	r.start()
	r.want("a1")
	r.write("new/deep/b.log", "b1\n")
	r.want("a1", "b1")
	r.append("x/y/a.log", "a2\n")
	r.want("a1", "b1", "a2")
}

func TestStartAtEnd(t *testing.T) {
	r := newRig(t)
	r.o.Inputs[0].FromEnd = true
	r.write("old.log", "old\nbegun ")
	r.start()
	r.sawEvent(Found)
	r.append("old.log", "line\n")
	r.want("begun line")
	r.write("new.log", "first\n")
	r.want("begun line", "first")
	r.rename("old.log", "old.log.1")
	r.write("old.log", "second\n")
	r.want("begun line", "first", "second")
}

func TestRenameRotationWithHeldDescriptor(t *testing.T) {
	r := newRig(t)
	f, err := os.OpenFile(r.path("a.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	r.must(err)
	defer f.Close()
	fmt.Fprint(f, "one\n")
	r.start()
	r.want("one")
	r.rename("a.log", "a.log.1")
	fmt.Fprint(f, "two\n") // the writer has not noticed
	r.write("a.log", "three\n")
	r.want("one", "two", "three")
	fmt.Fprint(f, "late\n")
	r.want("one", "two", "three", "late")
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.lines[0].file != r.lines[3].file || r.lines[2].file == r.lines[0].file {
		t.Errorf("the late line belongs to the rotated file: %+v", r.lines)
	}
}

func TestRotationsWhileDown(t *testing.T) {
	r := newRig(t)
	r.write("a.log", "one\n")
	r.start()
	r.want("one")
	r.stop()
	r.append("a.log", "two\n")
	r.rename("a.log", "a.log.1")
	r.write("a.log", "three\n")
	r.rename("a.log.1", "a.log.2")
	r.rename("a.log", "a.log.1")
	r.write("a.log", "four\n")
	r.start()
	r.want("one", "two", "three", "four")
	r.stop()
	r.start()
	r.append("a.log", "five\n")
	r.want("one", "two", "three", "four", "five")
}

func TestRotatedTwiceBetweenTwoLooks(t *testing.T) {
	r := newRig(t)
	r.o.NoEvents = true
	r.o.RescanInterval = 300 * time.Millisecond
	r.write("a.log", "one\n")
	r.start()
	r.want("one")
	for i, text := range []string{"two\n", "three\n", "four\n"} {
		r.rename("a.log", fmt.Sprintf("a.log.%d", 100+i))
		r.write("a.log", text)
	}
	r.want("one", "two", "three", "four")
}

func TestTruncation(t *testing.T) {
	for name, again := range map[string]string{"shorter": "x\n", "longer than before": "something quite different\nand more\n", "same length": "eno\nowt\n"} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.write("a.log", "one\ntwo\n")
			r.start()
			r.want("one", "two")
			f, err := os.OpenFile(r.path("a.log"), os.O_WRONLY|os.O_TRUNC, 0)
			r.must(err)
			_, err = f.WriteString(again)
			r.must(err)
			r.must(f.Close())
			r.must(os.Chtimes(r.path("a.log"), time.Time{}, time.Now().Add(time.Second)))
			r.want(append([]string{"one", "two"}, strings.Split(strings.TrimSpace(again), "\n")...)...)
			r.mu.Lock()
			defer r.mu.Unlock()
			if r.lines[0].file == r.lines[2].file {
				t.Error("new content has the old file's id")
			}
		})
	}
}

func TestTruncatedWhileDown(t *testing.T) {
	r := newRig(t)
	r.write("a.log", "one\ntwo\n")
	r.start()
	r.want("one", "two")
	r.stop()
	f, err := os.OpenFile(r.path("a.log"), os.O_WRONLY|os.O_TRUNC, 0)
	r.must(err)
	_, err = f.WriteString("three\nfour\nfive\n")
	r.must(err)
	r.must(f.Close())
	r.start()
	r.want("one", "two", "three", "four", "five")
}

func TestCopyTruncateReadsTheRestFromTheCopy(t *testing.T) {
	r := newRig(t)
	long := strings.Repeat("x", 300)
	r.write("a.log", long+"\n")
	r.start()
	r.want(long)
	r.stop()
	r.append("a.log", "unread\n")
	data, err := os.ReadFile(r.path("a.log"))
	r.must(err)
	r.write("a.log.1", string(data))
	r.must(os.Truncate(r.path("a.log"), 0))
	r.append("a.log", "new\n")
	r.start()
	r.want(long, "unread", "new")
}

func TestDeletedWhileOpenIsReadToItsEnd(t *testing.T) {
	r := newRig(t)
	f, err := os.Create(r.path("a.log"))
	r.must(err)
	defer f.Close()
	fmt.Fprint(f, "one\n")
	r.start()
	r.want("one")
	r.remove("a.log")
	fmt.Fprint(f, "two\n")
	r.want("one", "two")
	r.write("a.log", "three\n")
	r.want("one", "two", "three")
}

func TestPartialLastLine(t *testing.T) {
	t.Run("of a rotated file", func(t *testing.T) {
		t.Parallel()
		r := newRig(t)
		r.write("a.log", "one\ntw")
		r.start()
		r.want("one")
		r.rename("a.log", "a.log.1")
		r.write("a.log", "three\n")
		r.want("one", "tw", "three")
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.lines[1].flags != Partial {
			t.Errorf("flags %v, want Partial", r.lines[1].flags)
		}
	})
	t.Run("after an idle time", func(t *testing.T) {
		t.Parallel()
		r := newRig(t)
		r.o.Inputs[0].FlushPartialAfter = 150 * time.Millisecond
		r.write("a.log", "one\ntw")
		r.start()
		r.want("one", "tw")
		r.append("a.log", "o\n")
		r.want("one", "tw", "o")
	})
}

func TestOnce(t *testing.T) {
	r := newRig(t)
	r.o.Once = true
	r.write("a.log", "one\ntwo")
	r.write("b.log", "three\n")
	r.write("empty.log", "")
	r.start().finish()
	if n := len(r.texts()); n != 3 {
		t.Fatalf("%d lines, want 3: %q", n, r.texts())
	}
	r.start().finish()
	if n := len(r.texts()); n != 3 {
		t.Fatalf("a second run repeats: %q", r.texts())
	}
	r.append("b.log", "four\n")
	r.start().finish()
	if got := r.texts(); len(got) != 4 || got[3] != "four" {
		t.Fatalf("third run: %q", got)
	}
}

func TestLongLines(t *testing.T) {
	big := strings.Repeat("0123456789", 60_000) // 600 kB: over a block, under the limit
	huge := strings.Repeat("abcdefghij", 300_000)
	for name, text := range map[string]string{"at once": "", "without newline first": "split"} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			all := "one\n" + big + "\n" + huge + "\ntwo\n"
			if text == "" {
				r.write("a.log", all)
				r.start()
			} else {
				r.write("a.log", all[:2_000_000])
				r.start()
				r.want("one", big)
				r.append("a.log", all[2_000_000:])
			}
			limit := 1 << 20
			r.want("one", big, huge[:limit], "two")
			r.mu.Lock()
			defer r.mu.Unlock()
			l := r.lines[2]
			if l.flags != Truncated || l.end-l.start != int64(len(huge))+1 {
				t.Errorf("flags %v, range [%d,%d)", l.flags, l.start, l.end)
			}
		})
	}
}

func TestNULs(t *testing.T) {
	r := newRig(t)
	zeros := string(make([]byte, 8192))
	r.write("a.log", "one\n"+zeros+"two\nth"+zeros+"ree\na\x00b\n")
	r.start()
	r.want("one", "two", "three", "a\x00b")

	// A writer that allocates before it writes.
	f, err := os.Create(r.path("b.log"))
	r.must(err)
	defer f.Close()
	r.must(f.Truncate(3 << 20))
	at := int64(0)
	for i, text := range []string{"b1\n", "b2", "\nb3\n"} {
		_, err := f.WriteAt([]byte(text), at)
		r.must(err)
		at += int64(len(text))
		r.wait(text, func() bool { return len(r.texts()) >= 4+[]int{1, 1, 3}[i] })
	}
	r.want("one", "two", "three", "a\x00b", "b1", "b2", "b3")
}

func TestUnreadableFilesHoldUpNoOther(t *testing.T) {
	if os.Getuid() == 0 && runtime.GOOS != "windows" {
		t.Log("as root: permissions bind nobody; a folder and a dangling link stand in")
	}
	r := newRig(t)
	r.o.Inputs[0].Paths = append(r.o.Inputs[0].Paths, r.path("folder"))
	log := new(strings.Builder)
	r.o.Log = slog.New(slog.NewTextHandler(log, nil)) // is read when the tailer has ended
	r.must(os.Mkdir(r.path("folder"), 0o755))
	r.must(os.Symlink(r.path("nowhere"), r.path("dangling.log")))
	r.write("a.log", "one\n")
	r.start()
	r.want("one")
	r.wait("the folder to be reported", func() bool { return strings.Contains(r.tailer.Unreadable()[r.path("folder")], "directory") })
	r.write("nowhere", "two\n")
	r.want("one", "two")
	r.must(os.Remove(r.path("folder")))
	r.wait("the folder to be gone", func() bool { return len(r.tailer.Unreadable()) == 0 })
	r.stop()
	if said := log.String(); strings.Count(said, "[file-unreadable]\" path="+r.path("folder")) != 1 || strings.Count(said, "can be looked at again, or is gone\" path="+r.path("folder")) != 1 {
		t.Errorf("the log says:\n%s", said)
	}
}

func TestManyFilesFewDescriptors(t *testing.T) {
	r := newRig(t)
	r.o.MaxOpenFiles = 8
	var want int
	for round := range 3 {
		for i := range 60 {
			r.append(fmt.Sprintf("f%d.log", i), fmt.Sprintf("%d %d\n", i, round))
			want++
		}
		if round == 0 {
			r.start()
		}
		r.wait(fmt.Sprint(want, " lines"), func() bool { return len(r.texts()) == want })
	}
	open := 0
	for _, f := range r.tailer.Files() {
		if f.Open {
			open++
		}
	}
	if open > 8+r.tailer.o.Workers {
		t.Errorf("%d files open, want at most 8", open)
	}
}

func TestInodeReuse(t *testing.T) {
	r := newRig(t)
	r.write("a.log", "one\ntwo\n")
	r.start()
	r.want("one", "two")
	r.stop()
	r.remove("a.log")
	r.write("a.log", "not the same at all\n") // most file systems give the same inode
	r.start()
	r.want("one", "two", "not the same at all")
}

func TestNamedPipe(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no named pipes in folders")
	}
	r := newRig(t)
	r.must(makeFIFO(r.path("p.log")))
	r.start()
	for i := range 2 { // a second writer comes after the first has left
		w, err := os.OpenFile(r.path("p.log"), os.O_WRONLY, 0)
		r.must(err)
		fmt.Fprintf(w, "line %d\nmore %d\n", i, i)
		r.must(w.Close())
	}
	r.want("line 0", "more 0", "line 1", "more 1")
}

func TestBackPressureStopsReading(t *testing.T) {
	r := newRig(t)
	r.gate = make(chan struct{})
	r.o.BlockBytes = 4096
	r.write("a.log", string(bytes.Repeat([]byte("0123456789\n"), 5000)))
	r.start()
	r.wait("the file to be open", func() bool { fs := r.tailer.Files(); return len(fs) == 1 })
	if n := len(r.texts()); n != 0 {
		t.Fatalf("%d lines came through a closed gate", n)
	}
	close(r.gate)
	r.wait("all lines", func() bool { return len(r.texts()) == 5000 })
}

func TestFileMovedToAnotherFolder(t *testing.T) {
	r := newRig(t, "*/*.log")
	r.write("in/a.log", "one\n")
	r.must(os.Mkdir(r.path("done"), 0o755))
	r.start()
	r.want("one")
	r.rename("in/a.log", "done/a.log")
	r.append("done/a.log", "two\n")
	r.want("one", "two")
	if runtime.GOOS == "linux" {
		r.remove("in")
		r.write("in/a.log", "three\n")
		r.want("one", "two", "three")
	}
}

func TestPatternOfAnotherFolderIsNotTouched(t *testing.T) {
	m, err := newMatcher([]Input{{Name: "x", Paths: []string{"/var/log/**/*.log"}, Exclude: []string{"**/no/*"}}})
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{"/var/log/a.log": true, "/var/log/b/c/a.log": true, "/var/log/no/a.log": false, "/var/a.log": false, "/var/log/a.txt": false} {
		if _, got := m.input(filepath.FromSlash(path)); got != want && runtime.GOOS != "windows" {
			t.Errorf("%s: %v, want %v", path, got, want)
		}
	}
}

func TestRotatedName(t *testing.T) {
	for _, c := range []struct {
		base, name string
		want       bool
	}{
		{"app.log", "app.log.1", true}, {"app.log", "app.log-20261124", true}, {"app.log", "app.log.2026-11-24", true},
		{"app.log", "app-2026-11-24.log", true}, {"app.log", "app.1.log", true}, {"app.log", "app_20261124.log", true},
		{"app.log", "app.log.gz", true}, {"app.log", "app.log.1.gz", true}, {"app.log", "app-2026-11-24.log.zst", true}, {"app.log", "app.log.bz2", true},
		{"app.log", "app.log", false}, {"app.log", "app.log.1.tmp", false}, {"app.log.gz", "app.log.gz", false}, {"app.log", "other.gz", false}, {"app.log", "app.log.err", false},
		{"app.log", "app-debug.log", false}, {"app.log", "apple.log", false}, {"app.log", "other.log.1", false}, {"app.log", "app.log1", false},
		{"app", "app.1", true}, {"app", "app2", false},
	} {
		if got := rotatedName(c.base, c.name); got != c.want {
			t.Errorf("rotatedName(%q, %q) = %v", c.base, c.name, got)
		}
	}
}

// TestRecoveredFileKeepsItsPartialLine has a file that could not be read for a
// while: its last line still waits for its newline.
func TestRecoveredFileKeepsItsPartialLine(t *testing.T) {
	for after, final := range map[time.Duration]bool{0: false, time.Second: true} {
		tl, err := New(Options{Inputs: []Input{{Name: "x", Paths: []string{"/x"}, FlushPartialAfter: after}}})
		if err != nil {
			t.Fatal(err)
		}
		now := time.Now()
		f := tl.register("/x", "/x", "/x", tl.inputs[0], fileKey{1, 2}, 10, now)
		tl.watched[f] = true
		f.src.off, f.size = 4, 10
		tl.tend(now.Add(time.Minute))
		if f.final != final || f.queued != final {
			t.Errorf("flush_partial_after %v: final %v, queued %v", after, f.final, f.queued)
		}
	}
}

// TestNamePassedOn has rotated names that the pattern matches as well: the
// oldest file is removed, and its name goes to the next.
func TestNamePassedOn(t *testing.T) {
	r := newRig(t)
	old, err := os.Create(r.path("app-1.log"))
	r.must(err)
	defer old.Close()
	fmt.Fprint(old, "oldest\n")
	r.start()
	r.want("oldest")
	r.write("app.log", "older\n")
	r.want("oldest", "older")
	r.stop() // so that one look sees all of it
	r.start()
	r.wait("both files", func() bool { return len(r.tailer.Files()) == 2 })
	r.remove("app-1.log")
	r.rename("app.log", "app-1.log")
	r.write("app.log", "new\n")
	r.want("oldest", "older", "new")
	r.wait("no file of the removed one's name", func() bool {
		for _, f := range r.tailer.Files() {
			if f.State == "idle" && f.ID == r.firstFile() {
				return false
			}
		}
		return true
	})
}

// TestOneBlockOfAStreamAtATime has late lines come to a rotated file while its
// successor is written to.
func TestOneBlockOfAStreamAtATime(t *testing.T) {
	r := newRig(t)
	r.write("a.log", "one\n")
	r.start()
	r.want("one")
	r.rename("a.log", "a.log.1")
	r.write("a.log", "two\n")
	r.want("one", "two")
	const n = 200
	for i := range n {
		r.append("a.log.1", fmt.Sprintf("late %d\n", i))
		r.append("a.log", fmt.Sprintf("live %d\n", i))
	}
	r.wait("all lines", func() bool { return len(r.texts()) == 2+2*n })
}

// TestVanishedFileLeavesItsInodeToOthers has a file given up whose inode and name
// are another's by then.
func TestVanishedFileLeavesItsInodeToOthers(t *testing.T) {
	tl, err := New(Options{Inputs: []Input{{Name: "x", Paths: []string{"/x"}}}})
	if err != nil {
		t.Fatal(err)
	}
	now, key := time.Now(), fileKey{1, 2}
	gone := tl.register("/x", "/x", "/x", tl.inputs[0], key, 10, now)
	tl.vanish(gone, now)
	other := tl.register("/x", "/x", "/x", tl.inputs[0], key, 10, now)
	tl.missNames(scan{}, map[string]fileKey{"/x": key}, now)
	if tl.byKey[key] != other || tl.byName["/x"] != other || gone.looking {
		t.Errorf("the inode belongs to %v, the name to %v; want %v", tl.byKey[key].src.id, tl.byName["/x"].src.id, other.src.id)
	}
	tl.loseName(gone, now)
	if tl.byKey[key] != other {
		t.Error("a file that is nowhere took the inode from the one that is there")
	}
}
