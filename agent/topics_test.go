package agent

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"shiplog/agent/config"
	"shiplog/agent/envelope"
	"shiplog/tailer"
)

// envelopes returns lines that are envelopes, numbered, of these applications in
// turn.
func envelopes(from, to int, applications ...string) string {
	var b strings.Builder
	for i := from; i < to; i++ {
		fmt.Fprintf(&b, "{\"message\":\"line %d\",\"payload\":{\"application\":%q,\"params\":{\"n\":%d}}}\n", i, applications[i%len(applications)], i)
	}
	return b.String()
}

// numbers returns which of the numbers from to to leave rest when divided by n.
func numbers(from, to, n, rest int) (out []string) {
	for i := from; i < to; i++ {
		if i%n == rest {
			out = append(out, fmt.Sprintf("line %d", i))
		}
	}
	return out
}

// newTemplateRig has an agent whose lines go to topics by their application.
func newTemplateRig(t *testing.T, opts ...kfake.Opt) *rig {
	t.Helper()
	r := newRig(t, opts...)
	r.c.Kafka.Topic = "apps.{{.application}}"
	return r
}

func TestLegalTopic(t *testing.T) {
	for name, want := range map[string]string{
		"applications.Pool Cars": "applications.Pool_Cars", "a/b:c": "a_b_c", "größe": "gr__e", "日本": "_", "\xff\xfe": "_",
		"..": "__", ".": "_", "__consumer_offsets": "_consumer_offsets", "a\x00b": "a_b", strings.Repeat("x", 300): strings.Repeat("x", 249),
	} {
		got := string(legalTopic([]byte(name)))
		if got != want {
			t.Errorf("%q becomes %q, want %q", name, got, want)
		}
		if err := config.ValidTopic(got); err != nil {
			t.Error(err)
		}
	}
}

func FuzzLegalTopic(f *testing.F) {
	f.Add("applications.größe")
	f.Fuzz(func(t *testing.T, name string) {
		if name == "" {
			return
		}
		if got := string(legalTopic([]byte(name))); config.ValidTopic(got) != nil || strings.HasPrefix(got, "__") && strings.Trim(got, "_") != "" {
			t.Errorf("%q becomes %q", name, got)
		}
	})
}

// TestTemplatesAllocateNothing is the promise of the hot path, for topics and keys
// that are made of each line.
func TestTemplatesAllocateNothing(t *testing.T) {
	c := decodeConfig(t, "application: A\ninputs:\n  - {paths: [/l/*.log]}\nkafka: {brokers: [k], topic: 'apps.{{.application}}.{{.params.level | lower}}', key: '{{.file}}-{{.params.thread}}'}\n")
	topics := newTopicSet(c, discardLog())
	rs, err := routes(c, topics)
	if err != nil {
		t.Fatal(err)
	}
	const lines = 1000
	b := plainBlock(lines)
	b.Input = &tailer.Input{Tag: rs[0]}
	p := newTestPipeline(t)
	s := p.encode(b)
	if r := &s.batch.Records[lines-1]; r.Topic != "apps.A.info" || string(r.Key) != "a.log-worker-7" {
		t.Errorf("topic %q, key %q", r.Topic, r.Key)
	}
	p.recycle(s)
	one := func() { p.recycle(p.encode(b)) }
	if n := testing.AllocsPerRun(50, one); n > lines/50 {
		t.Errorf("%v allocations for %d lines", n, lines)
	}
}

// TestLinesGoToTheirTopics: each application's lines are in its topic, in order,
// also those of an application whose topic is made later; that one holds up no
// other file, and the checkpoint does not pass over what waits.
func TestLinesGoToTheirTopics(t *testing.T) {
	t.Parallel()
	r := newTemplateRig(t, kfake.SeedTopics(3, "apps.Pool_Cars", "apps.b"))
	r.append("a.log", envelopes(0, 300, "Pool Cars", "b", "late"))
	r.append("b.log", envelopes(1000, 1010, "b"))
	r.start()
	r.wait("what can arrive", func() bool { return len(r.records("apps.Pool_Cars")) == 100 && len(r.records("apps.b")) == 110 })
	r.wait("red health", func() bool {
		_, body := r.get("/healthz")
		return strings.Contains(body, `topic \"apps.late\" does not exist`) || strings.Contains(body, `topic "apps.late" does not exist`)
	})
	s := r.status()
	for _, f := range s.Files {
		if done := f.Acknowledged == f.Size; done != strings.HasSuffix(f.Path, "b.log") {
			t.Errorf("%s is acknowledged to %d of %d", f.Path, f.Acknowledged, f.Size)
		}
	}
	if !slices.Equal(s.Kafka.Topics, []string{"apps.Pool_Cars", "apps.b", "apps.late"}) {
		t.Errorf("the status has the topics %q", s.Kafka.Topics)
	}
	if err := r.kafka.CreateTopic("apps.late", 2, nil); err != nil {
		t.Fatal(err)
	}
	r.wait("the last topic", func() bool { return len(r.records("apps.late")) == 100 })
	r.wait("green health", r.healthy)
	r.stop()
	for i, topic := range []string{"apps.Pool_Cars", "apps.b", "apps.late"} {
		got := slices.DeleteFunc(r.messages(topic), func(s string) bool { return len(s) == len("line 1000") })
		if !slices.Equal(got, numbers(0, 300, 3, i)) {
			t.Errorf("%s has %d lines: %.200q", topic, len(got), got)
		}
	}
	for _, e := range r.entries() {
		if len(e.Ahead) > 0 || e.Offset == 0 {
			t.Errorf("saved %+v", e)
		}
	}
	v := r.verify(VerifyOptions{})
	if !v.Complete || v.Records != 310 {
		t.Errorf("verify says %+v", v)
	}
}

// TestNothingIsRepeatedInTemplatedTopics crashes again and again, with topics that
// the run before did not have.
func TestNothingIsRepeatedInTemplatedTopics(t *testing.T) {
	t.Parallel()
	r := newTemplateRig(t, kfake.SeedTopics(2, "apps.a", "apps.b", "apps.c"))
	r.c.CheckpointInterval = time.Hour
	total := 0
	crash := func(text string) {
		t.Helper()
		total += strings.Count(text, "\n")
		r.append("a.log", text)
		r.start()
		r.wait("the lines", func() bool { return r.stored("apps.a", "apps.b", "apps.c") >= total })
		kept, err := readFolder(r.c.StateDir)
		if err != nil {
			t.Fatal(err)
		}
		r.stop()
		if err := writeFolder(r.c.StateDir, kept); err != nil {
			t.Fatal(err)
		}
	}
	crash(envelopes(0, 100, "a"))
	crash(envelopes(100, 200, "a", "b"))
	crash(envelopes(200, 300, "c"))
	r.append("a.log", envelopes(300, 400, "c", "b", "a"))
	if err := r.once(); err != nil {
		t.Fatal(err)
	}
	if got := r.stored("apps.a", "apps.b", "apps.c"); got != 400 {
		t.Errorf("%d records, want 400; the agent said:\n%s", got, r.said())
	}
	if n := strings.Count(r.said(), "read back: nothing is sent again"); n != 3 {
		t.Errorf("read back %d times, want 3", n)
	}
	// The places are kept over restarts: a fourth topic is one too many.
	r.c.Kafka.MaxTopics = 3
	r.append("a.log", envelopes(400, 410, "d"))
	if err := r.once(); err != nil {
		t.Fatal(err)
	}
	if got := r.letters(); len(got) != 10 {
		t.Errorf("%d dead letters, want 10", len(got))
	}
}

// stored is how many records are in the topics.
func (r *rig) stored(topics ...string) (n int) {
	for _, topic := range topics {
		for _, p := range r.kafka.PartitionInfos(topic) {
			n += int(p.HighWatermark - p.LogStartOffset)
		}
	}
	return n
}

// TestTopicsAreBounded has a template lead to a topic for each line.
func TestTopicsAreBounded(t *testing.T) {
	t.Parallel()
	for name, fallback := range map[string]string{"dead letters": "", "fallback": "apps.other"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, kfake.SeedTopics(1, "apps.other", "apps.0", "apps.1", "apps.2"))
			r.c.Kafka.Topic, r.c.Kafka.MaxTopics, r.c.Kafka.FallbackTopic = "apps.{{.params.n}}", 3, fallback
			r.append("a.log", envelopes(0, 100, "a"))
			r.start()
			r.wait("all lines", func() bool { s := r.status(); return len(s.Files) == 1 && s.Files[0].Acknowledged == s.Files[0].Size })
			s := r.status()
			r.stop()
			if s.Kafka.Homeless != 97 || len(s.Kafka.Topics) != 3 || s.Kafka.TopicsMax != 3 {
				t.Errorf("status %+v", s.Kafka)
			}
			if n := strings.Count(r.said(), "one topic more than max_topics"); n != 1 {
				t.Errorf("the log tells it %d times, want once", n)
			}
			want, letters := numbers(3, 100, 1, 0), r.letters()
			if fallback == "" {
				if len(letters) != 97 {
					t.Errorf("%d dead letters, want 97", len(letters))
				}
				// With more room they go where the template says.
				r.c.Kafka.MaxTopics = 4
				if err := r.kafka.CreateTopic("apps.3", 1, nil); err != nil {
					t.Fatal(err)
				}
				result, stays := r.replay(ReplayOptions{Limit: 5})
				if result.Sent != 1 || result.Stayed != 4 || len(stays) != 4 || !strings.Contains(stays[0], "one more than kafka.max_topics (4)") {
					t.Errorf("replayed %+v, %q", result, stays)
				}
				if got := r.messages("apps.3"); !slices.Equal(got, []string{"line 3"}) {
					t.Errorf("apps.3 has %q", got)
				}
				return
			}
			if got := r.messages(fallback); !slices.Equal(got, want) || len(letters) > 0 {
				t.Errorf("%d lines in the fallback topic, %d dead letters: %.100q", len(got), len(letters), got)
			}
		})
	}
}

// TestTopicsAreCreatedForTemplates needs nothing but the broker.
func TestTopicsAreCreatedForTemplates(t *testing.T) {
	t.Parallel()
	r := newTemplateRig(t)
	r.c.Kafka.CreateTopics = &config.CreateTopics{Partitions: 2, Replication: 1}
	r.append("a.log", envelopes(0, 90, "x", "y", "Z Z"))
	if err := r.once(); err != nil {
		t.Fatal(err)
	}
	for i, topic := range []string{"apps.x", "apps.y", "apps.Z_Z"} {
		if got := r.messages(topic); !slices.Equal(got, numbers(0, 90, 3, i)) || len(r.kafka.PartitionInfos(topic)) != 2 {
			t.Errorf("%s has %d partitions and %.100q", topic, len(r.kafka.PartitionInfos(topic)), got)
		}
	}
}

// TestKeysOfLines gives each line a key of its own: each key's lines are in one
// partition, in order; those without go with their file.
func TestKeysOfLines(t *testing.T) {
	t.Parallel()
	r := newRig(t, kfake.SeedTopics(5, topic))
	r.c.Kafka.Key = "{{.params.user}}"
	var text strings.Builder
	for i := range 200 {
		user := fmt.Sprintf(`"user":"u%d"`, i%8)
		if i%8 == 0 {
			user = ""
		}
		fmt.Fprintf(&text, "{\"message\":\"line %03d\",\"payload\":{\"application\":\"A\",\"params\":{%s}}}\n", i, user)
	}
	r.append("a.log", text.String())
	if err := r.once(); err != nil {
		t.Fatal(err)
	}
	type keyed struct {
		partition int32
		values    []string
	}
	by := map[string]*keyed{}
	used := map[int32]bool{}
	for _, rec := range r.records(topic) {
		k := by[string(rec.Key)]
		if k == nil {
			k = &keyed{partition: rec.Partition}
			by[string(rec.Key)] = k
		}
		if k.partition != rec.Partition {
			t.Errorf("key %q is in partitions %d and %d", rec.Key, k.partition, rec.Partition)
		}
		k.values = append(k.values, string(rec.Value))
		used[rec.Partition] = true
	}
	if len(by) != 8 || by[""] == nil || len(used) < 2 {
		t.Errorf("%d keys in %d partitions", len(by), len(used))
	}
	for key, k := range by {
		if !slices.IsSorted(k.values) || len(k.values) != 25 {
			t.Errorf("key %q has %d lines, in order: %t", key, len(k.values), slices.IsSorted(k.values))
		}
	}
}

// What a redaction keeps back names no topic and no key.
func TestARefusedEntryNamesNoTopic(t *testing.T) {
	c := decodeConfig(t, "application: A\ninputs:\n  - {paths: [/l/*.log]}\nkafka: {brokers: [k], topic: 'apps.{{.application}}', key: '{{.application}}'}\n")
	topics := newTopicSet(c, discardLog())
	rs, err := routes(c, topics)
	if err != nil {
		t.Fatal(err)
	}
	p := newTestPipeline(t)
	line := []byte(envelopes(0, 1, "secret"))
	s := &shipment{block: &tailer.Block{Entries: []tailer.Entry{{End: 1, Data: line}}}, topics: []string{rs[0].topic}}
	var sp span
	s.unusual(&sp).refused = "why"
	p.template(s, rs[0], &fileWork{}, &envelope.Envelope{Application: envelope.Value{Kind: envelope.Text, Bytes: []byte("secret")}}, &sp)
	if sp.topic != 0 || len(s.topics) != 1 || len(topics.list()) != 0 {
		t.Errorf("span %+v, topics %q, known %q", sp, s.topics, topics.list())
	}
}

func TestTemplatesThatAreWrong(t *testing.T) {
	for text, want := range map[string]string{
		"topic: 'a b.{{.application}}'":      "test.yaml:4:30: kafka.topic: \"a b.\" is not a legal topic name",
		"topic: '{{.nothing}}'":              "test.yaml:4:30: kafka.topic: {{.nothing}}: \".nothing\" is no field",
		"key: '{{.host | upper}}'":           "test.yaml:4:28: kafka.key:",
		"topic: '{{.host | default \"ä\"}}'": "not a legal topic name",
	} {
		c := decodeConfig(t, "application: A\ninputs:\n  - {paths: [/l/*.log]}\nkafka: {brokers: [k], "+text+"}\n")
		err := Validate(c)
		var errs config.Errors
		if !errors.As(err, &errs) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

func decodeConfig(t *testing.T, text string) *config.Config {
	t.Helper()
	c, err := config.Decode(strings.NewReader(text), "test.yaml", nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func discardLog() *slog.Logger { return slog.New(slog.DiscardHandler) }
