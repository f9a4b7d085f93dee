package agent

import (
	"bytes"
	"compress/gzip"
	"errors"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"shiplog/agent/admin"
	"shiplog/agent/checkpoint"
	"shiplog/tailer"
)

func at(file string, offset int64) admin.RewindRequest {
	return admin.RewindRequest{FileRequest: admin.NewFileRequest(file), To: &offset}
}

func line(file string, n int64) admin.RewindRequest {
	return admin.RewindRequest{FileRequest: admin.NewFileRequest(file), Line: n}
}

func beginning(file string) admin.RewindRequest {
	return admin.RewindRequest{FileRequest: admin.NewFileRequest(file), Beginning: true}
}

// rewind sets a file back, by the running agent or without one.
func (r *rig) rewind(q admin.RewindRequest) (Rewound, error) {
	return Rewind(r.t.Context(), r.c.StateDir, r.c, q, slog.New(slog.DiscardHandler))
}

func (r *rig) forget(file string) (Forgotten, error) {
	return Forget(r.t.Context(), r.c.StateDir, admin.NewFileRequest(file), slog.New(slog.DiscardHandler))
}

// acknowledged waits until all that was read is acknowledged.
func (r *rig) acknowledged() {
	r.t.Helper()
	r.wait("acknowledgements", func() bool {
		if len(r.status().Files) == 0 {
			return false // the agent has only just been started
		}
		for _, f := range r.status().Files {
			if f.Lag > 0 {
				return false
			}
		}
		return true
	})
}

// TestRewindAndForget changes the state of an agent that runs, and of one that
// does not.
func TestRewindAndForget(t *testing.T) {
	for _, running := range []bool{true, false} {
		name := map[bool]string{true: "running", false: "stopped"}[running]
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, kfake.SeedTopics(1, topic))
			r.append("a b.log", "one\ntwo\nthree\n")
			r.start()
			r.wantMessages("one", "two", "three")
			r.acknowledged()
			between := func(change func()) {
				if !running {
					r.stop()
					defer r.start()
				}
				change()
			}
			path := r.path("a b.log")
			between(func() {
				got, err := r.rewind(at(path, 4))
				if err != nil || got.From != 14 || got.To != 4 || got.Bytes != 10 || got.Path != path {
					t.Fatalf("%+v, %v", got, err)
				}
			})
			r.wantMessages("one", "two", "three", "two", "three")
			r.acknowledged()
			between(func() {
				id := r.entries()[0].ID
				if got, err := r.rewind(line(hex(id), 3)); err != nil || got.To != 8 {
					t.Fatalf("%+v, %v", got, err)
				}
			})
			r.wantMessages("one", "two", "three", "two", "three", "three")
			r.acknowledged()
			between(func() {
				if got, err := r.rewind(beginning(path)); err != nil || got.To != 0 || got.Bytes != 14 {
					t.Fatalf("%+v, %v", got, err)
				}
			})
			want := []string{"one", "two", "three", "two", "three", "three", "one", "two", "three"}
			r.wantMessages(want...)
			r.acknowledged()
			before := r.entries()[0].ID
			between(func() {
				if got, err := r.forget(path); err != nil || got.Offset != 14 || got.ID != hex(before) {
					t.Fatalf("%+v, %v", got, err)
				}
			})
			want = append(want, "one", "two", "three")
			r.wantMessages(want...)
			r.acknowledged()
			r.stop()
			if es := r.entries(); len(es) != 1 || es[0].ID == before || es[0].Offset != 14 {
				t.Errorf("afterwards: %+v", es)
			}
			r.append("a b.log", "four\n") // a restart finds nothing to repeat
			r.start()
			r.wantMessages(append(want, "four")...)
			r.stop()
		})
	}
}

func hex(id uint64) string { return tailer.FileID(id).String() }

func TestRewindRefuses(t *testing.T) {
	r := newRig(t, kfake.SeedTopics(1, topic))
	r.append("a.log", "one\ntwo\nthree\n")
	r.append("utf16.log", "\xfe\xff\x00o\x00\n")
	r.start()
	r.wait("the lines", func() bool { return len(r.messages(topic)) >= 4 })
	r.acknowledged()
	path := r.path("a.log")
	check := func() {
		t.Helper()
		for _, c := range []struct {
			q    admin.RewindRequest
			want string
		}{
			{at(path, 5), "not the beginning of a line; the next ones are 4 and 8"},
			{at(path, 15), "beyond 14"},
			{at(path, -1), "below 0"},
			{line(path, 5), "line 5 is not among those"},
			{line(path, -1), "the first is 1"},
			{at(r.path("none.log"), 0), "is not known"},
			{at("0123456789abcdef", 0), "no file has the id 0123456789abcdef"},
			{admin.RewindRequest{FileRequest: admin.NewFileRequest(path)}, "say where to"},
			{at(r.path("utf16.log"), 5), "the next ones are 0 and 6"},
		} {
			if got, err := r.rewind(c.q); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%+v: %+v, %v; want %q", c.q, got, err, c.want)
			}
		}
	}
	check()
	r.stop()
	check()
	if es := r.entries(); len(es) != 2 {
		t.Errorf("%+v", es)
	}
	r.must(os.WriteFile(path, []byte("another file, and longer than it was\n"), 0o600))
	if _, err := r.rewind(at(path, 0)); err == nil || !strings.Contains(err.Error(), "is not the content that is known") {
		t.Errorf("another file: %v", err)
	}
}

// TestChangeNeedsTheAgent wants a state that is in use left alone where the
// agent cannot be asked, and a clean end to stay one.
func TestChangeNeedsTheAgent(t *testing.T) {
	r := newRig(t, kfake.SeedTopics(1, topic))
	r.append("a.log", "one\n")
	r.must(r.once())
	if _, err := r.rewind(beginning(r.path("a.log"))); err != nil {
		t.Fatal(err)
	}
	s, err := checkpoint.Open(r.c.StateDir, checkpoint.Options{})
	r.must(err)
	if !s.Clean() {
		t.Error("the mark of a clean end is gone")
	}
	if _, err := r.rewind(beginning(r.path("a.log"))); err == nil || !strings.Contains(err.Error(), "in use by process") || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("in use, and no agent to ask: %v", err)
	}
	r.must(s.Save(s.Entries(), nil))
	r.must(s.Abandon())
	if _, err := r.rewind(beginning(r.path("a.log"))); err != nil {
		t.Fatal(err)
	}
	s, err = checkpoint.Open(r.c.StateDir, checkpoint.Options{})
	r.must(err)
	if s.Clean() {
		t.Error("an end that was none has become clean")
	}
	r.must(s.Close())
	if _, err := r.rewind(beginning(r.path("a.log"))); err != nil {
		t.Fatal(err)
	}
	r.c.StateDir = r.path("nowhere")
	if _, err := r.rewind(beginning(r.path("a.log"))); err == nil {
		t.Error("a state that is not there was changed")
	}
	if _, err := os.Stat(r.c.StateDir); err == nil {
		t.Error("it was made")
	}
}

func gzipped(t *testing.T, text string) string {
	t.Helper()
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, err := w.Write([]byte(text))
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return packed.String()
}

// TestRewindOfACompressedFile counts offsets in the uncompressed text.
func TestRewindOfACompressedFile(t *testing.T) {
	t.Parallel()
	r := newRig(t, kfake.SeedTopics(1, topic))
	r.append("a.log", gzipped(t, "one\ntwo\nthree\n"))
	r.must(r.once())
	path := r.path("a.log")
	if _, err := r.rewind(at(path, 5)); err == nil || !strings.Contains(err.Error(), "the next ones are 4 and 8") {
		t.Errorf("in a line: %v", err)
	}
	if got, err := r.rewind(line(path, 2)); err != nil || got.To != 4 || got.Bytes != 10 {
		t.Fatalf("%+v, %v", got, err)
	}
	r.must(r.once())
	r.wantMessages("one", "two", "three", "two", "three")
	r.why(path, true, "done", "14 of 14 bytes")
	r.start()
	r.wait("the file to be read to its end", func() bool { fs := r.status().Files; return len(fs) == 1 && fs[0].Read == 14 })
	if got, err := r.rewind(at(path, 8)); err != nil || got.Bytes != 6 {
		t.Fatalf("%+v, %v", got, err)
	}
	r.wantMessages("one", "two", "three", "two", "three", "three")
	r.stop()
}

// TestStaleAcknowledgements rewinds a file while what was read of it is in
// flight: what is acknowledged then does not count.
func TestStaleAcknowledgements(t *testing.T) {
	r := newRig(t)
	g := newGate(t, r.kafka.ListenAddrs()[0])
	r.c.Kafka.Brokers, r.c.ShutdownTimeout = []string{g.addr}, 50*time.Millisecond
	r.append("a.log", "one\ntwo\n")
	r.start()
	r.wait("the lines to be read", func() bool { return r.status().Totals.Lines == 2 })
	if got, err := r.rewind(beginning(r.path("a.log"))); err != nil || got.Bytes != 0 {
		t.Fatalf("%+v, %v", got, err)
	}
	r.wait("them to be read again", func() bool { return r.status().Totals.Lines == 4 })
	if _, err := r.forget(r.path("a.log")); err != nil {
		t.Fatal(err)
	}
	r.wait("them to be read once more", func() bool { return r.status().Totals.Lines == 6 })
	r.stop()
	es := r.entries()
	if len(es) != 1 || es[0].Offset != 0 {
		t.Errorf("%+v", es)
	}
}

// TestLedgerIgnoresStaleBlocks settles blocks of before a rewind and after it.
func TestLedgerIgnoresStaleBlocks(t *testing.T) {
	l := newLedger(nil, time.Now)
	event(l, tailer.Found, state(7, 0))
	old := []*tailer.Block{{File: 7, Start: 0, End: 10}, {File: 7, Start: 10, End: 20}}
	for _, b := range old {
		l.handed(b, "")
	}
	l.settled(old[0], 10, nil)
	l.event(tailer.Event{Kind: tailer.Rewound, File: state(7, 0), Epoch: 1})
	l.settled(old[1], 20, nil)
	offset := func() int64 { e, _ := l.entry(7); return e.Offset }
	if offset() != 0 {
		t.Errorf("what was read before the rewind moved the prefix to %d", offset())
	}
	again := &tailer.Block{File: 7, Start: 0, End: 10, Epoch: 1}
	l.handed(again, "")
	l.settled(again, 10, nil)
	if offset() != 10 {
		t.Errorf("what was read after the rewind leaves the prefix at %d", offset())
	}
	l.event(tailer.Event{Kind: tailer.Dropped, File: state(7, 10)})
	l.settled(&tailer.Block{File: 7, Start: 10, End: 20, Epoch: 1}, 20, nil)
	if changed, removed := l.take(); len(changed) != 0 || len(removed) != 1 || len(l.entries()) != 0 {
		t.Errorf("a dropped file: changed %v, removed %v", changed, removed)
	}
}

func TestPrintable(t *testing.T) {
	for path, want := range map[string]string{
		"/var/log/a.log": "/var/log/a.log", "/l/ü.log": "/l/ü.log", "/l/a b": `"/l/a b"`, "/l/a\nb": `"/l/a\nb"`, "/l/\xff": `"/l/\xff"`, "": `""`, "/l/\x1b[31m": `"/l/\x1b[31m"`,
	} {
		if got := Printable(path); got != want {
			t.Errorf("%q: %s, want %s", path, got, want)
		}
	}
	for word, want := range map[string]string{
		"/var/log/a.log": "/var/log/a.log", "/l/a b": "'/l/a b'", "/l/it's": `'/l/it'\''s'`, "/l/a\nb": `$'/l/a\nb'`, "/l/\xff'": `$'/l/\xff\''`, "": "''", "/l/$(id)": "'/l/$(id)'",
	} {
		if got := shellQuote(word); got != want {
			t.Errorf("%q: %s, want %s", word, got, want)
		}
	}
}
