package agent

import (
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"shiplog/agent/config"
	"shiplog/agent/envelope"
)

// TestEventTime gives records the times that their entries tell, and those that
// tell none that can be the time of their sending.
func TestEventTime(t *testing.T) {
	t.Parallel()
	r := newRig(t, kfake.SeedTopics(1, topic))
	r.configure(r.kafka.ListenAddrs()[0], ", timestamp: event")
	r.c.Inputs[0].Timezone = time.UTC
	began := time.Now()
	future := began.Add(26 * time.Hour).UTC().Format(time.RFC3339)
	r.append("a.log", strings.Join([]string{
		"2026-01-25 10:10:10.123 INFO text",
		`{"message":"an envelope","payload":{"application":"A","params":{"timestamp":"2026-01-25T10:10:10+01:00"}}}`,
		`{"msg":"json","ts":1700000000.25}`,
		"no time",
		future + " INFO in the future",
		"1970-01-01 00:00:00 INFO long ago",
		`{"message":"no time at all","payload":{"application":"A","params":{"timestamp":"soon"}}}`,
	}, "\n")+"\n")
	r.c.Inputs[0].Multiline.Preset = "none"
	r.start()
	r.wait("all lines", func() bool { return r.status().Totals.Undated == 4 && r.status().Totals.Acknowledged == 7 })
	r.stop()
	for i, rec := range r.records(topic) {
		want := map[int]string{0: "2026-01-25T10:10:10.123Z", 1: "2026-01-25T09:10:10Z", 2: "2023-11-14T22:13:20.25Z"}[i]
		switch got := rec.Timestamp.UTC(); {
		case want != "" && got.Format(time.RFC3339Nano) != want:
			t.Errorf("record %d: %s, want %s", i, got, want)
		case want == "" && (got.Before(began.Truncate(time.Millisecond)) || got.After(time.Now())):
			t.Errorf("record %d: %s is not the time of sending", i, got)
		}
	}
}

func BenchmarkEventTime(b *testing.B) {
	c := &config.Config{Kafka: config.Kafka{Timestamp: "event"}}
	in := config.DefaultInput()
	times, now := newEventTimes(c, &in), time.Now()
	enc, err := NewInputEncoder(c, &in)
	if err != nil {
		b.Fatal(err)
	}
	for name, line := range map[string]string{
		"text":     "2026-01-25 10:10:10.123 INFO text",
		"json":     `{"msg":"json","time":"2026-01-25T10:10:10.123Z"}`,
		"envelope": `{"message":"m","payload":{"application":"A","params":{"timestamp":"2026-01-25T10:10:10+01:00"}}}`,
	} {
		b.Run(name, func(b *testing.B) {
			var e envelope.Envelope
			if err := enc.File(1, nil).Encode([]byte(line), &e); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if times.of(&e, now) == 0 {
					b.Fatal("no time")
				}
			}
		})
	}
}
