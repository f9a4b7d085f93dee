package tailer

import (
	"context"
	"flag"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	flag.Parse()
	if flag.Lookup("test.parallel").Value.String() == strconv.Itoa(runtime.GOMAXPROCS(0)) { // the default
		flag.Set("test.parallel", "8") //nolint:errcheck // it exists: these tests wait more than they work
	}
	goleak.VerifyTestMain(m)
}

// rig runs a tailer over a folder and keeps what it hands over, and what an
// agent would write into its checkpoint.
type rig struct {
	t   *testing.T
	dir string
	o   Options

	mu      sync.Mutex
	lines   []line
	events  []Event
	carries int // entries that began in the file before
	states  map[FileID]State
	gate    chan struct{} // when set, blocks wait for it
	inside  sync.Map      // streams of which a block is being handled

	tailer *Tailer
	cancel context.CancelFunc
	done   chan error
}

// line is an entry as it was handed over.
type line struct {
	file       FileID
	origin     string
	text       string
	start, end int64
	flags      Flags
}

func newRig(t *testing.T, patterns ...string) *rig {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if len(patterns) == 0 {
		patterns = []string{"*.log"}
	}
	for i, p := range patterns {
		patterns[i] = filepath.Join(dir, p)
	}
	r := &rig{t: t, dir: dir, states: map[FileID]State{}}
	r.o = Options{
		Inputs:         []Input{{Name: "test", Paths: patterns, RotateWait: 100 * time.Millisecond}},
		RescanInterval: 30 * time.Millisecond,
	}
	t.Cleanup(func() { r.stop() })
	return r
}

// start runs a tailer that resumes from what the last one left.
func (r *rig) start() *rig {
	r.t.Helper()
	r.o.Resume = nil
	for _, s := range r.states {
		r.o.Resume = append(r.o.Resume, s)
	}
	r.o.OnEvent = r.event
	if testing.Verbose() && r.o.Log == nil {
		r.o.Log = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	tl, err := New(r.o)
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r.tailer, r.cancel, r.done = tl, cancel, make(chan error, 1)
	go func(done chan error) { done <- tl.Run(ctx, r.block) }(r.done)
	return r
}

// stop ends the tailer and waits for its end.
func (r *rig) stop() {
	if r.cancel == nil {
		return
	}
	r.cancel()
	r.cancel = nil
	if err := <-r.done; err != nil {
		r.t.Errorf("Run: %v", err)
	}
}

// finish waits for a tailer with Options.Once to end by itself.
func (r *rig) finish() {
	r.t.Helper()
	select {
	case err := <-r.done:
		r.cancel()
		r.cancel = nil
		if err != nil {
			r.t.Fatalf("Run: %v", err)
		}
	case <-time.After(90 * time.Second):
		r.t.Fatal("a run with Once does not end")
	}
}

func (r *rig) block(ctx context.Context, b *Block) error {
	if _, twice := r.inside.LoadOrStore(b.Stream, true); twice {
		r.t.Errorf("two blocks of one stream at a time")
	}
	defer r.inside.Delete(b.Stream)
	r.mu.Lock()
	gate := r.gate
	r.mu.Unlock()
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	at := b.Start
	for _, e := range b.Entries {
		if e.Start < at || e.End <= e.Start || e.End > b.End {
			r.t.Errorf("entry [%d,%d) does not lie in order in block [%d,%d)", e.Start, e.End, b.Start, b.End)
		}
		at = e.End
		if c := e.Carry; c != nil {
			s := r.states[c.File]
			if s.Offset != c.Start || c.Path == "" || e.Start != 0 {
				r.t.Errorf("carried %+v into [%d,%d), after %d", c, e.Start, e.End, s.Offset)
			}
			s.Offset, s.Head, s.Tail = c.End, c.Head, c.Tail
			r.states[c.File] = s
			r.carries++
		}
		r.lines = append(r.lines, line{b.File, filepath.Base(b.Origin), string(e.Data), e.Start, e.End, e.Flags})
	}
	if !b.Volatile {
		s := r.states[b.File]
		if s.Offset != b.Start && s.ID != 0 {
			r.t.Errorf("file %s: block [%d,%d) after %d", b.File, b.Start, b.End, s.Offset)
		}
		s.ID, s.Stream, s.Origin = b.File, b.Stream, b.Origin
		s.Offset, s.Head, s.Tail, s.Seen = b.End, b.Head, b.Tail(b.End), time.Unix(0, b.Seen)
		r.states[b.File] = s
	}
	b.Release()
	return nil
}

func (r *rig) event(e Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
	switch e.Kind {
	case Forgotten, Replaced, Dropped:
		if e.Kind != Replaced {
			delete(r.states, e.File.ID)
		}
	case Rewound:
		s := r.states[e.File.ID]
		s.Offset, s.Tail = e.File.Offset, e.File.Tail
		r.states[e.File.ID] = s
	default:
		s, known := r.states[e.File.ID]
		if !known {
			s = e.File
		}
		s.Found, s.Path, s.Origin, s.Dev, s.Ino, s.Rotated, s.Gone, s.Seen = e.File.Found, e.File.Path, e.File.Origin, e.File.Dev, e.File.Ino, e.File.Rotated, e.File.Gone, e.File.Seen
		s.Sealed = e.File.Sealed
		if e.Kind == Glimpsed && s.Offset == 0 { // what a glimpse at it found, as the agent keeps it
			s.Head = e.File.Head
		}
		r.states[e.File.ID] = s
	}
}

func (r *rig) path(name string) string { return filepath.Join(r.dir, name) }

func (r *rig) write(name, text string) {
	r.t.Helper()
	r.must(os.MkdirAll(filepath.Dir(r.path(name)), 0o755))
	r.must(os.WriteFile(r.path(name), []byte(text), 0o644))
}

func (r *rig) append(name, text string) {
	r.t.Helper()
	f, err := os.OpenFile(r.path(name), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	r.must(err)
	_, err = f.WriteString(text)
	r.must(err)
	r.must(f.Close())
}

func (r *rig) rename(from, to string) {
	r.t.Helper()
	r.must(os.Rename(r.path(from), r.path(to)))
}

func (r *rig) remove(name string) {
	r.t.Helper()
	r.must(os.RemoveAll(r.path(name)))
}

func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) texts() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []string
	for _, l := range r.lines {
		out = append(out, l.text)
	}
	return out
}

// want waits until exactly the given lines have come, in this order.
func (r *rig) want(texts ...string) {
	r.t.Helper()
	r.wait("the lines "+strings.Join(texts, " | "), func() bool { return len(r.texts()) >= len(texts) })
	if got := r.texts(); !slices.Equal(got, texts) {
		r.t.Fatalf("lines:\n got  %q\n want %q", got, texts)
	}
}

// nothingMore gives a line that must not come the time of so many scans.
func (r *rig) nothingMore(scans int) {
	r.t.Helper()
	had := len(r.texts())
	for end := time.Now().Add(time.Duration(scans) * r.o.RescanInterval); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if got := r.texts(); len(got) > had {
			r.t.Fatalf("got %.200q", got[had:])
		}
	}
}

// wait polls until ok, at most 90 s.
func (r *rig) wait(what string, ok func() bool) {
	r.t.Helper()
	for end := time.Now().Add(90 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			r.t.Fatalf("waited in vain for %s; lines %q, files %+v", what, r.texts(), r.tailer.Files())
		}
	}
}

// sawEvent waits until an event of that kind has been told.
func (r *rig) sawEvent(kind EventKind) Event {
	r.t.Helper()
	var found Event
	r.wait("event "+string(kind), func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, e := range r.events {
			if e.Kind == kind {
				found = e
				return true
			}
		}
		return false
	})
	return found
}

// firstFile returns the file of the first line.
func (r *rig) firstFile() FileID {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.lines[0].file
}
