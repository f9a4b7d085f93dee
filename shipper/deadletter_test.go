package shipper

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// newLetters is a dead letter file for tests.
func newLetters(path string) *deadLetters {
	return newDeadLetters(Options{DeadLetterPath: path})
}

// aLetter is a letter that a reader takes for one.
func aLetter(path string) DeadLetter {
	return DeadLetter{Time: time.Unix(1, 0).UTC(), Path: path, Source: "0000000000000abc", Bytes: []byte(path)}
}

func TestDeadLetterFileIsRepairedWhenOpened(t *testing.T) {
	old := aLetter("old")
	whole, err := old.line()
	if err != nil {
		t.Fatal(err)
	}
	line := string(whole)
	long := `{"bytes":"` + strings.Repeat("A", 200_000) // more than is looked at first
	for _, tc := range []struct {
		name, before, kept string
	}{
		{"new", "", ""},
		{"whole", line + line, line + line},
		{"torn", line + line[:len(line)/2], line},
		{"torn and long", line + long, line},
		{"torn and alone", line[:10], ""},
		{"torn to one byte", line + "{", line},
		{"without the newline only", line + strings.TrimSuffix(line, "\n"), line + line},
		{"without the newline and alone", strings.TrimSuffix(line, "\n"), line},
	} {
		t.Run(tc.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "letters.jsonl")
			if err := os.WriteFile(path, []byte(tc.before), 0o600); err != nil {
				t.Fatal(err)
			}
			l := newLetters(path)
			if err := l.add(aLetter("new")); err != nil {
				t.Fatal(err)
			}
			got, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.HasPrefix(got, []byte(tc.kept)) {
				t.Errorf("the file begins with %.80q, want %.80q", got, tc.kept)
			}
			var d DeadLetter
			if err := json.Unmarshal(got[len(tc.kept):], &d); err != nil || d.Path != "new" {
				t.Errorf("after what was kept there is %.80q (%v)", got[len(tc.kept):], err)
			}
			if s, want := l.state(), int64(strings.Count(tc.kept, "\n")+1); s.Count != want || s.Bytes != int64(len(got)) || s.Written != 1 {
				t.Errorf("state %+v, want %d letters of %d bytes", s, want, len(got))
			}
		})
	}
}

func TestDeadLetterFileIsForItsOwnerOnly(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has other rights")
	}
	path := filepath.Join(t.TempDir(), "dead", "letters.jsonl")
	for _, before := range []os.FileMode{0, 0o644} {
		if before != 0 {
			if err := os.Chmod(path, before); err != nil {
				t.Fatal(err)
			}
		}
		if err := newLetters(path).add(aLetter("a")); err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]os.FileMode{path: 0o600, filepath.Dir(path): 0o700, lockPath(path): 0o600} {
			info, err := os.Stat(name)
			if err != nil {
				t.Fatal(err)
			}
			if got := info.Mode().Perm(); got != want {
				t.Errorf("%s has mode %o, want %o", name, got, want)
			}
		}
	}
}

// A full disk at any operation: the letter is not in the file in part, the
// error says what to do, and the next try works.
func TestDeadLetterOnAFullDisk(t *testing.T) {
	for failAt := 1; ; failAt++ {
		path := filepath.Join(t.TempDir(), "letters.jsonl")
		fault := &faultLetterFS{fault: errFull, half: true}
		l := newLetters(path)
		l.fs = fault
		if err := l.add(aLetter("one")); err != nil {
			t.Fatal(err)
		}
		if undone := fault.lasting(); len(undone) > 0 {
			t.Errorf("a power loss could undo %q", undone)
		}
		before, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		fault.calls, fault.failAt = 0, failAt
		err = l.add(aLetter("two"))
		if fault.calls < failAt {
			if failAt < 8 {
				t.Errorf("only %d operations were tried", failAt)
			}
			return
		}
		fault.failAt = 0
		if err != nil {
			if full := (*letterError)(nil); !errors.As(err, &full) || !errors.Is(err, errFull) ||
				!strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "make room") {
				t.Errorf("operation %d: error %v", failAt, err)
			}
			after, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(before, after) {
				t.Errorf("operation %d: the file was %q and is %q", failAt, before, after)
			}
			if err := l.add(aLetter("two")); err != nil {
				t.Errorf("operation %d: the next try: %v", failAt, err)
			}
		}
		if got := letters(t, path); len(got) != 2 || got[1].Path != "two" {
			t.Errorf("operation %d: letters %+v", failAt, got)
		}
		if s := l.state(); s.Count != 2 || s.Written != 2 {
			t.Errorf("operation %d: state %+v", failAt, s)
		}
	}
}

func TestDeadLetterQuota(t *testing.T) {
	path := filepath.Join(t.TempDir(), "letters.jsonl")
	one := aLetter("/a")
	line, err := one.line()
	if err != nil {
		t.Fatal(err)
	}
	l := newDeadLetters(Options{DeadLetterPath: path, DeadLetterMaxBytes: int64(3*len(line) + 1)})
	if err := os.WriteFile(asidePath(path), line, 0o600); err != nil { // what a replay has set aside counts
		t.Fatal(err)
	}
	for i := range 2 {
		if err := l.add(one); err != nil {
			t.Fatalf("letter %d: %v", i, err)
		}
	}
	err = l.add(one)
	if !errors.Is(err, errLetterQuota) || !strings.Contains(err.Error(), "max_file_bytes") || !strings.Contains(err.Error(), "shiplog replay") {
		t.Errorf("at the limit: %v", err)
	}
	if got := letters(t, path); len(got) != 2 {
		t.Errorf("%d letters in the file", len(got))
	}
	if err := os.Remove(asidePath(path)); err != nil {
		t.Fatal(err)
	}
	if err := l.add(one); err != nil {
		t.Errorf("when there is room again: %v", err)
	}
}

// The count follows what others do to the file.
func TestDeadLettersOfEarlierRunsAreCounted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "letters.jsonl")
	first := newDeadLetters(Options{DeadLetterPath: path, DeadLetterTopic: "dead"})
	for range 5 {
		if err := first.add(aLetter("a")); err != nil {
			t.Fatal(err)
		}
	}
	l := newLetters(path)
	check := func(what string, count, due int64) {
		t.Helper()
		if err := l.look(); err != nil {
			t.Fatal(err)
		}
		if s := l.state(); s.Count != count || s.Due != due || s.Written != 0 {
			t.Errorf("%s: %+v, want %d letters, %d due", what, s, count, due)
		}
	}
	check("at the start", 5, 5)
	if err := os.Rename(path, asidePath(path)); err != nil {
		t.Fatal(err)
	}
	check("set aside", 5, 0)
	if err := newLetters(path).add(aLetter("b")); err != nil {
		t.Fatal(err)
	}
	check("one more", 6, 0)
	for _, name := range []string{path, asidePath(path)} {
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	check("replayed", 0, 0)
}

// While another process has the lock nothing is written, and nobody waits for long.
func TestDeadLetterFileInUse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "letters.jsonl")
	lock, err := lockFile(lockPath(path))
	if err != nil {
		t.Fatal(err)
	}
	l := newLetters(path)
	if err := l.add(aLetter("a")); !errors.Is(err, errLetterBusy) || !strings.Contains(err.Error(), "shiplog replay") {
		t.Errorf("add: %v", err)
	}
	if err := l.look(); err != nil {
		t.Errorf("look: %v", err)
	}
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	if err := l.add(aLetter("a")); err != nil {
		t.Errorf("add: %v", err)
	}
}

func TestDueLettersAreMarkedInPlace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "letters.jsonl")
	l := newDeadLetters(Options{DeadLetterPath: path, DeadLetterTopic: "dead"})
	for i := range 10 {
		if err := l.add(aLetter(fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	from := int64(0)
	due, in, next, err := l.due(nil, from, 500)
	for len(due) > 0 && err == nil {
		var at []int64
		for _, d := range due {
			got = append(got, d.Path)
			if d.Path != "3" { // one that does not arrive
				at = append(at, d.at)
			}
		}
		if err := l.arrived(in, at); err != nil {
			t.Fatal(err)
		}
		due, in, next, err = l.due(in, next, 500)
	}
	if err != nil || strings.Join(got, "") != "0123456789" {
		t.Errorf("due were %q (%v)", got, err)
	}
	if due, _, _, err := l.due(nil, 0, 500); err != nil || len(due) != 1 || due[0].Path != "3" {
		t.Errorf("left are %+v (%v)", due, err)
	}
	after, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(before) != len(after) {
		t.Errorf("the file had %d bytes and has %d", len(before), len(after))
	}
	for i, d := range letters(t, path) {
		if want := map[bool]int{true: 1}[i == 3]; d.DueTopic != want || d.Path != fmt.Sprint(i) {
			t.Errorf("letter %d: %+v", i, d)
		}
	}
	if s := l.state(); s.Due != 1 || s.Count != 10 {
		t.Errorf("state %+v", s)
	}
}

// A replay may move the file, and another letter come to the same place, while a
// letter is on its way to the topic: that one must not be marked.
func TestOnlyTheLetterThatArrivedIsMarked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "letters.jsonl")
	l := newDeadLetters(Options{DeadLetterPath: path, DeadLetterTopic: "dead"})
	if err := l.add(aLetter("one")); err != nil {
		t.Fatal(err)
	}
	due, in, _, err := l.due(nil, 0, 500)
	if err != nil || len(due) != 1 {
		t.Fatal(due, err)
	}
	if err := os.Rename(path, asidePath(path)); err != nil {
		t.Fatal(err)
	}
	if err := l.add(aLetter("two")); err != nil {
		t.Fatal(err)
	}
	if err := l.arrived(in, []int64{due[0].at}); err != nil {
		t.Fatal(err)
	}
	if got := letters(t, path); len(got) != 1 || got[0].DueTopic != 1 {
		t.Errorf("letters %+v", got)
	}
}

// FuzzDeadLetters reads any bytes as a dead letter file: it must not fail, must
// give each whole line once, and count as many.
func FuzzDeadLetters(f *testing.F) {
	d := aLetter("a")
	d.DueTopic = 1
	line, err := d.line()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(line)
	f.Add(append(line, line[:40]...))
	f.Add([]byte("\n\nnull\n{}\n[1]\n{\"src\":1}\n"))
	f.Add([]byte(`{"src":"0000000000000abc","off":-1}` + "\n"))
	f.Add([]byte(`{"due_topic":1,"path_bytes":"/w==","src":"ffffffffffffffff","stream":"x"}` + "\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var whole []byte
		lines := int64(0)
		err := eachLetter(bytes.NewReader(data), int64(len(data)), func(l *Letter) error {
			if l.At != int64(len(whole)) {
				t.Fatalf("line at %d, want %d", l.At, len(whole))
			}
			whole = append(append(whole, l.Raw...), '\n')
			lines++
			if l.Err == nil {
				l.SourceID()
				l.StreamID()
				again, err := l.line()
				if err != nil {
					t.Fatalf("letter %q cannot be written: %v", l.Raw, err)
				}
				if _, err := parseLetter(again[:len(again)-1]); err != nil {
					t.Fatalf("letter %q was written as %q: %v", l.Raw, again, err)
				}
			}
			return nil
		})
		if err != nil || !bytes.HasPrefix(data, whole) || bytes.IndexByte(data[len(whole):], '\n') >= 0 {
			t.Fatalf("read %q of %q (%v)", whole, data, err)
		}
		counted := int64(0)
		if err := eachStart(bytes.NewReader(data), int64(len(data)), func(int64, bool) { counted++ }); err != nil || counted != lines {
			t.Fatalf("counted %d lines of %d (%v)", counted, lines, err)
		}
	})
}
