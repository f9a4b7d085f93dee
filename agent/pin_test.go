package agent

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"shiplog/agent/checkpoint"
	"shiplog/tailer"
)

// pinRig is a rig whose input pins, with a broker that is down until the gate
// opens.
func pinRig(t *testing.T) (*rig, *gate) {
	t.Parallel()
	r := newRig(t, kfake.SeedTopics(1, topic))
	g := newGate(t, r.kafka.ListenAddrs()[0])
	r.configure(g.addr, "")
	r.c.Inputs[0].Pin = true
	r.c.ShutdownTimeout = 50 * time.Millisecond
	return r, g
}

func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// pinFiles returns what lies under state_dir/pins.
func (r *rig) pinFiles() (names []string) {
	r.t.Helper()
	entries, err := os.ReadDir(pinDir(r.c.StateDir))
	if err != nil && !os.IsNotExist(err) {
		r.t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// wantMessages waits until exactly the given lines are there, in order.
func (r *rig) wantMessages(lines ...string) {
	r.t.Helper()
	r.wait("all lines", func() bool { return len(r.messages(topic)) >= len(lines) })
	if got := r.messages(topic); !slices.Equal(got, lines) {
		r.t.Fatalf("messages\n got  %q\n want %q", got, lines)
	}
}

// released waits until no pin is left.
func (r *rig) released() {
	r.t.Helper()
	r.wait("pins to be given up", func() bool { return len(r.pinFiles()) == 0 && r.status().Pins.Files == 0 })
}

// TestPinOutlivesRemovalAndRestart rotates and removes a file while the broker
// is away, and restarts the agent, with the checkpoint and without.
func TestPinOutlivesRemovalAndRestart(t *testing.T) {
	for _, c := range []struct {
		name      string
		meanwhile func(*rig)
	}{
		{"restart", func(*rig) {}},
		{"checkpoint lost", func(r *rig) {
			for _, f := range glob(r.t, filepath.Join(r.c.StateDir, "checkpoint*")) {
				r.must(os.Remove(f))
			}
		}},
		{"description damaged", func(r *rig) {
			for _, f := range glob(r.t, filepath.Join(pinDir(r.c.StateDir), "*"+pinAbout)) {
				r.must(os.Truncate(f, 5))
			}
		}},
		{"half made pins", func(r *rig) {
			for _, name := range []string{"0000000000000001.new", "0000000000000001.json", "0000000000000001.json.new"} {
				r.must(os.WriteFile(filepath.Join(pinDir(r.c.StateDir), name), []byte("{}"), 0o600))
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, g := pinRig(t)
			r.append("a.log", "one\ntwo\n")
			r.start()
			r.wait("the lines to be read", func() bool { return r.status().Totals.Lines == 2 })
			r.must(os.Rename(r.path("a.log"), r.path("a.log.1")))
			r.append("a.log", "three\n")
			r.wait("a pin", func() bool { return r.status().Pins.Files == 1 })
			if fi, err := os.Stat(pinDir(r.c.StateDir)); err != nil || fi.Mode().Perm() != 0o700 {
				t.Errorf("the folder of pins: %v, %v", fi, err)
			}
			r.wait("the next file to be read", func() bool { return r.status().Totals.Lines == 3 })
			r.must(os.Remove(r.path("a.log.1")))
			r.stop()
			if c.name == "restart" {
				r.why(r.path("a.log.1"), false, "missing", "0 of 8 bytes are acknowledged", "A pin keeps it in the state directory")
			}
			c.meanwhile(r)
			r.start()
			r.wait("the file to be found by its pin", func() bool {
				return slices.ContainsFunc(r.status().Files, func(f FileState) bool { return strings.Contains(f.Path, pinDirName) })
			})
			g.open()
			r.wantMessages("one", "two", "three")
			if c.name == "description damaged" {
				r.stop() // before the gate
				if !strings.Contains(r.log.String(), "pins cannot be read") {
					t.Error("nothing is said of it")
				}
				return
			}
			r.released()
			r.wantMessages("one", "two", "three")
			r.stop()
		})
	}
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	names, err := filepath.Glob(pattern)
	if err != nil || len(names) == 0 {
		t.Fatalf("nothing matches %s: %v", pattern, err)
	}
	return names
}

// TestPinIsACopyWhereNothingCanBeLinked deletes a file that has no other name
// while it is read, and goes on writing to it.
func TestPinIsACopyWhereNothingCanBeLinked(t *testing.T) {
	r, g := pinRig(t)
	w, err := os.Create(r.path("a.log"))
	r.must(err)
	defer w.Close()
	var want []string
	write := func(n int) {
		for range n {
			want = append(want, fmt.Sprintf("line %04d", len(want)))
			_, err := fmt.Fprintln(w, want[len(want)-1])
			r.must(err)
		}
	}
	write(500)
	r.start()
	r.wait("the lines to be read", func() bool { return r.status().Totals.Lines == 500 })
	r.must(os.Remove(r.path("a.log")))
	r.wait("a pin", func() bool { return r.status().Pins.Files == 1 })
	write(100)
	r.wait("the pin to grow", func() bool { return r.status().Pins.Bytes == 600*10 })
	r.stop()
	r.start()
	g.open()
	r.wantMessages(want...)
	r.released()
	r.stop()
}

// TestPinOnAnotherFileSystem pins by a copy of what is not acknowledged.
func TestPinOnAnotherFileSystem(t *testing.T) {
	t.Parallel()
	other, err := os.MkdirTemp("/dev/shm", "shiplog-test-")
	if err != nil {
		t.Skipf("no other file system: %v", err)
	}
	t.Cleanup(func() { os.RemoveAll(other) })
	r := newRig(t, kfake.SeedTopics(1, topic))
	if a, _, err := tailer.Identity(other); err != nil {
		t.Fatal(err)
	} else if b, _, err := tailer.Identity(r.dir); err != nil || a == b {
		t.Skipf("no other file system: %v", err)
	}
	r.c.StateDir, r.c.Inputs[0].Pin, r.c.ShutdownTimeout = other, true, 50*time.Millisecond
	var want []string
	text := strings.Builder{}
	for i := range 1000 {
		want = append(want, fmt.Sprintf("line %04d", i))
		fmt.Fprintln(&text, want[i])
	}
	r.append("a.log", text.String())
	r.start()
	r.wantMessages(want...)
	r.stop() // a clean end: all is acknowledged
	g := newGate(t, r.kafka.ListenAddrs()[0])
	r.c.Kafka.Brokers = []string{g.addr}
	r.append("a.log", "more\n")
	r.start()
	r.wait("the line to be read", func() bool { return r.status().Totals.Lines == 1 })
	r.must(os.Rename(r.path("a.log"), r.path("a.log.1")))
	r.wait("a pin", func() bool { return r.status().Pins.Files == 1 })
	if n := r.status().Pins.Bytes; n != 5+proofBytes+pinnedHead {
		t.Errorf("the pin holds %d bytes", n)
	}
	r.must(os.Remove(r.path("a.log.1")))
	r.stop()
	r.start()
	g.open()
	r.wantMessages(append(want, "more")...)
	r.released()
	r.stop()
}

// TestPinOfACompressedFile wants the file itself pinned: a copy of its bytes
// would not lie at the offsets of its text.
func TestPinOfACompressedFile(t *testing.T) {
	r, g := pinRig(t)
	r.append("a.log", gzipped(t, "one\ntwo\n"))
	r.start()
	r.wait("the lines to be read", func() bool { return r.status().Totals.Lines == 2 })
	r.must(os.Rename(r.path("a.log"), r.path("a.log.1")))
	r.wait("a pin", func() bool { return r.status().Pins.Files == 1 })
	r.must(os.Remove(r.path("a.log.1")))
	r.stop()
	r.start()
	g.open()
	r.wantMessages("one", "two")
	r.released()
	r.stop()
}

// TestPinQuota wants what is pinned to stay, and what is not to be said.
func TestPinQuota(t *testing.T) {
	r, g := pinRig(t)
	r.c.Pins.Quota = 10
	r.append("a.log", "one\ntwo\n") // 8 bytes
	r.start()
	r.wait("the lines to be read", func() bool { return r.status().Totals.Lines == 2 })
	r.must(os.Rename(r.path("a.log"), r.path("a.log.1")))
	r.append("a.log", "three\n")
	r.wait("a pin", func() bool { return r.status().Pins.Files == 1 })
	r.wait("the next file to be read", func() bool { return r.status().Totals.Lines == 3 })
	r.must(os.Rename(r.path("a.log"), r.path("a.log.2")))
	r.wait("the quota to be used up", func() bool {
		_, body := r.get("/healthz")
		return r.status().Pins.Unpinned == 1 && strings.Contains(body, "a.log.2 (6 bytes)")
	})
	s := r.status()
	if s.Pins.Files != 1 || s.Pins.Bytes != 8 || s.Pins.Refused != 1 {
		t.Errorf("pins %+v", s.Pins)
	}
	if text := strings.Join(s.Problems, "\n"); !strings.Contains(text, "pins.quota") || !strings.Contains(text, "a.log of") || !strings.Contains(text, "(8 bytes)") {
		t.Errorf("problems: %s", text)
	}
	r.mu.Lock()
	if n := strings.Count(r.log.String(), "is not pinned"); n != 1 {
		t.Errorf("said %d times", n)
	}
	r.mu.Unlock()
	g.open()
	r.wantMessages("one", "two", "three")
	r.released()
	r.wait("health", r.healthy)
	r.stop()
}

// TestActiveFileIsNotPinned, nor is one that is acknowledged when it is rotated.
func TestActiveFileIsNotPinned(t *testing.T) {
	r, g := pinRig(t)
	r.append("a.log", "one\n")
	r.append("b.log", "two\n")
	r.start()
	r.wait("the lines to be read", func() bool { return r.status().Totals.Lines == 2 })
	r.must(os.Rename(r.path("a.log"), r.path("a.log.1")))
	r.wait("a pin", func() bool { return r.status().Pins.Files == 1 })
	for _, f := range r.status().Files {
		if f.Pinned != (filepath.Base(f.Origin) == "a.log") {
			t.Errorf("%s: pinned %t", f.Path, f.Pinned)
		}
	}
	g.open()
	r.released()
	if _, err := os.Stat(r.path("a.log.1")); err != nil {
		t.Errorf("the file itself: %v", err)
	}
	r.stop()
}

// TestUnpinnedSpaceIsReleased wants the space of a removed file back when its
// pin goes: nothing but the reader's descriptor holds it then, which goes by
// itself.
func TestUnpinnedSpaceIsReleased(t *testing.T) {
	r, g := pinRig(t)
	r.append("a.log", "one\n")
	r.start()
	r.wait("the line to be read", func() bool { return r.status().Totals.Lines == 1 })
	r.must(os.Rename(r.path("a.log"), r.path("a.log.1")))
	r.wait("a pin", func() bool { return r.status().Pins.Files == 1 })
	r.must(os.Remove(r.path("a.log.1")))
	g.open()
	r.released()
	r.wait("the file to be seen as deleted", func() bool {
		return slices.ContainsFunc(r.status().Files, func(f FileState) bool { return f.Deleted })
	})
	r.stop()
}

func TestPinRecordKeepsTheFile(t *testing.T) {
	dir := t.TempDir()
	e := checkpoint.Entry{
		ID: 0xffee, Stream: 1 << 63, Origin: "/l/a\xff b.log", Path: "/l/a.log.1", Dev: 3, Ino: 1<<63 + 1, Head: checkpoint.Mark{Len: 5, Hash: 1 << 63},
		Offset: 5, Tail: checkpoint.Mark{Len: 5, Hash: 1<<64 - 1}, Parser: []byte{0, 255}, Found: time.Unix(0, 12345).UTC(),
	}
	p := pin{record: newPinRecord(&e, time.Unix(1, 0).UTC()), path: pinPath(dir, e.ID)}
	p.record.Copied, p.record.From = true, 2
	if err := p.copy(strings.NewReader("0123456789"), 10); err != nil {
		t.Fatal(err)
	}
	pins, err := readPins(dir)
	if err != nil || len(pins) != 1 {
		t.Fatalf("%v, %v", pins, err)
	}
	got := pins[e.ID]
	want := e
	want.Path, want.Rotated, want.Seen = p.path, true, time.Unix(1, 0).UTC()
	if entry := got.entry(e.ID); fmt.Sprint(entry) != fmt.Sprint(want) {
		t.Errorf("\n got  %+v\n want %+v", entry, want)
	}
	if b, err := os.ReadFile(p.path); err != nil || string(b) != "0123456789" {
		t.Errorf("%q, %v", b, err)
	}
	if was, err := removePin(dir, e.ID); !was || err != nil {
		t.Errorf("removed %t, %v", was, err)
	}
	if was, err := removePin(dir, e.ID); was || err != nil {
		t.Errorf("removed again %t, %v", was, err)
	}
}

// TestCopyCountsAsAcknowledged loses the last save of the checkpoint: what lies
// before the copy is in Kafka, and only the pin still knows.
func TestCopyCountsAsAcknowledged(t *testing.T) {
	e := checkpoint.Entry{ID: 7, Offset: 500}
	l := newLedger([]checkpoint.Entry{e}, time.Now)
	later := e
	later.Offset, later.Tail = 1000, checkpoint.Mark{Len: 64, Hash: 1}
	if l.adopt(later, false) {
		t.Error("a known file is adopted")
	}
	if got, _ := l.entry(7); got.Offset != 500 {
		t.Errorf("a link moved the prefix to %d", got.Offset)
	}
	l.adopt(later, true)
	if got, _ := l.entry(7); got.Offset != 1000 || got.Tail.Len != 64 {
		t.Errorf("a copy left the prefix at %d", got.Offset)
	}
	l.adopt(e, true)
	if got, _ := l.entry(7); got.Offset != 1000 {
		t.Errorf("an older copy moved the prefix to %d", got.Offset)
	}
}

// TestPinCopiesWhereTheQuotaIsSmall pins the unacknowledged end of a file that
// is larger than the quota.
func TestPinCopiesWhereTheQuotaIsSmall(t *testing.T) {
	t.Parallel()
	r := newRig(t, kfake.SeedTopics(1, topic))
	g := newGate(t, r.kafka.ListenAddrs()[0])
	r.append("a.log", strings.Repeat("a line of twenty by\n", 1000))
	r.must(r.once())
	r.c.Kafka.Brokers, r.c.Inputs[0].Pin, r.c.ShutdownTimeout, r.c.Pins.Quota = []string{g.addr}, true, 50*time.Millisecond, 2000
	r.append("a.log", "more\n")
	r.start()
	r.wait("the line to be read", func() bool { return r.status().Totals.Lines == 1 })
	r.must(os.Rename(r.path("a.log"), r.path("a.log.1")))
	r.wait("a pin", func() bool { return r.status().Pins.Files == 1 })
	if n := r.status().Pins.Bytes; n != 5+proofBytes+pinnedHead {
		t.Errorf("the pin holds %d bytes", n)
	}
	if _, err := r.rewind(beginning(r.path("a.log.1"))); err != nil { // the pin holds too little for that
		t.Fatal(err)
	}
	r.wait("the pin to be refused", func() bool { s := r.status().Pins; return s.Files == 0 && s.Unpinned == 1 })
	g.open()
	r.wait("all lines again", func() bool { return len(r.messages(topic)) >= 2001 })
	r.wait("health", r.healthy)
	r.stop()
}
