package tailer

import (
	"os"
	"slices"
	"testing"
	"time"
)

// carrying is a rig whose entries go on over a rotation.
func carrying(t *testing.T) *rig {
	r := joining(t, NewAutoJoiner(begins), 300*time.Millisecond)
	r.o.Carry = true
	return r
}

// wantCarries waits for the lines, of which so many began in the file before.
func (r *rig) wantCarries(n int, texts ...string) {
	r.t.Helper()
	r.want(texts...)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.carries != n {
		r.t.Errorf("%d entries began in the file before, want %d", r.carries, n)
	}
}

const (
	before = "2026-11-23 09:00:00 before"
	after  = "2026-11-23 11:00:00 after"
)

// TestEntryOverARotation has a trace of which one half is in the rotated file.
func TestEntryOverARotation(t *testing.T) {
	for name, trace := range map[string]string{"java": javaTrace, "dotnet": dotnetTrace, "python": pythonTrace} {
		t.Run(name, func(t *testing.T) {
			r := carrying(t)
			half := len(trace) / 2
			for trace[half-1] != '\n' {
				half++
			}
			r.write("a.log", before+"\n"+trace[:half])
			r.start()
			r.want(before)
			r.rename("a.log", "a.log.1")
			r.write("a.log", trace[half:]+"\n"+after+"\n")
			r.wantCarries(1, before, trace, after)
			r.wait("the end of the rotated file", func() bool {
				for _, f := range r.tailer.Files() {
					if f.State == "finished" && f.Read == f.Size {
						return true
					}
				}
				return false
			})
			r.stop()
			r.start() // nothing is read again
			r.append("a.log", before+"\n")
			r.wantCarries(1, before, trace, after, before)
		})
	}
}

// TestEntryDoesNotGoOn has successors that begin with an entry of their own, or
// with nothing.
func TestEntryDoesNotGoOn(t *testing.T) {
	for name, second := range map[string]string{"an entry": after + "\n", "blank lines and an entry": "\n\n" + after + "\n", "nothing": "", "half a line": "  a"} {
		t.Run(name, func(t *testing.T) {
			r := carrying(t)
			r.write("a.log", before+"\nmore\n")
			r.start()
			r.sawEvent(Found)
			r.rename("a.log", "a.log.1")
			r.write("a.log", second)
			want := []string{before + "\nmore"}
			if len(second) > 10 {
				want = append(want, after)
			}
			r.wantCarries(0, want...)
			if second == "  a" {
				r.append("a.log", " late\n")
				r.wantCarries(0, before+"\nmore", "  a late")
			}
		})
	}
}

// TestNoSuccessorComes hands the entry over from the rotated file.
func TestNoSuccessorComes(t *testing.T) {
	r := carrying(t)
	r.write("a.log", before+"\nmore\n")
	r.start()
	r.sawEvent(Found)
	r.rename("a.log", "a.log.1")
	r.wantCarries(0, before+"\nmore")
}

// TestLateLineOfTheRotatedFile: its writer has not noticed the rotation, while
// the entry waits for the successor.
func TestLateLineOfTheRotatedFile(t *testing.T) {
	r := carrying(t)
	r.o.Inputs[0].JoinWait = never
	r.write("a.log", before+"\nmore\n")
	w, err := os.OpenFile(r.path("a.log"), os.O_WRONLY|os.O_APPEND, 0)
	r.must(err)
	defer w.Close()
	r.start()
	r.sawEvent(Found)
	r.rename("a.log", "a.log.1")
	r.write("a.log", "half a")
	r.wait("the successor to have its turn", func() bool {
		for _, f := range r.tailer.Files() {
			if f.Size == 6 && f.Pending == 6 {
				return true
			}
		}
		return false
	})
	_, err = w.WriteString("late\n")
	r.must(err)
	r.wait("the late line to be seen", func() bool {
		for _, f := range r.tailer.Files() {
			if f.Path == r.path("a.log.1") && f.Size == int64(len(before)+11) {
				return true
			}
		}
		return false
	})
	r.append("a.log", " line\n"+after+"\n"+after+"\n")
	r.wantCarries(1, before+"\nmore\nlate\nhalf a line", after)
}

// TestRotatedTwiceInAnEntry carries it once: the third file's part is an entry
// of its own.
func TestRotatedTwiceInAnEntry(t *testing.T) {
	r := carrying(t)
	r.write("a.log", before+"\none\n")
	r.start()
	r.sawEvent(Found)
	r.stop()
	r.rename("a.log", "a.log.2")
	r.write("a.log.1", "two\n")
	r.write("a.log", "three\n"+after+"\n"+after+"\n")
	r.start()
	r.wantCarries(1, before+"\none\ntwo", "three", after)
}

// TestRotatedFileIsDeleted while its entry waits for the successor's.
func TestRotatedFileIsDeleted(t *testing.T) {
	r := carrying(t)
	r.o.Inputs[0].JoinWait = never
	r.write("a.log", before+"\none\n")
	r.start()
	r.sawEvent(Found)
	r.rename("a.log", "a.log.1")
	r.write("a.log", "two\n")
	r.sawEvent(Rotated)
	r.wait("the rotated file to be open", func() bool {
		return slices.ContainsFunc(r.tailer.Files(), func(f Status) bool { return f.Rotated && f.Open })
	})
	r.remove("a.log.1")
	r.append("a.log", after+"\n")
	r.wantCarries(1, before+"\none\ntwo")
}

// TestCrashBeforeTheEntryIsSettled: neither file's part is taken as sent.
func TestCrashBeforeTheEntryIsSettled(t *testing.T) {
	r := carrying(t)
	r.write("a.log", before+"\n"+before+"\none\n")
	r.start()
	r.want(before)
	r.rename("a.log", "a.log.1")
	r.mu.Lock()
	r.gate = make(chan struct{}) // nothing is settled any more
	r.mu.Unlock()
	r.write("a.log", "two\n"+after+"\n")
	r.sawEvent(Rotated)
	r.wait("the successor's block", func() bool {
		n := 0
		r.inside.Range(func(_, _ any) bool { n++; return true })
		return n > 0
	})
	r.stop()
	r.gate = nil
	r.start()
	r.wantCarries(1, before, before+"\none\ntwo", after)
}

func TestOnceCarries(t *testing.T) {
	for second, want := range map[string][]string{"two\n" + after + "\n": {before + "\none\ntwo", after}, after + "\n": {before + "\none", after}, "": {before + "\none"}} {
		r := carrying(t)
		r.write("a.log", before+"\n")
		r.start()
		r.sawEvent(Found)
		r.stop()
		r.lines = nil
		for id, s := range r.states {
			s.Offset, s.Head, s.Tail = 0, Mark{}, Mark{}
			r.states[id] = s
		}
		r.append("a.log", "one\n")
		r.rename("a.log", "a.log.1")
		r.write("a.log", second)
		r.o.Once = true
		r.start()
		r.finish()
		n := 0
		if len(second) > 0 && second[0] == 't' {
			n = 1
		}
		r.wantCarries(n, want...)
	}
}

// TestOnceMeetsTheSuccessorOfABusyFile: a scan that finds the successor while the
// rotated file has its turn puts it off, and the run must not end before the
// next.
func TestOnceMeetsTheSuccessorOfABusyFile(t *testing.T) {
	r := newRig(t)
	r.write("a.log", "one\n")
	r.start()
	r.want("one")
	r.stop()
	r.append("a.log", "two\n")
	r.rename("a.log", "a.log.1")
	r.write("a.log", "three\n")
	r.o.Once, r.o.RescanInterval = true, time.Hour
	gate := make(chan struct{})
	r.gate = gate
	looks := 0
	r.start()
	r.wait("scans while the rotated file has its turn", func() bool {
		r.inside.Range(func(_, _ any) bool { looks++; return true })
		return looks > 100 // 2 ms apart
	})
	close(gate)
	r.finish()
	r.want("one", "two", "three")
}
