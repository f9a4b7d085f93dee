package shipper

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// pathsIn returns the paths of the letters in the file, or "?" for what is none.
func pathsIn(t *testing.T, path string) []string {
	t.Helper()
	var all []string
	err := ReadDeadLetters(path, func(l *Letter) error {
		if l.Err != nil {
			all = append(all, "?")
			return nil
		}
		all = append(all, l.Path)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func fillLetters(t *testing.T, path string, names ...string) {
	t.Helper()
	for _, name := range names {
		if err := newLetters(path).add(aLetter(name)); err != nil {
			t.Fatal(err)
		}
	}
}

// sendPaths marks the letters with these paths as sent.
func sendPaths(t *testing.T, r *Replay, paths ...string) (all []string) {
	t.Helper()
	err := r.Each(func(l *Letter) error {
		all = append(all, l.Path)
		if slices.Contains(paths, l.Path) {
			r.Sent(l.At)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestReplayTakesOutWhatWasSent(t *testing.T) {
	for _, tc := range []struct {
		name       string
		sent       []string
		meanwhile  []string
		want       string
		beforehand func(path string) error
	}{
		{name: "all", sent: []string{"1", "2", "3"}, want: ""},
		{name: "none", want: "123"},
		{name: "one", sent: []string{"2"}, want: "13"},
		{name: "all, and new ones", sent: []string{"1", "2", "3"}, meanwhile: []string{"4", "5"}, want: "45"},
		{name: "one, and new ones", sent: []string{"1"}, meanwhile: []string{"4", "5"}, want: "2345"},
		{name: "none, and new ones", meanwhile: []string{"4"}, want: "1234"},
		{name: "one torn", sent: []string{"1"}, want: "23", beforehand: func(path string) error { return appendTo(path, `{"time":`) }},
		{name: "one corrupt", sent: []string{"1"}, want: "23?", beforehand: func(path string) error { return appendTo(path, "{\"time\":\n") }},
		{name: "left aside before", sent: []string{"1", "0"}, want: "23", beforehand: func(path string) error {
			d := aLetter("0")
			line, err := d.line()
			return errors.Join(err, appendTo(asidePath(path), string(line)))
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "letters.jsonl")
			fillLetters(t, path, "1", "2", "3")
			if tc.beforehand != nil {
				if err := tc.beforehand(path); err != nil {
					t.Fatal(err)
				}
			}
			r, err := OpenReplay(t.Context(), path)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := OpenReplay(t.Context(), path); !errors.Is(err, ErrReplayRuns) {
				t.Errorf("a second replay: %v", err)
			}
			sendPaths(t, r, tc.sent...)
			fillLetters(t, path, tc.meanwhile...)
			if err := r.Finish(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(pathsIn(t, path), ""); got != tc.want {
				t.Errorf("left are %q, want %q", got, tc.want)
			}
			if names := namesIn(t, filepath.Dir(path)); tc.want == "" && slices.Contains(names, "letters.jsonl") || slices.ContainsFunc(names, func(n string) bool { return strings.Contains(n, "replaying") }) {
				t.Errorf("files left: %q", names)
			}
			if tc.want == "" {
				if _, err := OpenReplay(t.Context(), path); !errors.Is(err, ErrNoDeadLetters) {
					t.Errorf("without letters: %v", err)
				}
			}
		})
	}
}

func appendTo(path, text string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

func namesIn(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// A crash, or a full disk, at each step of a replay: what was not sent is there
// once, what was sent is there once or not at all, and nothing else is.
func TestReplayCrashesAtEachStep(t *testing.T) {
	t.Parallel()
	for _, fault := range []error{errCrash, errFull} {
		for _, meanwhile := range []bool{false, true} {
			for _, aside := range []bool{false, true} {
				t.Run(fmt.Sprintf("%v, new letters %v, left aside before %v", fault, meanwhile, aside), func(t *testing.T) {
					steps := 0
					for done := false; !done; {
						steps++
						done = replayFails(t, fault, meanwhile, aside, steps)
					}
					if steps < 15 {
						t.Errorf("only %d steps", steps)
					}
				})
			}
		}
	}
}

// replayFails has a replay fail at its operation number failAt, and reports
// whether it came to its end before.
func replayFails(t *testing.T, fault error, meanwhile, aside bool, failAt int) bool {
	t.Helper()
	path := filepath.Join(t.TempDir(), "letters.jsonl")
	must, may := []string{"1", "3"}, []string{"2", "4"} // may be there still: they were sent
	fillLetters(t, path, "1", "2")
	if aside {
		if err := os.Rename(path, asidePath(path)); err != nil {
			t.Fatal(err)
		}
	}
	fillLetters(t, path, "3", "4")
	fsys := &faultLetterFS{fault: fault, failAt: failAt, half: true}
	r, err := openReplay(t.Context(), path, fsys)
	sent := false
	if err == nil {
		err = r.Each(func(l *Letter) error {
			if slices.Contains(may, l.Path) {
				r.Sent(l.At)
			}
			return nil
		})
		sent = err == nil
		if meanwhile {
			fillLetters(t, path, "5")
			must = append(must, "5")
		}
		err = errors.Join(err, r.Finish(t.Context()))
	}
	over := fsys.calls < failAt
	if over != (err == nil) {
		t.Errorf("step %d: error %v", failAt, err)
	}
	if undone := fsys.lasting(); over && len(undone) > 0 {
		t.Errorf("a power loss could undo %q", undone)
	}
	if !sent {
		must, may = append(must, may...), nil
	}
	check := func(when string) {
		t.Helper()
		again, err := OpenReplay(t.Context(), path)
		if err != nil {
			t.Fatalf("step %d: %s: %v", failAt, when, err)
		}
		got := sendPaths(t, again)
		if err := again.Finish(t.Context()); err != nil {
			t.Fatalf("step %d: %s: %v", failAt, when, err)
		}
		seen := make(map[string]int)
		for _, p := range got {
			seen[p]++
		}
		for _, p := range must {
			if seen[p] != 1 {
				t.Errorf("step %d: %s: %q is there %d times, want once: %q", failAt, when, p, seen[p], got)
			}
		}
		for _, p := range may {
			if seen[p] > 1 || over && seen[p] > 0 {
				t.Errorf("step %d: %s: %q, which was sent, is there %d times: %q", failAt, when, p, seen[p], got)
			}
		}
		if len(got) > len(must)+len(may) {
			t.Errorf("step %d: %s: %q is there", failAt, when, got)
		}
	}
	check("the next replay")
	check("the one after that")
	return over
}

// An agent writes letters, and marks them as in the topic, while replays run.
func TestReplayBesideAnAgent(t *testing.T) {
	path := filepath.Join(t.TempDir(), "letters.jsonl")
	agent := newDeadLetters(Options{DeadLetterPath: path, DeadLetterTopic: "dead"})
	const n = 200
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range n {
			eventually(t, "a letter is written", func() bool { return agent.add(aLetter(fmt.Sprint(i))) == nil })
		}
	})
	wg.Go(func() {
		for range n {
			due, in, _, err := agent.due(nil, 0, 1<<20)
			for _, d := range due {
				err = errors.Join(err, agent.arrived(in, []int64{d.at}))
			}
			if err != nil && !errors.Is(err, errLetterBusy) {
				t.Errorf("mark: %v", err)
			}
		}
	})
	sent := make(map[string]int)
	for len(sent) < n {
		r, err := OpenReplay(t.Context(), path)
		if errors.Is(err, ErrNoDeadLetters) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		odd := true
		err = r.Each(func(l *Letter) error {
			if odd = !odd; !odd {
				sent[l.Path]++
				r.Sent(l.At)
			}
			return l.Err
		})
		if err := errors.Join(err, r.Finish(t.Context())); err != nil {
			t.Fatal(err)
		}
	}
	wg.Wait()
	for path, times := range sent {
		if times != 1 {
			t.Errorf("letter %s was sent %d times", path, times)
		}
	}
	if left := pathsIn(t, path); len(left) != 0 {
		t.Errorf("left are %q", left)
	}
}
