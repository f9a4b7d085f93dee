package agent

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"shiplog/agent/checkpoint"
	"shiplog/shipper"
	"shiplog/tailer"
)

// newCrashRig has an agent that saves only what it must. The next save after
// that is an hour away.
func newCrashRig(t *testing.T, partitions int32) *rig {
	t.Helper()
	r := newRig(t, kfake.SeedTopics(partitions, topic))
	r.c.CheckpointInterval = time.Hour
	return r
}

// numberedLines returns lines with these numbers.
func numberedLines(from, to int) string {
	var b strings.Builder
	for i := from; i < to; i++ {
		fmt.Fprintf(&b, "line %d\n", i)
	}
	return b.String()
}

// crash ships text, appended to a.log, and crashes: the state is that of before
// the last save, though everything has arrived.
func (r *rig) crash(text string) {
	r.t.Helper()
	want := len(r.messages(topic)) + strings.Count(text, "\n")
	r.append("a.log", text)
	r.start()
	r.wait("the lines", func() bool { return len(r.messages(topic)) >= want })
	kept, err := readFolder(r.c.StateDir)
	if err != nil {
		r.t.Fatal(err)
	}
	r.stop()
	if err := writeFolder(r.c.StateDir, kept); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) said() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.String()
}

// expect waits for the lines of text to have arrived, and no others.
func (r *rig) expect(text string) {
	r.t.Helper()
	want := strings.Split(strings.TrimSpace(text), "\n")
	r.wait("the lines", func() bool { return len(r.messages(topic)) >= len(want) })
	got := r.messages(topic)
	if !slices.Equal(got, want) {
		r.t.Errorf("%d lines arrived, %d were written: %.300q; the agent said:\n%s", len(got), len(want), got, r.said())
	}
}

// TestNothingIsRepeatedAfterACrash crashes again and again, also while what is
// read back is being left out.
func TestNothingIsRepeatedAfterACrash(t *testing.T) {
	for name, once := range map[string]bool{"following": false, "once": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newCrashRig(t, 1)
			r.crash(numberedLines(0, 500))
			r.crash(numberedLines(500, 700))
			r.crash(numberedLines(700, 701))
			if es := r.entries(); len(es) != 1 || es[0].Offset != 0 || len(es[0].Ahead) != 700 {
				t.Fatalf("saved %d entries, the first at %d with %d records ahead: want what was read back", len(es), es[0].Offset, len(es[0].Ahead))
			}
			r.append("a.log", numberedLines(701, 900))
			if once {
				if err := r.once(); err != nil {
					t.Fatal(err)
				}
			} else {
				r.start()
				r.wait("the lines", func() bool { return len(r.messages(topic)) >= 900 })
				if s := r.status(); s.Totals.AlreadySent != 701 || !s.Healthy {
					t.Errorf("%d lines are left out (%v), want 701", s.Totals.AlreadySent, s.Problems)
				}
				r.stop()
			}
			r.expect(numberedLines(0, 900))
			es := r.entries()
			if len(es) != 1 || es[0].Offset != int64(len(numberedLines(0, 900))) || len(es[0].Ahead) > 0 {
				t.Errorf("saved %+v", es)
			}
			if err := r.once(); err != nil { // a clean start: nothing is read back
				t.Fatal(err)
			}
			r.expect(numberedLines(0, 900))
			if n := strings.Count(r.said(), "read back: nothing is sent again"); n != 3 {
				t.Errorf("read back %d times, want 3", n)
			}
		})
	}
}

// TestAFileThatWasWrittenAnew is emptied and written anew after a crash, with
// lines as long as those that were sent, and a beginning that is the same.
func TestAFileThatWasWrittenAnew(t *testing.T) {
	t.Parallel()
	r := newCrashRig(t, 1)
	r.crash("== log begins ==\nAAAA 1\nAAAA 2\nAAAA 3\n")
	if err := os.WriteFile(r.path("a.log"), []byte("== log begins ==\nBBBB 1\nAAAA 2\nBBBB 3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.start()
	r.wait("the new lines", func() bool { return len(r.messages(topic)) >= 6 })
	r.stop()
	// What is the same byte for byte, at the same place, cannot be told from what was sent.
	r.expect("== log begins ==\nAAAA 1\nAAAA 2\nAAAA 3\nBBBB 1\nBBBB 3\n")
}

// TestWhereNothingCanBeReadBack is at-least-once, and says so.
func TestWhereNothingCanBeReadBack(t *testing.T) {
	refuse := func(key kmsg.Key, err *kerr.Error) func(*rig) func() {
		return func(r *rig) func() {
			f := r.kafka.Fault(kfake.Fault{Keys: []kmsg.Key{key}, Topic: topic, Err: err, Count: -1})
			return func() { f.Remove() }
		}
	}
	for name, tc := range map[string]struct {
		arrange func(*rig) (over func())
		says    string
	}{
		"no right": {refuse(kmsg.Fetch, kerr.TopicAuthorizationFailed), "allow this user READ"},
		"too slow": {func(r *rig) func() {
			r.c.ReadbackTimeout = 300 * time.Millisecond
			return refuse(kmsg.Fetch, kerr.KafkaStorageError)(r)
		}, "longer than 300ms"},
		"switched off": {func(r *rig) func() { r.c.ReadbackTimeout = 0; return func() {} }, "readback_timeout is 0"},
		"no horizon": {func(r *rig) func() {
			s, err := checkpoint.Open(r.c.StateDir, checkpoint.Options{})
			if err != nil {
				r.t.Fatal(err)
			}
			s.SetHorizons(nil)
			if err := errors.Join(s.Save(nil, nil), s.Abandon()); err != nil {
				r.t.Fatal(err)
			}
			return func() {}
		}, "does not say where to read back from"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newCrashRig(t, 1)
			r.crash(numberedLines(0, 20))
			over := tc.arrange(r)
			r.start()
			r.wait("a warning", func() bool { return strings.Contains(r.said(), "is sent again") })
			over() // else we could not read the topic either
			r.wait("the lines again", func() bool { return len(r.messages(topic)) == 40 })
			r.wait("green health", r.healthy)
			r.stop()
			r.expect(numberedLines(0, 20) + numberedLines(0, 20))
			warnings := strings.Count(r.said(), "level=WARN") - strings.Count(r.said(), "outlive a reboot")
			if warnings != 1 || !strings.Contains(r.said(), tc.says) {
				t.Errorf("%d warnings, want one that says %q:\n%s", warnings, tc.says, r.said())
			}
		})
	}
}

// TestReadBackWaitsForKafka crashes, and starts without a broker: files are found
// and nothing is sent until it is there.
func TestReadBackWaitsForKafka(t *testing.T) {
	t.Parallel()
	r := newCrashRig(t, 1)
	r.crash(numberedLines(0, 20))
	g := newGate(t, r.kafka.ListenAddrs()[0])
	r.configure(g.addr, "")
	r.append("a.log", numberedLines(20, 30))
	r.append("b.log", "b\n")
	r.start()
	r.wait("red health", func() bool {
		code, body := r.get("/healthz")
		return code == 503 && strings.Contains(body, "read back") && strings.Contains(body, g.addr)
	})
	r.wait("the files", func() bool { return len(r.entries()) == 2 })
	r.stop() // and once more, with what it found
	r.start()
	r.wait("red health again", func() bool { code, _ := r.get("/healthz"); return code == 503 })
	g.open()
	r.wait("green health", r.healthy)
	r.wait("the lines", func() bool { return len(r.messages(topic)) >= 31 })
	r.stop() // before the gate, which waits for its connections to end
	got := r.messages(topic)
	slices.Sort(got)
	if len(got) != 31 || len(slices.Compact(got)) != 31 {
		t.Errorf("messages %q", got)
	}
}

// TestFoundFilesAreSavedFirst looks at the checkpoint whenever records arrive: it
// knows their sources.
func TestFoundFilesAreSavedFirst(t *testing.T) {
	t.Parallel()
	r := newRig(t, kfake.SeedTopics(1, topic))
	r.configure(r.kafka.ListenAddrs()[0], ", compression: none, linger: 0s")
	r.c.CheckpointInterval = time.Hour
	source := regexp.MustCompile(`src.([0-9a-f]{16})`)
	unknown := 0
	r.kafka.ControlKey(int16(kmsg.Produce), func(req kmsg.Request) (kmsg.Response, error, bool) {
		r.kafka.KeepControl()
		saved := map[string]bool{}
		es, err := checkpoint.ReadOnly(r.c.StateDir)
		if err != nil {
			unknown++
		}
		for _, e := range es {
			saved[tailer.FileID(e.ID).String()] = true
		}
		for _, t := range req.(*kmsg.ProduceRequest).Topics {
			for _, p := range t.Partitions {
				for _, m := range source.FindAllSubmatch(p.Records, -1) {
					if !saved[string(m[1])] {
						unknown++
					}
				}
			}
		}
		return nil, nil, false
	})
	r.start()
	for i := range 100 {
		r.append(fmt.Sprintf("%02d.log", i), "x\n")
	}
	r.wait("the records", func() bool { return len(r.messages(topic)) == 100 })
	r.stop()
	if unknown > 0 {
		t.Errorf("%d records came from sources that were not saved", unknown)
	}
}

// TestAwaitSaved lets a save go by that began before the file was found.
func TestAwaitSaved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLedger([]checkpoint.Entry{{ID: 1}}, time.Now)
		l.begin(nil, shipper.Offsets{topic: {}}, nil)
		l.take()
		l.finished(nil)
		event(l, tailer.Found, state(7, 0))
		if !l.handed(&tailer.Block{File: 1, End: 1}, topic) || l.handed(&tailer.Block{File: 7, End: 1}, topic) {
			t.Error("file 1 is of an earlier run, and 7 is not saved yet")
		}
		over := false
		go func() {
			if err := l.awaitSaved(t.Context(), 7, time.Hour); err != nil {
				t.Error(err)
			}
			over = true
		}()
		for _, step := range []struct {
			saved []checkpoint.Entry
			over  bool
		}{{nil, false}, {[]checkpoint.Entry{{ID: 1}}, false}, {[]checkpoint.Entry{{ID: 1}, {ID: 7}}, true}} {
			l.finished(step.saved)
			if synctest.Wait(); over != step.over {
				t.Fatalf("after a save of %v it is over: %v", step.saved, over)
			}
		}
		if !l.handed(&tailer.Block{File: 7, Start: 1, End: 2}, topic) {
			t.Error("it has to be waited for again")
		}
		if l.handed(&tailer.Block{File: 7, Start: 2, End: 3}, topic, "new") {
			t.Error("a topic of which the checkpoint knows nothing is not waited for")
		}
		l.take()
		l.finished(nil)
		if err := l.awaitSaved(t.Context(), 7, time.Hour, topic, "new"); err != nil || !l.handed(&tailer.Block{File: 7, Start: 3, End: 4}, topic, "new") {
			t.Errorf("the new topic is waited for again: %v", err)
		}
		event(l, tailer.Found, state(8, 0))
		if err := l.awaitSaved(t.Context(), 8, time.Second); err != nil { // a disk that hangs
			t.Error(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := l.awaitSaved(ctx, 8, time.Hour); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("it outlives its context: %v", err)
		}
	})
}

// TestWhatIsAcknowledgedAheadIsKept ends a run while one of two partitions takes
// nothing. The next one does not read back, and sends only what did not arrive.
func TestWhatIsAcknowledgedAheadIsKept(t *testing.T) {
	t.Parallel()
	r := newRig(t, kfake.SeedTopics(2, topic))
	r.configure(r.kafka.ListenAddrs()[0], ", key: application")
	r.c.CheckpointInterval, r.c.ShutdownTimeout, r.c.ReadbackTimeout = time.Hour, 300*time.Millisecond, 0
	var text strings.Builder
	for i := range 40 {
		fmt.Fprintf(&text, `{"message":"m%d","payload":{"application":"A%d"}}`+"\n", i, i)
	}
	r.append("a.log", text.String())
	stuck := r.kafka.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: topic, Partitions: []int32{0}, Err: kerr.NotEnoughReplicas, Count: -1})
	r.start()
	r.wait("what goes to the other partition", func() bool { return len(r.messages(topic)) > 0 })
	r.stop()
	es := r.entries()
	arrived := len(r.messages(topic))
	if arrived == 40 || len(es) != 1 || len(es[0].Ahead) == 0 {
		t.Fatalf("%d arrived, saved %+v", arrived, es)
	}
	stuck.Remove()
	r.start()
	r.wait("the rest", func() bool { return len(r.messages(topic)) >= 40 })
	r.stop()
	got := r.messages(topic)
	slices.Sort(got)
	if len(got) != 40 || len(slices.Compact(got)) != 40 {
		t.Errorf("%d messages, want 40 different ones: %q", len(got), got)
	}
}

func TestRangeOf(t *testing.T) {
	record := func(headers ...string) *kgo.Record {
		r := &kgo.Record{}
		for i := 0; i < len(headers); i += 2 {
			r.Headers = append(r.Headers, kgo.RecordHeader{Key: headers[i], Value: []byte(headers[i+1])})
		}
		return r
	}
	for _, tc := range []struct {
		record     *kgo.Record
		id         tailer.FileID
		start, end int64
		ok         bool
	}{
		{record("host", "h", "src", "00000000000000ff", "off", "10", "len", "5"), 255, 10, 15, true},
		{record("len", "5", "off", "0", "src", "1"), 1, 0, 5, true},
		{record("src", "ff", "off", "10"), 0, 0, 0, false},
		{record("src", "xyz", "off", "10", "len", "5"), 0, 0, 0, false},
		{record("src", "ff", "off", "-1", "len", "5"), 0, 0, 0, false},
		{record("src", "ff", "off", "1", "len", "0"), 0, 0, 0, false},
		{record("src", "ff", "off", "1", "len", fmt.Sprint(math.MaxInt64)), 0, 0, 0, false},
		{record("src", "ff", "src", "fe", "off", "1", "len", "2"), 0, 0, 0, false},
		{record(), 0, 0, 0, false},
	} {
		if id, start, end, ok := rangeOf(tc.record); id != tc.id || start != tc.start || end != tc.end || ok != tc.ok {
			t.Errorf("%v: %d [%d,%d) %v", tc.record.Headers, id, start, end, ok)
		}
	}
}

// FuzzRangeOf: what others write into their headers is no range of ours, or one
// that can be.
func FuzzRangeOf(f *testing.F) {
	f.Add("00000000000000ff", "10", "5")
	f.Add("ff", "9223372036854775807", "1")
	f.Fuzz(func(t *testing.T, src, off, length string) {
		_, start, end, ok := rangeOf(&kgo.Record{Headers: []kgo.RecordHeader{
			{Key: "src", Value: []byte(src)}, {Key: "off", Value: []byte(off)}, {Key: "len", Value: []byte(length)}}})
		if ok && (start < 0 || end <= start) {
			t.Errorf("%q %q %q: [%d,%d)", src, off, length, start, end)
		}
	})
}

func TestFinderKeepsToItsMemory(t *testing.T) {
	f := newFinder([]checkpoint.Entry{{ID: 1, Offset: 100}}, 3*sentMemory)
	for i := range 10 {
		r := &kgo.Record{Value: []byte("v"), Headers: []kgo.RecordHeader{
			{Key: "src", Value: []byte("1")}, {Key: "off", Value: fmt.Append(nil, 80+10*i)}, {Key: "len", Value: []byte("10")}}}
		if !f.take(r) {
			t.Error("not ours")
		}
	}
	want := []checkpoint.Sent{{Start: 100, End: 110, Sum: sumOf([]byte("v"))}, {Start: 110, End: 120, Sum: sumOf([]byte("v"))}, {Start: 120, End: 130, Sum: sumOf([]byte("v"))}}
	if !f.full || !slices.Equal(f.sent[1], want) {
		t.Errorf("full %v, kept %v", f.full, f.sent)
	}
}

func TestIsSent(t *testing.T) {
	a, b := sumOf([]byte("a")), sumOf([]byte("b"))
	sent := sortSent([]checkpoint.Sent{{Start: 20, End: 30, Sum: a}, {Start: 0, End: 10, Sum: a}, {Start: 20, End: 30, Sum: b}, {Start: 20, End: 30, Sum: a}, {Start: 20, End: 40, Sum: a}, {Start: 15, End: 20, Sum: a}})
	if len(sent) != 5 {
		t.Errorf("sorted %v", sent)
	}
	for _, tc := range []struct {
		start, end int64
		value      string
		want       bool
	}{
		{0, 10, "a", true}, {0, 10, "b", false}, {0, 9, "a", false}, {10, 20, "a", false}, {20, 30, "a", true}, {20, 30, "b", true}, {20, 40, "b", false}, {40, 50, "a", false},
	} {
		if got := isSent(sent, tc.start, tc.end, nil, []byte(tc.value)); got != tc.want {
			t.Errorf("[%d,%d) %s: %v", tc.start, tc.end, tc.value, got)
		}
	}
	if got := sentFrom(sent, 15); len(got) != 4 {
		t.Errorf("from 15: %v", got)
	}
}
