package agent

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/klauspost/compress/zstd"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"

	"shiplog/agent/checkpoint"
	"shiplog/agent/config"
	"shiplog/shipper"
	"shiplog/tailer"
)

func (r *rig) verify(o VerifyOptions) *Verification {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), 30*time.Second)
	defer cancel()
	v, err := Verify(ctx, r.c, o)
	if err != nil {
		r.t.Fatal(err)
	}
	return v
}

// proof returns what was found out about one file.
func (r *rig) proof(v *Verification, name string) *FileProof {
	r.t.Helper()
	for i := range v.Files {
		if v.Files[i].Path == r.path(name) {
			return &v.Files[i]
		}
	}
	r.t.Fatalf("nothing is said of %s: %+v", name, v)
	return nil
}

// ship sends what is there.
func (r *rig) ship() {
	r.t.Helper()
	if err := r.once(); err != nil {
		r.t.Fatal(err)
	}
}

// shipAll sends what is there until the topic has n records: a run that ends when
// all is read may not have met yet what took the name of a rotated file.
func (r *rig) shipAll(n int64) {
	r.t.Helper()
	r.wait(fmt.Sprintf("%d records", n), func() bool {
		r.ship()
		have := int64(0)
		for _, p := range r.kafka.PartitionInfos(topic) {
			have += p.HighWatermark
		}
		return have >= n
	})
}

// waitSaved waits until one file has so many lines acknowledged, and until the
// checkpoint knows.
func (r *rig) waitSaved(lines int64) {
	r.t.Helper()
	r.wait("the checkpoint", func() bool {
		s := r.status()
		if len(s.Files) != 1 || s.Totals.Acknowledged != lines {
			return false
		}
		e := r.entries()
		return len(e) == 1 && e[0].Offset == s.Files[0].Acknowledged && (lines == 0 || e[0].Offset > 0)
	})
}

// logLines makes n lines, with their newlines.
func logLines(from, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "line %d of the log\n", from+i)
	}
	return b.String()
}

// copyRecords puts the records of the topic, which has one partition, changed by edit, into another topic
// and makes the configuration name that. edit returns what becomes of a record.
func (r *rig) copyRecords(to string, edit func(i int, rec *kgo.Record) []*kgo.Record) {
	r.t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(r.kafka.ListenAddrs()...), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		r.t.Fatal(err)
	}
	defer cl.Close()
	var all []*kgo.Record
	if _, err := shipper.Scan(r.t.Context(), shipper.ScanOptions{Brokers: r.kafka.ListenAddrs(), Topics: []string{r.c.Kafka.Topic}}, func(_ string, _ int32, records []*kgo.Record) {
		all = append(all, records...)
	}); err != nil {
		r.t.Fatal(err)
	}
	for i, rec := range all {
		for _, e := range edit(i, rec) {
			one := &kgo.Record{Topic: to, Key: e.Key, Value: e.Value, Headers: e.Headers, Timestamp: e.Timestamp}
			if err := cl.ProduceSync(r.t.Context(), one).FirstErr(); err != nil {
				r.t.Fatal(err)
			}
		}
	}
	r.c.Kafka.Topic = to
}

func kept(_ int, rec *kgo.Record) []*kgo.Record { return []*kgo.Record{rec} }

// TestVerifyComplete: all that has arrived is proved, however it looks.
func TestVerifyComplete(t *testing.T) {
	r := newRig(t, kfake.SeedTopics(3, topic))
	r.append("a.log", "\xef\xbb\xbffirst\n\n  \t\n"+logLines(0, 500)+"\x00\x00\x00\x00\nlast\r\n\r\n")
	r.append("b.log", `{"message":"m","payload":{"application":"A","params":{"n":1.10}}}`+"\n{broken\n"+strings.Repeat("x", 3<<20)+"\nend\n")
	r.ship()
	r.append("a.log", "not ended")
	for _, o := range []VerifyOptions{{}, {Deep: true}, {NoState: true}, {NoState: true, Deep: true}} {
		v := r.verify(o)
		a, b := r.proof(v, "a.log"), r.proof(v, "b.log")
		if !v.Complete || v.Repeated || a.Unfinished != 9 || a.Blank == 0 || b.Covered != b.Size || a.Compared == 0 || a.Otherwise+b.Otherwise != 0 || len(v.Gone) != 0 {
			t.Errorf("%+v: %+v", o, v)
		}
		if o.Deep && (a.Compared != 502 || b.Compared != 4) {
			t.Errorf("compared %d and %d records", a.Compared, b.Compared)
		}
		if want := "by the checkpoint, confirmed by its content"; !o.NoState && a.Matched != want {
			t.Errorf("matched %s", a.Matched)
		}
	}
	v := r.verify(VerifyOptions{Files: []string{r.path("b.log")}})
	if len(v.Files) != 1 || !v.Complete {
		t.Errorf("%+v", v)
	}
}

// TestVerifyFindsWhatIsPlanted takes records out, doubles, swaps and changes
// them.
func TestVerifyFindsWhatIsPlanted(t *testing.T) {
	r := newRig(t, kfake.SeedTopics(1, topic, "planted"))
	r.append("a.log", logLines(0, 100))
	r.ship()
	var held *kgo.Record
	r.copyRecords("planted", func(i int, rec *kgo.Record) []*kgo.Record {
		switch i {
		case 10, 11, 50: // lost
			return nil
		case 20: // came twice more
			return []*kgo.Record{rec, rec, rec}
		case 30: // comes late
			held = rec
			return nil
		case 32:
			return []*kgo.Record{rec, held}
		case 99: // the last one is always compared
			rec.Value = []byte(`{"message":"other","payload":{"application":"Pool Cars","params":{}}}`)
		}
		return []*kgo.Record{rec}
	})
	lines := strings.SplitAfter(logLines(0, 100), "\n")
	at := func(n int) (off int64) {
		for _, l := range lines[:n] {
			off += int64(len(l))
		}
		return off
	}
	for _, state := range []bool{true, false} {
		// Without a state the changed record keeps the source from being matched.
		v := r.verify(VerifyOptions{NoState: !state})
		f := r.proof(v, "a.log")
		if !state {
			if v.Complete || len(v.Gone) != 1 {
				t.Errorf("%+v", v)
			}
			continue
		}
		wantGaps := []Gap{
			{Start: at(10), End: at(12), Line: 11, Lines: 2, Text: []string{"line 10 of the log", "line 11 of the log"}},
			{Start: at(50), End: at(51), Line: 51, Lines: 1, Text: []string{"line 50 of the log"}},
		}
		if !reflect.DeepEqual(f.Gaps, wantGaps) || f.GapLines != 3 || f.GapCount != 2 || f.GapBytes != at(12)-at(10)+at(51)-at(50) {
			t.Errorf("gaps %+v, want %+v; %+v", f.Gaps, wantGaps, f)
		}
		if want := []Repeat{{at(20), at(21), 3}}; !reflect.DeepEqual(f.Repeats, want) {
			t.Errorf("repeats %+v, want %+v", f.Repeats, want)
		}
		if f.LateCount != 1 || f.Late[0].Start != at(30) || f.Late[0].End != at(31) || f.Late[0].Topic != "planted" {
			t.Errorf("late %+v", f.Late)
		}
		if f.DifferCount != 1 || f.Differ[0].Start != at(99) {
			t.Errorf("differ %+v", f.Differ)
		}
		if v.Complete || !v.Repeated {
			t.Errorf("complete %v, repeated %v", v.Complete, v.Repeated)
		}
	}
}

// TestVerifyDeepFindsAChangedRecord that no sample takes.
func TestVerifyDeepFindsAChangedRecord(t *testing.T) {
	r := newRig(t, kfake.SeedTopics(1, topic, "changed"))
	r.append("a.log", logLines(0, 1000))
	r.ship()
	r.copyRecords("changed", func(i int, rec *kgo.Record) []*kgo.Record {
		switch i {
		case 501:
			rec.Value = []byte(`{"message":"other"}`)
		case 601: // the text is right, the envelope another
			rec.Value = bytes.Replace(rec.Value, []byte("Pool Cars"), []byte("Fleet"), 1)
		}
		return kept(i, rec)
	})
	if v := r.verify(VerifyOptions{}); !v.Complete {
		t.Errorf("the sample took it: %+v", v)
	}
	v := r.verify(VerifyOptions{Deep: true})
	f := r.proof(v, "a.log")
	if v.Complete || f.DifferCount != 1 || f.Differ[0].Offset != 501 || f.Otherwise != 1 || f.Compared != 1000 {
		t.Errorf("%+v", f)
	}
}

// TestVerifyWhileTheAgentRuns sees lines that are on their way as pending, and
// those that never come as gaps once no agent runs.
func TestVerifyWhileTheAgentRuns(t *testing.T) {
	r := newRig(t, kfake.SeedTopics(1, topic))
	r.append("a.log", logLines(0, 50))
	r.start()
	r.waitSaved(50)
	done := make(chan struct{})
	go func() { // a writer that does not rest
		defer close(done)
		for i := range 300 {
			r.append("a.log", logLines(50+i, 1))
		}
	}()
	for range 5 {
		v := r.verify(VerifyOptions{})
		if f := r.proof(v, "a.log"); !v.Complete || !v.Running || f.GapBytes != 0 {
			t.Errorf("%+v", v)
		}
	}
	<-done
	r.stop()
	r.ship()
	if v := r.verify(VerifyOptions{}); !v.Complete || v.Running || r.proof(v, "a.log").Covered != r.proof(v, "a.log").Size {
		t.Errorf("%+v", v)
	}
	r.append("a.log", "one more\n")
	f := r.proof(r.verify(VerifyOptions{}), "a.log")
	if f.GapLines != 1 || f.UnsentBytes != 9 || !f.Gaps[0].Unsent || f.Gaps[0].Line != 351 {
		t.Errorf("%+v", f)
	}
}

// TestVerifyPending holds the records back, so that the agent cannot be done.
func TestVerifyPending(t *testing.T) {
	t.Parallel()
	r := newRig(t, kfake.SeedTopics(1, topic))
	r.append("a.log", logLines(0, 10))
	r.start()
	r.waitSaved(10)
	r.kafka.ControlKey(kmsg.Produce.Int16(), func(kmsg.Request) (kmsg.Response, error, bool) {
		r.kafka.KeepControl()
		return nil, errors.New("away"), true
	})
	r.append("a.log", logLines(10, 5))
	r.wait("the lines to be read", func() bool { return r.status().Totals.Lines == 15 })
	v := r.verify(VerifyOptions{})
	if f := r.proof(v, "a.log"); !v.Complete || f.Pending != f.Size-f.Covered || f.Pending == 0 {
		t.Errorf("%+v", f)
	}
}

// compress replaces a file by its compressed form.
func (r *rig) compress(name, ext string) {
	r.t.Helper()
	data, err := os.ReadFile(r.path(name))
	if err != nil {
		r.t.Fatal(err)
	}
	var b bytes.Buffer
	switch ext {
	case ".gz": // two streams, as appended archives have
		for _, part := range [][]byte{data[:len(data)/2], data[len(data)/2:]} {
			z := gzip.NewWriter(&b)
			if _, err = z.Write(part); err == nil {
				err = z.Close()
			}
		}
	case ".zst":
		var z *zstd.Encoder
		if z, err = zstd.NewWriter(&b); err == nil {
			b.Write(z.EncodeAll(data, nil))
			err = z.Close()
		}
	}
	if err == nil {
		err = os.WriteFile(r.path(name+ext), b.Bytes(), 0o600)
	}
	if err == nil {
		err = os.Remove(r.path(name))
	}
	if err != nil {
		r.t.Fatal(err)
	}
}

// TestVerifyGenerations rotates and compresses, with a banner that all
// generations share.
func TestVerifyGenerations(t *testing.T) {
	const banner = "=== the application has started ===\n"
	r := newRig(t, kfake.SeedTopics(1, topic, "planted"))
	for g := range 4 {
		r.append("a.log", banner+logLines(1000*g, 200))
		r.shipAll(int64(201 * (g + 1)))
		if g < 3 {
			if err := os.Rename(r.path("a.log"), r.path(fmt.Sprintf("a.log.%d", g))); err != nil {
				t.Fatal(err)
			}
		}
	}
	r.ship()
	r.compress("a.log.0", ".gz")
	r.compress("a.log.1", ".zst")
	names := []string{"a.log.0.gz", "a.log.1.zst", "a.log.2", "a.log"}
	for _, o := range []VerifyOptions{{}, {Deep: true}, {NoState: true, Deep: true, Files: []string{r.path("a.log.0.gz"), r.path("a.log.1.zst"), r.path("a.log.2"), r.path("a.log")}}} {
		v := r.verify(o)
		for _, n := range names {
			if f := r.proof(v, n); f.Covered != f.Size || f.Size == 0 || len(f.Sources) != 1 || f.RepeatCount != 0 {
				t.Errorf("%+v", f)
			}
		}
		if !v.Complete || v.Repeated || len(v.Gone) != 0 {
			t.Errorf("%+v", v)
		}
	}
	// A gap in a compressed one is found, and named.
	r.copyRecords("planted", func(i int, rec *kgo.Record) []*kgo.Record {
		if i == 42 || i == 201+100 {
			return nil
		}
		return kept(i, rec)
	})
	v := r.verify(VerifyOptions{})
	gz, zst := r.proof(v, "a.log.0.gz"), r.proof(v, "a.log.1.zst")
	if gz.GapLines != 1 || gz.Gaps[0].Text[0] != "line 41 of the log" || gz.Gaps[0].Line != 43 || zst.GapLines != 1 || zst.Gaps[0].Text[0] != "line 1099 of the log" {
		t.Errorf("%+v\n%+v", gz, zst)
	}
	// A file that is gone is told, and is no failure.
	r.c.Kafka.Topic = topic
	if err := os.Remove(r.path("a.log.1.zst")); err != nil {
		t.Fatal(err)
	}
	v = r.verify(VerifyOptions{})
	if !v.Complete || len(v.Gone) != 1 || v.Gone[0].Holes != 0 || v.Gone[0].Records != 201 || v.Gone[0].Path != r.path("a.log") {
		t.Errorf("%+v", v.Gone)
	}
	// A damaged archive cannot be verified, and says so.
	whole, err := os.ReadFile(r.path("a.log.0.gz"))
	if err == nil {
		err = os.WriteFile(r.path("a.log.0.gz"), whole[:len(whole)-20], 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	if v = r.verify(VerifyOptions{Files: []string{r.path("a.log.0.gz")}}); v.Complete || r.proof(v, "a.log.0.gz").Problem == "" {
		t.Errorf("%+v", v)
	}
}

// TestVerifyShortGeneration: what came of a generation that is gone does not hide
// that the one after it, which begins alike, lacks the same line.
func TestVerifyShortGeneration(t *testing.T) {
	for _, o := range []VerifyOptions{{}, {NoState: true}} {
		r := newRig(t, kfake.SeedTopics(1, topic, "planted"))
		r.append("a.log", "started\n")
		r.ship()
		if err := os.Rename(r.path("a.log"), r.path("a.log.1")); err != nil {
			t.Fatal(err)
		}
		r.append("a.log", "started\n"+logLines(0, 10))
		r.shipAll(12)
		if err := os.Remove(r.path("a.log.1")); err != nil {
			t.Fatal(err)
		}
		r.copyRecords("planted", func(i int, rec *kgo.Record) []*kgo.Record {
			if i == 1 {
				return nil
			}
			return kept(i, rec)
		})
		v := r.verify(o)
		f := r.proof(v, "a.log")
		if v.Complete || f.GapLines != 1 || f.Gaps[0].Text[0] != "started" || len(f.Sources) != 1 || len(v.Gone) != 1 || v.Gone[0].Records != 1 {
			t.Errorf("%+v: %+v", o, v)
		}
	}
}

// TestContent reads everywhere in a file, plain and compressed.
func TestContent(t *testing.T) {
	want := []byte(logLines(0, 3000))
	archive, err := os.ReadFile("testdata/lines.bz2")
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, dir: t.TempDir()}
	for _, ext := range []string{".gz", ".zst"} {
		r.append("a.log", string(want))
		r.compress("a.log", ext)
	}
	r.append("a.log", string(want))
	if err := os.WriteFile(r.path("a.log.bz2"), archive, 0o600); err != nil {
		t.Fatal(err)
	}
	for ext, compression := range map[string]string{"": "", ".gz": "gzip", ".zst": "zstd", ".bz2": "bzip2"} {
		t.Run(compression, func(t *testing.T) {
			inv := &inventory{c: &config.Config{}, seen: map[string]bool{}}
			if err := inv.add(r.path("a.log"+ext), true); err != nil {
				t.Fatal(err)
			}
			f := inv.files[0]
			if f.err != nil || f.compression != compression || !bytes.Equal(f.head, want[:headBytes]) {
				t.Fatalf("%+v", f)
			}
			c, err := f.open()
			if err != nil {
				t.Fatal(err)
			}
			defer c.close()
			rapid.Check(t, func(t *rapid.T) {
				start := rapid.IntRange(0, len(want)+10).Draw(t, "start")
				n := rapid.IntRange(0, 3000).Draw(t, "n")
				got, err := c.read([]byte("before"), int64(start), n)
				from := min(start, len(want))
				if err != nil || string(got) != "before"+string(want[from:min(from+n, len(want))]) {
					t.Fatalf("%d bytes from %d: %d (%v)", n, start, len(got), err)
				}
			})
		})
	}
}

// TestVerifyOnAnotherHost has the files at hand, under other paths, and no state.
func TestVerifyOnAnotherHost(t *testing.T) {
	r := newRig(t, kfake.SeedTopics(2, topic))
	r.append("a.log", logLines(0, 300))
	r.append("b.log", logLines(5000, 300))
	r.ship()
	there := t.TempDir()
	for from, to := range map[string]string{"a.log": "a.log.copy", "b.log": "something-else"} {
		data, err := os.ReadFile(r.path(from))
		if err == nil {
			err = os.WriteFile(filepath.Join(there, to), data, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	r.c.StateDir = filepath.Join(there, "no-state")
	v := r.verify(VerifyOptions{Files: []string{filepath.Join(there, "a.log.copy"), filepath.Join(there, "something-else")}})
	if !v.Complete || v.State != "" || len(v.Files) != 2 || v.Files[0].Matched != "by its content" || v.Files[1].Matched != "by its content" || v.Files[1].Covered != v.Files[1].Size {
		t.Errorf("%+v", v)
	}
}

// TestVerifyTwoSources: a file that was sent again, because its state was lost.
func TestVerifyTwoSources(t *testing.T) {
	r := newRig(t, kfake.SeedTopics(1, topic))
	r.append("a.log", logLines(0, 100))
	r.ship()
	if err := os.RemoveAll(r.c.StateDir); err != nil {
		t.Fatal(err)
	}
	r.append("a.log", logLines(100, 50))
	r.ship()
	v := r.verify(VerifyOptions{})
	f := r.proof(v, "a.log")
	if !v.Complete || !v.Repeated || len(f.Sources) != 2 || f.RepeatCount != 1 || f.Repeats[0].Times != 2 || f.Repeats[0].Start != 0 || f.RepeatBytes != int64(len(logLines(0, 100))) {
		t.Errorf("%+v", f)
	}
}

// TestVerifyStartedAtEnd knows what was left out on purpose.
func TestVerifyStartedAtEnd(t *testing.T) {
	r := newRig(t, kfake.SeedTopics(1, topic))
	r.c.Inputs[0].Start = "end"
	r.append("a.log", logLines(0, 100))
	r.start()
	r.waitSaved(0)
	r.append("a.log", logLines(100, 10))
	r.wait("the lines", func() bool { return len(r.records(topic)) == 10 })
	r.stop()
	want := []SkipProof{{checkpoint.StartedAtEnd.String(), int64(len(logLines(0, 100)))}}
	v := r.verify(VerifyOptions{})
	if f := r.proof(v, "a.log"); !v.Complete || !reflect.DeepEqual(f.Skipped, want) {
		t.Errorf("%+v", f)
	}
	// Without the journal it is a gap.
	if err := os.Remove(filepath.Join(r.c.StateDir, "skips")); err != nil {
		t.Fatal(err)
	}
	if v := r.verify(VerifyOptions{}); v.Complete || r.proof(v, "a.log").GapLines != 100 {
		t.Errorf("%+v", v)
	}
}

// TestVerifyBooks: what the journal and the dead letter file know is no gap.
func TestVerifyBooks(t *testing.T) {
	r := newRig(t, kfake.SeedTopics(1, topic, "planted"))
	r.append("a.log", logLines(0, 100))
	r.ship()
	id := r.entries()[0].ID
	var dropped []byteRange
	r.copyRecords("planted", func(i int, rec *kgo.Record) []*kgo.Record {
		if i >= 10 && i < 16 {
			in := readHeaders(rec)
			dropped = append(dropped, in.own)
			return nil
		}
		return kept(i, rec)
	})
	s, err := checkpoint.OpenSkips(r.c.StateDir, checkpoint.SkipsOptions{})
	if err != nil {
		t.Fatal(err)
	}
	s.Append(checkpoint.Skip{File: id, Start: dropped[0].start, End: dropped[1].end, Reason: checkpoint.Filtered})
	s.Append(checkpoint.Skip{File: id, Start: dropped[3].start, End: dropped[3].end, Reason: checkpoint.Sampled})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	letter := fmt.Sprintf(`{"time":"2026-11-25T00:00:00Z","reason":"too large","topic":"t","path":"p","src":"%016x","off":%d,"len":%d,"bytes":"AAAA"}`, id, dropped[4].start, dropped[4].end-dropped[4].start)
	if err := os.WriteFile(filepath.Join(r.c.StateDir, deadLetterName), []byte(letter+"\n{broken\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	v := r.verify(VerifyOptions{})
	f := r.proof(v, "a.log")
	want := []SkipProof{{"filtered", dropped[1].end - dropped[0].start}, {"left out by sampling", dropped[3].end - dropped[3].start}}
	if !reflect.DeepEqual(f.Skipped, want) || f.DeadLettered != dropped[4].end-dropped[4].start || f.GapLines != 2 || f.GapCount != 2 || f.Gaps[0].Start != dropped[2].start || f.Gaps[1].Start != dropped[5].start {
		t.Errorf("%+v", f)
	}
	if !strings.Contains(strings.Join(v.Notes, "\n"), "1 lines are damaged") {
		t.Errorf("%q", v.Notes)
	}
}

// TestVerifyTransformed: what was left out is known, what was changed is
// compared as changed, and the path that was redacted is found.
func TestVerifyTransformed(t *testing.T) {
	for name, transforms := range map[string]string{
		"filtered": "  - drop: message contains \"debug\"\n  - limit: {per_second: 0.001, burst: 150}\n  - redact: {patterns: [secret, log]}\n",
		"sampled":  "  - sample: 0.5\n  - set: {operation: o}\n",
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, kfake.SeedTopics(1, topic))
			c, err := config.Decode(strings.NewReader("application: A\nkafka: {brokers: [b]}\ninputs:\n  - paths: [/x]\ntransforms:\n"+transforms), "t.yaml", nil)
			if err != nil {
				t.Fatal(err)
			}
			r.c.Transforms = c.Transforms
			file := name + ".log"
			for i := range 100 {
				r.append(file, fmt.Sprintf("debug %d\n\ndebug again\nsecret line %d\nline\n", i, i))
			}
			r.ship()
			for _, o := range []VerifyOptions{{}, {Deep: true}, {NoState: true, Files: []string{r.path(file)}}} {
				v := r.verify(o)
				f := r.proof(v, file)
				if f.DifferCount+f.Otherwise != 0 || f.Compared == 0 {
					t.Errorf("%+v: %+v", o, f)
				}
				if o.NoState {
					if v.Complete || f.Matched != "by its content" {
						t.Errorf("%+v", f)
					}
					continue
				}
				if !v.Complete || f.SkippedBytes() == 0 || f.Covered+f.SkippedBytes()+f.Blank != f.Size || (name == "filtered") != (len(f.Skipped) == 2) {
					t.Errorf("%+v: %+v", o, f)
				}
			}
		})
	}
}

// TestVerifyStateful: a parser that learns from earlier lines makes the same of
// them again.
func TestVerifyStateful(t *testing.T) {
	r := newRig(t, kfake.SeedTopics(1, topic))
	r.c.Inputs[0].Format = "csv"
	r.append("a.log", "time,user,message\n")
	for i := range 300 {
		r.append("a.log", fmt.Sprintf("%d,u%d,\"text %d\"\n", i, i%7, i))
	}
	r.ship()
	for _, o := range []VerifyOptions{{}, {Deep: true}, {NoState: true}} {
		v := r.verify(o)
		if f := r.proof(v, "a.log"); !v.Complete || f.Covered != f.Size || f.Compared == 0 || f.Unsure+f.Otherwise+f.DifferCount != 0 {
			t.Errorf("%+v: %+v", o, f)
		}
	}
}

// TestVerifyJoinedAndEncoded: entries of several lines, and another encoding.
func TestVerifyJoinedAndEncoded(t *testing.T) {
	r := newRig(t, kfake.SeedTopics(1, topic))
	r.start()
	var text strings.Builder
	for i := range 60 {
		fmt.Fprintf(&text, "2026-11-25 10:00:%02d ERROR it failed %d\njava.lang.IllegalStateException: no\n\tat com.example.Foo.bar(Foo.java:%d)\n\n\tat com.example.Main.main(Main.java:2)\n", i, i, i)
	}
	r.append("a.log", text.String())
	wide := []byte("\xff\xfe")
	for _, c := range utf16.Encode([]rune("Zeile eins: Größe\r\n\r\n" + strings.Repeat("noch eine Zeile\r\n", 50))) {
		wide = append(wide, byte(c), byte(c>>8))
	}
	r.append("b.log", string(wide))
	r.wait("all to be acknowledged", func() bool {
		s := r.status()
		return len(s.Files) == 2 && s.Files[0].Lag == 0 && s.Files[1].Lag == 0
	})
	r.stop()
	for _, o := range []VerifyOptions{{}, {Deep: true}, {NoState: true}} {
		v := r.verify(o)
		for _, name := range []string{"a.log", "b.log"} {
			if f := r.proof(v, name); !v.Complete || f.GapBytes != 0 || f.Compared == 0 || f.Otherwise+f.Unsure+f.DifferCount != 0 {
				t.Errorf("%+v: %+v", o, f)
			}
		}
	}
}

// TestVerifyWhatTheTopicLost: what retention took is not called a gap.
func TestVerifyWhatTheTopicLost(t *testing.T) {
	r := newRig(t, kfake.SeedTopics(1, topic))
	r.append("a.log", logLines(0, 100))
	r.ship()
	r.deleteRecords(topic, 40)
	v := r.verify(VerifyOptions{})
	f := r.proof(v, "a.log")
	if v.Complete || f.GapBytes != 0 || f.Unseen != int64(len(logLines(0, 40))) || !strings.Contains(strings.Join(v.Notes, "\n"), "offsets 0 to 39 of logs, partition 0, are no longer in the topic") {
		t.Errorf("%+v", v)
	}
	// What lies behind the checkpoint was never in the topic.
	r.append("a.log", "one more\n")
	if f := r.proof(r.verify(VerifyOptions{}), "a.log"); f.GapLines != 1 || !f.Gaps[0].Unsent {
		t.Errorf("%+v", f)
	}
	r.deleteRecords(topic, 100)
	if f := r.proof(r.verify(VerifyOptions{}), "a.log"); f.GapLines != 1 || !f.Gaps[0].Unsent || f.Unseen != int64(len(logLines(0, 100))) {
		t.Errorf("%+v", f)
	}
}

// TestVerifyFromAnOffset: what was not to be read is no gap.
func TestVerifyFromAnOffset(t *testing.T) {
	r := newRig(t, kfake.SeedTopics(1, topic))
	r.append("a.log", logLines(0, 100))
	r.ship()
	v := r.verify(VerifyOptions{From: 60})
	if f := r.proof(v, "a.log"); !v.Complete || f.NotRead != int64(len(logLines(0, 60))) {
		t.Errorf("%+v", f)
	}
}

// TestVerifyCopyTruncate: the copy has what came under the old id.
func TestVerifyCopyTruncate(t *testing.T) {
	t.Parallel()
	r := newRig(t, kfake.SeedTopics(1, topic))
	r.append("a.log", logLines(0, 100))
	r.start()
	r.waitSaved(100)
	data, err := os.ReadFile(r.path("a.log"))
	if err == nil {
		err = os.WriteFile(r.path("a.log.1"), data, 0o600)
	}
	if err == nil {
		err = os.Truncate(r.path("a.log"), 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	r.append("a.log", logLines(500, 50))
	r.wait("the new lines", func() bool { return r.status().Totals.Acknowledged == 150 })
	r.stop()
	v := r.verify(VerifyOptions{Deep: true})
	if f, old := r.proof(v, "a.log"), r.proof(v, "a.log.1"); !v.Complete || v.Repeated || f.Covered != f.Size || old.Covered != old.Size || old.Size != int64(len(data)) || len(v.Gone) != 0 {
		t.Errorf("%+v", v)
	}
	// A copy that nobody knows is told of, and is no failure.
	if err := os.WriteFile(r.path("a.log.0"), []byte("another\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(r.path("a.log.bak"), data, 0o600); err != nil {
		t.Fatal(err)
	}
	v = r.verify(VerifyOptions{})
	notes := strings.Join(v.Notes, "\n")
	if !v.Complete || len(v.Files) != 2 || !strings.Contains(notes, "a.log.0") || strings.Contains(notes, "a.log.bak") || strings.Contains(notes, "a.log.1\"") {
		t.Errorf("%+v", v)
	}
	v = r.verify(VerifyOptions{Files: []string{r.path("a.log.1"), r.path("a.log.bak")}})
	if f := r.proof(v, "a.log.bak"); !v.Complete || f.CopyOf != r.path("a.log.1") || f.Covered != f.Size {
		t.Errorf("%+v", f)
	}
}

// TestVerifyNames: files whose names no terminal should be shown as they are.
func TestVerifyNames(t *testing.T) {
	r := newRig(t, kfake.SeedTopics(1, topic))
	names := []string{"with space.log", "with\nnewline.log", "not utf8 \xff.log"}
	for i, n := range names {
		r.append(n, logLines(100*i, 20))
	}
	r.ship()
	v := r.verify(VerifyOptions{})
	for _, n := range names {
		if f := r.proof(v, n); f.Covered != f.Size {
			t.Errorf("%+v", f)
		}
	}
	if !v.Complete {
		t.Errorf("%+v", v)
	}
}

// TestVerifyCarry counts the part of an entry that lies in the file before.
func TestVerifyCarry(t *testing.T) {
	r := newRig(t, kfake.SeedTopics(1, topic, "planted"))
	r.append("a.log", logLines(0, 20))
	r.ship()
	if err := os.Rename(r.path("a.log"), r.path("a.log.1")); err != nil {
		t.Fatal(err)
	}
	r.append("a.log", logLines(100, 20))
	r.shipAll(40)
	var carried headers
	r.copyRecords("planted", func(i int, rec *kgo.Record) []*kgo.Record {
		switch i {
		case 19:
			carried = readHeaders(rec)
			return nil
		case 20:
			rec.Headers = append(rec.Headers, kgo.RecordHeader{Key: "carry_src", Value: []byte(fmt.Sprintf("%016x", carried.source))},
				kgo.RecordHeader{Key: "carry_off", Value: []byte(strconv.FormatInt(carried.own.start, 10))},
				kgo.RecordHeader{Key: "carry_len", Value: []byte(strconv.FormatInt(carried.own.end-carried.own.start, 10))})
			rec.Value = []byte(`{"message":"both"}`)
		}
		return kept(i, rec)
	})
	for _, deep := range []bool{false, true} {
		if v := r.verify(VerifyOptions{Deep: deep}); !v.Complete || v.Repeated {
			t.Errorf("deep %v: %+v", deep, v)
		}
	}
}

// TestVerifyErrors says what cannot be done, and why.
func TestVerifyErrors(t *testing.T) {
	r := newRig(t, kfake.SeedTopics(1, topic))
	r.append("a.log", "one\n")
	for _, c := range []struct {
		name string
		o    VerifyOptions
		want string
	}{
		{"no topic", VerifyOptions{Topics: []string{"missing"}}, "does not exist"},
		{"no file", VerifyOptions{Files: []string{r.path("missing.log")}}, "missing.log"},
		{"a folder", VerifyOptions{Files: []string{r.dir}}, "is a directory"},
	} {
		if _, err := Verify(t.Context(), r.c, c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	v := r.verify(VerifyOptions{}) // never sent
	if f := r.proof(v, "a.log"); v.Complete || f.GapLines != 1 || f.Matched != "not found in the topics" {
		t.Errorf("%+v", f)
	}
}

// deleteRecords does what retention does.
func (r *rig) deleteRecords(topic string, before int64) {
	r.t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(r.kafka.ListenAddrs()...))
	if err != nil {
		r.t.Fatal(err)
	}
	defer cl.Close()
	var os kadm.Offsets
	os.AddOffset(topic, 0, before, -1)
	done, err := kadm.NewClient(cl).DeleteRecords(r.t.Context(), os)
	if err == nil {
		err = done.Error()
	}
	if err != nil {
		r.t.Fatal(err)
	}
}

// TestJournalComesBeforeTheCheckpoint: while the journal cannot be written, the
// checkpoint stays before what was left out.
func TestJournalComesBeforeTheCheckpoint(t *testing.T) {
	disk := &diskFS{dir: t.TempDir()}
	store, err := checkpoint.Open(disk.dir, checkpoint.Options{})
	if err != nil {
		t.Fatal(err)
	}
	skips, err := checkpoint.OpenSkips(disk.dir, checkpoint.SkipsOptions{FS: disk})
	if err != nil {
		t.Fatal(err)
	}
	a := &Agent{log: slog.New(slog.DiscardHandler), store: store, skips: skips, ledger: newLedger(nil, time.Now)}
	a.conf.Store(&config.Config{StateDir: disk.dir})
	for _, full := range []bool{true, false} {
		disk.full = full
		a.fileEvent(tailer.Event{Kind: tailer.Found, File: tailer.State{ID: 7, Path: "/x", Offset: 100}})
		a.saveOnce()
		entries, err := checkpoint.ReadOnly(disk.dir)
		l, journalErr := checkpoint.ReadSkips(disk.dir)
		if err = errors.Join(err, journalErr); err != nil {
			t.Fatal(err)
		}
		if full && (len(entries) != 0 || a.saver.state().Error == "") || !full && (len(entries) != 1 || len(l.Skips) == 0) {
			t.Errorf("disk full %v: checkpoint %v, journal %v", full, entries, l)
		}
	}
	if err := errors.Join(skips.Close(), store.Close()); err != nil {
		t.Fatal(err)
	}
}

func FuzzReadHeaders(f *testing.F) {
	f.Add([]byte("00000000000000aa"), []byte("0"), []byte("10"), []byte("00000000000000ab"), []byte("5"), []byte("1"))
	f.Add([]byte("zz"), []byte("-1"), []byte("99999999999999999999"), []byte(""), []byte("1e3"), []byte{0xff})
	f.Fuzz(func(t *testing.T, src, off, length, carrySrc, carryOff, carryLen []byte) {
		h := &hearing{wanted: func(uint64, []byte) bool { return true }, over: func() {}}
		rec := &kgo.Record{Headers: []kgo.RecordHeader{{Key: headerSource, Value: src}, {Key: headerOffset, Value: off}, {Key: headerLength, Value: length},
			{Key: headerCarrySource, Value: carrySrc}, {Key: headerCarryOffset, Value: carryOff}, {Key: headerCarryLength, Value: carryLen}}}
		h.take("t", 0, []*kgo.Record{rec, rec})
		for _, s := range h.sources() {
			for _, r := range s.cover.runs {
				if r.start < 0 || r.end <= r.start || r.end > 2*maxRange {
					t.Errorf("%v", s.cover.runs)
				}
			}
		}
	})
}

func FuzzReadDead(f *testing.F) {
	f.Add([]byte("{\"src\":\"00000000000000aa\",\"off\":1,\"len\":2}\n{broken\n{}\n\n{\"src\":\"00000000000000aa\",\"off\":-1,\"len\":2}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		dead := map[uint64]*coverage{}
		bad, err := readDead(bytes.NewReader(data), dead)
		if err != nil {
			t.Fatal(err)
		}
		if n := bytes.Count(data, []byte{'\n'}) + 1; bad > n || len(dead) > n {
			t.Errorf("%d bad, %d files, of %d lines", bad, len(dead), n)
		}
	})
}

// BenchmarkHear measures what a record costs.
func BenchmarkHear(b *testing.B) {
	const n = 1000
	records := make([]*kgo.Record, n)
	h := &hearing{wanted: func(uint64, []byte) bool { return true }, over: func() { b.Fatal("too much") }}
	off := int64(0)
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		for i := range records {
			records[i] = &kgo.Record{Value: []byte(`{"message":"a line of the log"}`), Headers: []kgo.RecordHeader{
				{Key: headerHost, Value: []byte("h")}, {Key: headerPath, Value: []byte("/var/log/a.log")}, {Key: headerSource, Value: []byte("00000000000000aa")},
				{Key: headerOffset, Value: []byte(strconv.FormatInt(off, 10))}, {Key: headerLength, Value: []byte("100")}}}
			off += 100
		}
		b.StartTimer()
		h.take("t", 0, records)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/record")
}
