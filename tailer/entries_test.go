package tailer

import (
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

// joining makes the rig's input one whose lines are joined.
func joining(t *testing.T, j Joiner, wait time.Duration) *rig {
	r := newRig(t)
	r.o.Inputs[0].Joiner, r.o.Inputs[0].JoinWait = j, wait
	return r
}

const never = time.Hour // no test waits for that

// TestTraceIsOneEntry has traces of three languages in a file that is written
// on, with a restart in the middle of each, and that is read again after one.
func TestTraceIsOneEntry(t *testing.T) {
	for name, trace := range map[string]string{"java": javaTrace, "dotnet": dotnetTrace, "python": pythonTrace} {
		t.Run(name, func(t *testing.T) {
			r := joining(t, NewAutoJoiner(begins), never)
			first, rest := trace[:len(trace)/2], trace[len(trace)/2:]
			r.write("a.log", "2026-11-23 09:00:00 before\n"+first)
			r.start()
			r.want("2026-11-23 09:00:00 before")
			r.stop()
			r.start()
			r.append("a.log", rest+"\n")
			r.append("a.log", "2026-11-23 11:00:00 after\n")
			r.want("2026-11-23 09:00:00 before", trace)
			r.stop()
			r.start()
			r.append("a.log", "2026-11-23 12:00:00 last\n")
			r.want("2026-11-23 09:00:00 before", trace, "2026-11-23 11:00:00 after")
			r.mu.Lock()
			defer r.mu.Unlock()
			if l := r.lines[1]; l.start != 27 || l.end != 27+int64(len(trace))+1 || l.flags != 0 {
				t.Errorf("the trace is at [%d,%d), flags %d", l.start, l.end, l.flags)
			}
		})
	}
}

// TestCompleteEntryIsNotWaitedForLong hands the last entry over after a while of
// quiet, whole.
func TestCompleteEntryIsNotWaitedForLong(t *testing.T) {
	r := joining(t, preset(t, "java"), 50*time.Millisecond)
	r.write("a.log", javaTrace+"\n")
	r.start()
	r.want(javaTrace)
	r.append("a.log", javaTrace+"\n")
	r.want(javaTrace, javaTrace)
	r.stop()
	r.start()
	r.append("a.log", "next\n")
	r.want(javaTrace, javaTrace, "next")
}

func TestWholeObjectIsNotWaitedFor(t *testing.T) {
	r := joining(t, NewAutoJoiner(begins), never)
	r.write("a.log", "{\"a\":1}\n{\n \"b\":2\n}\n")
	r.start()
	r.want("{\"a\":1}", "{\n \"b\":2\n}")
}

func TestLimitsSplit(t *testing.T) {
	r := joining(t, preset(t, "java"), 50*time.Millisecond)
	r.o.Inputs[0].JoinLines = 3
	r.write("a.log", "x\n\tat a(1)\n\tat b(2)\n\tat c(3)\n\tat d(4)\ny\n")
	r.start()
	r.want("x\n\tat a(1)\n\tat b(2)", "\tat c(3)\n\tat d(4)", "y")
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, want := range []Flags{Split, 0, 0} {
		if r.lines[i].flags != want {
			t.Errorf("entry %d has flags %d", i, r.lines[i].flags)
		}
	}
}

// TestRotatedFileEndsItsEntry: the last entry of a rotated file is handed over
// before its successor starts.
func TestRotatedFileEndsItsEntry(t *testing.T) {
	r := joining(t, preset(t, "java"), never)
	r.write("a.log", "one\n"+javaTrace+"\n")
	r.start()
	r.want("one")
	r.rename("a.log", "a.log.1")
	r.write("a.log", "two\nthree\n")
	r.want("one", javaTrace, "two")
}

func TestOnceEndsEntries(t *testing.T) {
	r := joining(t, preset(t, "java"), never)
	r.o.Once = true
	r.write("a.log", javaTrace+"\n\n")
	r.write("b.log", "x\n\tat a(1)\n\tat b(")
	r.start()
	r.finish()
	got := r.texts()
	if len(got) != 2 || got[0]+got[1] != javaTrace+"x\n\tat a(1)\n\tat b(" && got[1]+got[0] != javaTrace+"x\n\tat a(1)\n\tat b(" {
		t.Errorf("entries %q", got)
	}
}

// TestUTF16File follows a file that is written in halves of code units.
func TestUTF16File(t *testing.T) {
	for _, enc := range []string{"utf-16le", "utf-16be"} {
		r := newRig(t)
		raw := string(encode(t, enc, "\uFEFFeins é\r\nzwei 日本\r\n"))
		r.write("a.log", raw[:25])
		r.start()
		r.want("eins é")
		r.append("a.log", raw[25:31])
		r.append("a.log", raw[31:])
		r.want("eins é", "zwei 日本")
		r.stop()
		r.start()
		r.append("a.log", string(encode(t, enc, "drei 《\xed\n")))
		r.want("eins é", "zwei 日本", "drei 《\uFFFD")
		r.wait("the status after the turn", func() bool {
			fs := r.tailer.Files()
			return fs[0].Encoding == enc && fs[0].Read == fs[0].Size
		})
		r.stop()
	}
}

// TestInvalidBytesAreCounted, in an encoding that the input names.
func TestInvalidBytesAreCounted(t *testing.T) {
	r := newRig(t)
	r.o.Inputs[0].Encoding = "windows-1252"
	r.write("a.log", "caf\xe9 \x81\x8d\n")
	r.start()
	r.want("café \uFFFD\uFFFD")
	r.wait("the count", func() bool { fs := r.tailer.Files(); return fs[0].Invalid == 2 && fs[0].Encoding == "windows-1252" })
}

func TestStartAtEndOfUTF16(t *testing.T) {
	r := newRig(t)
	r.o.Inputs[0].FromEnd = true
	r.write("a.log", string(encode(t, "utf-16le", "\uFEFFold\nbegun ")))
	r.start()
	r.sawEvent(Found)
	r.append("a.log", string(encode(t, "utf-16le", "line\n")))
	r.want("begun line")
}

// TestPipeJoins reads entries of several lines from a named pipe.
func TestPipeJoins(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no named pipes in the file system")
	}
	r := joining(t, preset(t, "java"), 50*time.Millisecond)
	r.must(makeFIFO(r.path("a.log")))
	r.start()
	w, err := os.OpenFile(r.path("a.log"), os.O_WRONLY, 0)
	r.must(err)
	defer w.Close()
	for _, part := range []string{"one\n", javaTrace[:300], javaTrace[300:] + "\n"} {
		_, err = w.WriteString(part)
		r.must(err)
	}
	r.want("one", javaTrace)
	_, err = w.WriteString(strings.Repeat("two\n", 2))
	r.must(err)
	r.want("one", javaTrace, "two", "two")
}

// TestTendOpen: the end of an entry is the sooner sure the more its writer has
// written of it.
func TestTendOpen(t *testing.T) {
	now := time.Now()
	for name, c := range map[string]struct {
		size  int64
		quiet time.Duration
		flush bool
	}{
		"just written":               {10, 0, false},
		"quiet":                      {10, time.Second, true},
		"in the middle of a line":    {15, time.Second, false},
		"in the middle, quiet by it": {15, partialWait, true},
	} {
		tl, err := New(Options{Inputs: []Input{{Joiner: preset(t, "java")}}})
		if err != nil {
			t.Fatal(err)
		}
		f := &file{size: c.size, src: source{in: tl.inputs[0]}}
		f.src.gathering = gathering{open: openEntry{lines: 1, seen: 10}, heard: now.Add(-c.quiet).UnixNano()}
		if waits := tl.tendOpen(f, now); !waits || f.src.gathering.flush != c.flush || f.queued != c.flush {
			t.Errorf("%s: waits %v, flush %v, queued %v", name, waits, f.src.gathering.flush, f.queued)
		}
	}
}
