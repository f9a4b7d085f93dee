package tailer

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"testing"
	"time"
)

// input returns an input of the rig's, whose tag is its name.
func (r *rig) input(name string, patterns ...string) Input {
	in := Input{Name: name, Tag: name, RotateWait: 100 * time.Millisecond}
	for _, p := range patterns {
		in.Paths = append(in.Paths, r.path(p))
	}
	return in
}

func (r *rig) reconfigure(inputs ...Input) {
	r.t.Helper()
	r.must(r.tailer.Reconfigure(r.t.Context(), Inputs{Inputs: inputs, RescanInterval: r.o.RescanInterval}))
}

// inputOf returns the name of the input that reads a path now; "" where none does.
func (r *rig) inputOf(name string) string {
	for _, f := range r.tailer.Files() {
		if f.Path == r.path(name) {
			return f.Input.Name
		}
	}
	return ""
}

func TestInputsComeAndGo(t *testing.T) {
	r := newRig(t)
	r.o.Inputs = []Input{r.input("a", "a*.log")}
	r.write("a.log", "one\n")
	r.write("sub/b.log", "b one\n")
	r.start().want("one")

	r.reconfigure(r.input("a", "a*.log"), r.input("b", "sub/*.log"))
	r.want("one", "b one")
	r.append("a.log", "two\n")
	r.want("one", "b one", "two")

	r.reconfigure(r.input("b", "sub/*.log"))
	if e := r.sawEvent(Retired); e.File.Path != r.path("a.log") || e.File.Offset != 8 {
		t.Errorf("retired: %+v", e.File)
	}
	r.append("a.log", "three\n")
	r.append("sub/b.log", "b two\n")
	r.want("one", "b one", "two", "b two")
	if r.inputOf("a.log") != "" {
		t.Error("a retired file is still shown")
	}

	r.rename("a.log", "a.log.1") // while nobody asks for it
	r.write("a.log", "four\n")
	r.reconfigure(r.input("b", "sub/*.log"), r.input("a", "a*.log"))
	r.want("one", "b one", "two", "b two", "three", "four")
	r.stop()
	r.start().append("a.log", "five\n")
	r.want("one", "b one", "two", "b two", "three", "four", "five")
}

// TestAFileOfAnEarlierRunWaitsForItsInput adds an input that an earlier run had.
func TestAFileOfAnEarlierRunWaitsForItsInput(t *testing.T) {
	r := newRig(t)
	r.o.Inputs = []Input{r.input("a", "a.log"), r.input("b", "b.log")}
	r.write("a.log", "one\n")
	r.write("b.log", "b one\n")
	r.start().wait("both", func() bool { return len(r.texts()) == 2 })
	r.stop()
	was := r.texts()
	r.o.Inputs = []Input{r.input("b", "b.log")}
	r.append("a.log", "two\n")
	r.start().append("b.log", "b two\n")
	r.want(append(was, "b two")...)
	r.reconfigure(r.input("b", "b.log"), r.input("a again", "a.*"))
	r.want(append(was, "b two", "two")...)
}

// TestAFileGoesOnAtAnotherPath moves a file together with its input.
func TestAFileGoesOnAtAnotherPath(t *testing.T) {
	r := newRig(t)
	r.o.Inputs = []Input{r.input("old", "old/*.log")}
	r.write("old/a.log", "one\n")
	r.write("new/x", "")
	r.start().want("one")
	r.reconfigure(r.input("none", "none.log"))
	r.sawEvent(Retired)
	r.rename("old/a.log", "new/b.log")
	r.append("new/b.log", "two\n")
	r.reconfigure(r.input("new", "new/*.log"))
	r.want("one", "two")
	r.append("new/b.log", "three\n")
	r.want("one", "two", "three")
	if s := r.states[r.firstFile()]; s.Origin != r.path("new/b.log") || s.Rotated {
		t.Errorf("it is known as %s, rotated %v", s.Origin, s.Rotated)
	}
}

// TestAnOpenEntryGoesOverAReload changes how lines are joined, and other things,
// while an entry is open.
func TestAnOpenEntryGoesOverAReload(t *testing.T) {
	const never = time.Hour
	joined := func(r *rig, name, start string) Input {
		in := r.input(name, "*.log")
		in.Joiner, in.JoinWait = NewPatternJoiner(regexp.MustCompile(start), nil, nil), never
		return in
	}
	r := newRig(t)
	r.o.Inputs = []Input{joined(r, "first", "^> ")}
	r.write("a.log", "> one\nmore\n")
	r.start().wait("the open entry", func() bool { return len(r.tailer.Files()) == 1 && r.tailer.Files()[0].Encoding != "" })
	in := joined(r, "second", "^> ")
	in.Exclude = []string{"**/nothing"}
	r.reconfigure(in)
	r.wait("the new input", func() bool { return r.inputOf("a.log") == "second" })
	r.append("a.log", "and more\n> two\n")
	r.want("> one\nmore\nand more")
	r.reconfigure(joined(r, "third", "^[>|] "))
	r.append("a.log", "| three\nits end\n> four\n")
	r.want("> one\nmore\nand more", "> two", "| three\nits end")

	// Its file is rotated with the entry open, and the input changes then.
	r.append("a.log", "of the file before\n")
	r.rename("a.log", "a.1")
	r.sawEvent(Rotated)
	r.reconfigure(joined(r, "fourth", "^[>|] "))
	r.write("a.log", "> five\n> six\n")
	r.want("> one\nmore\nand more", "> two", "| three\nits end", "> four\nof the file before", "> five")
}

// TestReconfigureDoesNotWaitForATurn changes inputs while blocks are not taken
// over, which can last for as long as Kafka is away.
func TestReconfigureDoesNotWaitForATurn(t *testing.T) {
	r := newRig(t)
	r.o.Inputs = []Input{r.input("a", "a.log"), r.input("b", "b.log")}
	r.gate = make(chan struct{})
	r.write("a.log", "one\n")
	r.write("b.log", "b one\n")
	r.start()
	for _, name := range []string{"a.log", "b.log"} {
		r.wait("a turn of "+name, func() bool { _, busy := r.inside.Load(streamOf(r.path(name))); return busy })
	}
	r.reconfigure(r.input("a", "a.log"))
	r.reconfigure(r.input("second a", "a.log"), r.input("b again", "b.log"))
	r.append("a.log", "two\n")
	r.append("b.log", "b two\n")
	close(r.gate)
	r.wait("all lines", func() bool { return len(r.texts()) == 4 })
	r.wait("the new inputs", func() bool { return r.inputOf("a.log") == "second a" && r.inputOf("b.log") == "b again" })
}

func TestStartAtTheEndOfAnInputThatIsAdded(t *testing.T) {
	r := newRig(t)
	r.o.Inputs = []Input{r.input("a", "a.log")}
	r.write("a.log", "one\n")
	r.write("b.log", "old\n")
	r.start().want("one")
	in := r.input("all", "*.log")
	in.FromEnd = true
	r.reconfigure(in)
	r.wait("b.log", func() bool { return r.inputOf("b.log") == "all" })
	r.wait("its end", func() bool {
		for _, f := range r.tailer.Files() {
			if f.Path == r.path("b.log") {
				return f.Read == 4
			}
		}
		return false
	})
	r.append("b.log", "new\n")
	r.append("a.log", "two\n")
	r.wait("both", func() bool { return len(r.texts()) == 3 })
	r.write("c.log", "whole\n") // it appears later
	r.wait("the third file", func() bool { return len(r.texts()) == 4 })
	if got := r.texts(); got[3] != "whole" {
		t.Errorf("%q", got)
	}
}

func TestReconfigureRefusesWhatIsNotValid(t *testing.T) {
	r := newRig(t)
	r.write("a.log", "one\n")
	r.start().want("one")
	for _, in := range []Input{{Name: "glob", Paths: []string{"/a/["}}, {Name: "encoding", Encoding: "klingon"}} {
		if err := r.tailer.Reconfigure(t.Context(), Inputs{Inputs: []Input{in}}); err == nil {
			t.Errorf("%s: not refused", in.Name)
		}
	}
	r.append("a.log", "two\n")
	r.want("one", "two")
	r.stop()
	if err := r.tailer.Reconfigure(context.Background(), Inputs{}); !errors.Is(err, ErrStopped) {
		t.Errorf("after the end: %v", err)
	}
}

// TestFoldersThatNobodyAsksForAreNotWatched: each would cost a watch for ever.
func TestFoldersThatNobodyAsksForAreNotWatched(t *testing.T) {
	r := newRig(t)
	r.o.Inputs = []Input{r.input("a", "a/*.log"), r.input("b", "b/*.log")}
	r.write("a/a.log", "one\n")
	r.write("b/b.log", "two\n")
	r.start().wait("both", func() bool { return len(r.texts()) == 2 })
	if r.tailer.waker.w == nil {
		t.Skip("no file system events here")
	}
	watched := func(name string) bool {
		for _, dir := range r.tailer.waker.w.WatchList() {
			if dir == filepath.Join(r.dir, name) {
				return true
			}
		}
		return false
	}
	if !watched("b") {
		t.Fatal("b is not watched")
	}
	r.reconfigure(r.input("a", "a/*.log"))
	r.wait("b to be watched no more", func() bool { return !watched("b") })
	if !watched("a") {
		t.Error("a is not watched any more")
	}
}

// TestAPipeGoesToAnotherInput: a pipe has no past to go back to, so that nothing
// of what it gave may be left behind.
func TestAPipeGoesToAnotherInput(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no named pipes in the file system")
	}
	joined := func(r *rig, name, start string) Input {
		in := r.input(name, "*.pipe")
		in.Joiner, in.JoinWait = NewPatternJoiner(regexp.MustCompile(start), nil, nil), time.Hour
		return in
	}
	r := newRig(t)
	r.o.Inputs = []Input{joined(r, "first", "^> ")}
	r.must(makeFIFO(r.path("a.pipe")))
	r.start()
	w, err := os.OpenFile(r.path("a.pipe"), os.O_WRONLY, 0)
	r.must(err)
	defer w.Close()
	say := func(text string) {
		_, err := w.WriteString(text)
		r.must(err)
	}
	say("> one\n> two\nmore\n")
	r.want("> one")
	r.reconfigure(joined(r, "second", "^[>|] "))
	say("| three\n> four\nof four\nunfin")
	r.want("> one", "> two\nmore", "| three")
	r.reconfigure(r.input("none", "none.log"))
	r.want("> one", "> two\nmore", "| three", "> four\nof four\nunfin")
	r.wait("the pipe to be left alone", func() bool { return len(r.tailer.Files()) == 0 })
	r.reconfigure(joined(r, "third", "^> "))
	again, err := os.OpenFile(r.path("a.pipe"), os.O_WRONLY, 0) // waits for somebody who reads
	r.must(err)
	defer again.Close()
	w = again
	say("> five\n> six\n")
	r.want("> one", "> two\nmore", "| three", "> four\nof four\nunfin", "> five")
}
