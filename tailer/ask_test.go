package tailer

import (
	"context"
	"errors"
	"io"
	"os"
	"testing"
	"time"
)

// rewind sets the only file of the rig back as an agent does.
func (r *rig) rewind(name string, offset int64) {
	r.t.Helper()
	r.mu.Lock()
	s := r.states[r.lines[0].file]
	r.mu.Unlock()
	p, err := Prove(r.path(name), s)
	r.must(err)
	defer p.Close()
	tail, err := p.TailAt(offset)
	r.must(err)
	r.must(r.tailer.Rewind(r.t.Context(), s.ID, offset, tail))
}

func TestRewind(t *testing.T) {
	r := newRig(t)
	r.write("a.log", "one\ntwo\nthree\n")
	r.start().want("one", "two", "three")
	r.rewind("a.log", 4)
	r.want("one", "two", "three", "two", "three")
	r.rewind("a.log", 0)
	r.append("a.log", "four\n")
	r.want("one", "two", "three", "two", "three", "one", "two", "three", "four")
	if e := r.sawEvent(Rewound); e.Epoch != 1 || e.File.Offset != 4 {
		t.Errorf("the event tells of offset %d, epoch %d", e.File.Offset, e.Epoch)
	}
	r.stop()
	r.start().append("a.log", "five\n") // the marks of after the rewind are good for a restart
	r.want("one", "two", "three", "two", "three", "one", "two", "three", "four", "five")
}

func TestRewindOfARotatedFileHoldsUpItsSuccessor(t *testing.T) {
	r := newRig(t)
	r.write("a.log", "one\ntwo\n")
	r.start().want("one", "two")
	r.rename("a.log", "a.log.1")
	r.write("a.log", "three\n")
	r.want("one", "two", "three")
	r.rewind("a.log.1", 4)
	r.want("one", "two", "three", "two")
	r.append("a.log", "four\n")
	r.want("one", "two", "three", "two", "four")
}

// TestRequestWaitsForTheTurn asks for a rewind while a block is being handed
// over: what is handed over after it begins at the new offset.
func TestRequestWaitsForTheTurn(t *testing.T) {
	r := newRig(t)
	r.write("a.log", "one\n")
	r.start().want("one")
	gate := make(chan struct{})
	r.mu.Lock()
	r.gate = gate
	id := r.lines[0].file
	r.mu.Unlock()
	r.append("a.log", "two\n")
	r.wait("a turn", func() bool { _, busy := r.inside.Load(streamOf(r.path("a.log"))); return busy })
	soon, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := r.tailer.Rewind(soon, id, 0, Mark{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("a rewind during a turn: %v", err)
	}
	close(gate)
	r.want("one", "two", "one", "two")
}

func TestDrop(t *testing.T) {
	r := newRig(t)
	r.write("a.log", "one\n")
	r.start().want("one")
	id := r.firstFile()
	r.must(r.tailer.Drop(t.Context(), id))
	r.want("one", "one")
	r.sawEvent(Dropped)
	for _, f := range r.tailer.Files() {
		if f.ID == id {
			t.Error("a dropped file is still shown")
		}
	}
	if err := r.tailer.Drop(t.Context(), id); !errors.Is(err, ErrUnknownFile) {
		t.Errorf("dropped twice: %v", err)
	}
	r.stop()
	if err := r.tailer.Drop(t.Context(), id); !errors.Is(err, ErrStopped) {
		t.Errorf("after the end: %v", err)
	}
}

func TestDescriptorOfADeletedFile(t *testing.T) {
	r := newRig(t)
	r.write("a.log", "one\n")
	r.start().want("one")
	r.remove("a.log")
	d, err := r.tailer.Descriptor(t.Context(), r.firstFile())
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip(err)
	}
	r.must(err)
	defer d.Close()
	r.stop() // it is the receiver's own
	if b, err := io.ReadAll(io.NewSectionReader(d, 0, 100)); err != nil || string(b) != "one\n" {
		t.Errorf("%q, %v", b, err)
	}
}

func TestProof(t *testing.T) {
	r := newRig(t)
	r.write("a.log", "one\ntwo\nthree\nunfinished")
	s := State{Offset: 8, Tail: markOf([]byte("one\ntwo\n")), Head: markOf([]byte("one\n"))}
	p, err := Prove(r.path("a.log"), s)
	r.must(err)
	defer p.Close()
	if _, err := p.TailAt(5); !errors.Is(err, ErrNotALine) {
		t.Errorf("offset 5: %v", err)
	}
	if m, err := p.TailAt(4); err != nil || m != markOf([]byte("one\n")) {
		t.Errorf("offset 4: %v, %v", m, err)
	}
	for _, c := range []struct{ at, before, after int64 }{{0, 0, 4}, {1, 0, 4}, {5, 4, 8}, {9, 8, 14}, {20, 14, 24}} {
		if before, after, err := p.Around(c.at, 24); err != nil || before != c.before || after != c.after {
			t.Errorf("around %d: %d and %d, %v; want %d and %d", c.at, before, after, err, c.before, c.after)
		}
	}
	for _, c := range []struct{ n, offset, lines int64 }{{1, 0, 1}, {2, 4, 2}, {4, 14, 4}, {5, -1, 4}} {
		if offset, lines, err := p.LineAt(c.n, 24); err != nil || offset != c.offset || lines != c.lines {
			t.Errorf("line %d: offset %d of %d lines, %v; want %d of %d", c.n, offset, lines, err, c.offset, c.lines)
		}
	}
	for name, other := range map[string]State{
		"head": {Offset: 8, Head: markOf([]byte("two\n"))}, "tail": {Offset: 8, Tail: markOf([]byte("x"))}, "size": {Offset: 100},
	} {
		if _, err := Prove(r.path("a.log"), other); !errors.Is(err, ErrOtherFile) {
			t.Errorf("another %s: %v", name, err)
		}
	}
	if _, err := Prove(r.dir, s); err == nil {
		t.Error("a folder is proved")
	}
	if _, err := Prove(r.path("none"), s); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
}

// TestProofInUTF16 wants lines found where they begin, not within a character.
func TestProofInUTF16(t *testing.T) {
	r := newRig(t)
	r.write("a.log", "\xff\xfea\x00\n\x00\x0a\x0a\n\x00c\x00")
	p, err := Prove(r.path("a.log"), State{})
	r.must(err)
	defer p.Close()
	for offset, ok := range map[int64]bool{0: true, 2: false, 5: false, 6: true, 7: false, 8: false, 9: false, 10: true} {
		if _, err := p.TailAt(offset); (err == nil) != ok {
			t.Errorf("offset %d: %v", offset, err)
		}
	}
	if before, after, err := p.Around(7, 12); err != nil || before != 6 || after != 10 {
		t.Errorf("around 7: %d and %d, %v", before, after, err)
	}
	if offset, lines, err := p.LineAt(3, 12); err != nil || offset != 10 || lines != 3 {
		t.Errorf("line 3: offset %d of %d lines, %v", offset, lines, err)
	}
	r.must(p.Decode(Input{Encoding: "ibm037"}))
	if _, err := p.TailAt(6); err == nil {
		t.Error("a newline of another encoding is taken")
	}
}
