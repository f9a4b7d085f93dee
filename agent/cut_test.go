package agent

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"shiplog/shipper"
)

func TestCutRecord(t *testing.T) {
	const frame = `{"message":"","payload":{"application":"A","params":{"n":1.0}}}`
	for name, message := range map[string]string{
		"plain": strings.Repeat("a", 500), "escapes": strings.Repeat(`a"\`+"\x01", 200), "wide": strings.Repeat("aü€𝄞", 100), "short": "a",
	} {
		quoted, err := json.Marshal(message)
		if err != nil {
			t.Fatal(err)
		}
		value := strings.Replace(frame, `""`, string(quoted), 1)
		for _, limit := range []int{len(frame) - 1, len(frame), len(frame) + 1, len(frame) + 7, len(frame) + 100, len(value)} {
			r := shipper.Record{Record: kgo.Record{Value: []byte(value)}}
			if ok := cutRecord(&r, limit); !ok {
				if limit >= len(frame) || string(r.Value) != value || len(r.Headers) != 0 {
					t.Errorf("%s to %d bytes: not cut, value %s", name, limit, r.Value)
				}
				continue
			}
			var e struct {
				Message string
				Payload json.RawMessage
			}
			if err := json.Unmarshal(r.Value, &e); err != nil || len(r.Value) > limit || !strings.HasPrefix(message, e.Message) || string(e.Payload) != `{"application":"A","params":{"n":1.0}}` {
				t.Errorf("%s to %d bytes: %d bytes, %s (%v)", name, limit, len(r.Value), r.Value, err)
			}
			if more := limit - len(r.Value); more > 6 && len(e.Message) < len(message) {
				t.Errorf("%s to %d bytes: room for %d more", name, limit, more)
			}
			if len(r.Headers) != 1 || r.Headers[0].Key != headerTruncated {
				t.Errorf("%s: headers %v", name, r.Headers)
			}
			if cutRecord(&r, limit); len(r.Headers) != 1 {
				t.Errorf("%s, cut twice: headers %v", name, r.Headers)
			}
		}
	}
	for _, value := range []string{"", "text", `{"message":1,"payload":{}}`, `{"message":["a"],"payload":{}}`} {
		if r := (shipper.Record{Record: kgo.Record{Value: []byte(value)}}); cutRecord(&r, 0) || string(r.Value) != value {
			t.Errorf("%q was cut to %q", value, r.Value)
		}
	}
}

// With too_large: cut a line arrives shortened, in its place, and is counted.
func TestTooLargeIsCut(t *testing.T) {
	r := newRig(t)
	r.configure(r.kafka.ListenAddrs()[0], ", compression: none, too_large: cut")
	if err := r.kafka.CreateTopic(topic, 1, map[string]string{"max.message.bytes": "20000"}); err != nil {
		t.Fatal(err)
	}
	big := strings.Repeat("b", 50_000)
	params := fmt.Sprintf(`{"message":"x","payload":{"application":"A","params":{"p":%q}}}`, big)
	r.append("a.log", "one\n"+big+"\n"+params+"\ntwo\n")
	r.start()
	r.wait("all lines", func() bool { return len(r.records(topic)) == 3 })
	recs := r.records(topic)
	got := r.messages(topic)
	if got[0] != "one" || got[2] != "two" || !strings.HasPrefix(big, got[1]) || len(recs[1].Value) < 19_000 {
		t.Errorf("sent %.30q, the second with %d bytes", got, len(recs[1].Value))
	}
	if last := recs[1].Headers[len(recs[1].Headers)-1]; last.Key != headerTruncated || string(last.Value) != "1" {
		t.Errorf("headers %v", recs[1].Headers)
	}
	r.wait("the letter of what cannot be cut", func() bool { return r.status().Kafka.DeadLetters == 1 })
	if s := r.status(); s.Totals.Shortened != 1 || !s.Healthy {
		t.Errorf("shortened %d, %v", s.Totals.Shortened, s.Problems)
	}
}

// TestCutAndBuriedOnlyOnce crashes before anything is saved: a line that was cut
// is not sent again, and one that became a dead letter does not become another.
func TestCutAndBuriedOnlyOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.configure(r.kafka.ListenAddrs()[0], ", compression: none, too_large: cut")
	r.c.CheckpointInterval = time.Hour
	if err := r.kafka.CreateTopic(topic, 1, map[string]string{"max.message.bytes": "20000"}); err != nil {
		t.Fatal(err)
	}
	big := strings.Repeat("b", 50_000)
	r.append("a.log", "one\n"+big+"\n"+fmt.Sprintf(`{"message":"x","payload":{"application":"A","params":{"p":%q}}}`, big)+"\ntwo\n")
	r.start()
	r.wait("all lines", func() bool { return len(r.records(topic)) == 3 && r.status().Kafka.DeadLetters == 1 })
	kept, err := readFolder(r.c.StateDir)
	r.must(err)
	r.stop()
	r.must(writeFolder(r.c.StateDir, kept))
	r.append("a.log", "three\n")
	r.start()
	r.wait("the line after the crash", func() bool { return len(r.records(topic)) >= 4 && r.status().Totals.Acknowledged > 0 })
	if s := r.status(); s.Totals.AlreadySent != 4 || s.Kafka.DeadLetters != 1 || s.Totals.Shortened != 0 {
		t.Errorf("%d left out, %d dead letters, %d cut; the agent said:\n%s", s.Totals.AlreadySent, s.Kafka.DeadLetters, s.Totals.Shortened, r.said())
	}
	r.stop()
	if got := r.messages(topic); len(got) != 4 || got[3] != "three" {
		t.Errorf("%d messages, the last %.20q", len(got), got[len(got)-1])
	}
}

// TestSumOfCut is the same for what was cut and for the whole, and for nothing
// else.
func TestSumOfCut(t *testing.T) {
	value := func(message, params string) []byte {
		quoted, err := json.Marshal(message)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Appendf(nil, `{"message":%s,"payload":{"application":"A","params":{"n":%s}}}`, quoted, params)
	}
	long := strings.Repeat(`aü€"𝄞`, 500)
	whole, ok := sumOfCut(value(long, "1"))
	if !ok {
		t.Fatal("no sum")
	}
	for _, limit := range []int{1000, 1001, 1002, 1003, 4000} {
		r := shipper.Record{Record: kgo.Record{Value: value(long, "1")}}
		if !cutRecord(&r, limit) {
			t.Fatal("not cut")
		}
		if sum, ok := sumOfCut(r.Value); !ok || sum != whole {
			t.Errorf("cut to %d: another sum", limit)
		}
	}
	for name, other := range map[string][]byte{"another message": value("b"+long, "1"), "another member": value(long, "2"), "short": value("a", "1"), "no envelope": []byte("a")} {
		if sum, ok := sumOfCut(other); ok && sum == whole {
			t.Errorf("%s: the same sum", name)
		}
	}
}
