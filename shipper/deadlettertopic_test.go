package shipper

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// headersOf returns a record's headers.
func headersOf(r *kgo.Record) map[string]string {
	m := make(map[string]string)
	for _, h := range r.Headers {
		m[h.Key] = string(h.Value)
	}
	return m
}

// refusePoisonAlone refuses batches with a poison in them, unless they hold
// dead letters, which have a header of this name.
func refusePoisonAlone(c *kfake.Cluster) {
	c.Fault(kfake.Fault{
		Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.InvalidRecord, Count: -1,
		When: func(req kmsg.Request) bool {
			records := req.(*kmsg.ProduceRequest).Topics[0].Partitions[0].Records
			return bytes.Contains(records, []byte(poison)) && !bytes.Contains(records, []byte(headerReason))
		},
	})
}

func TestDeadLetterTopic(t *testing.T) {
	c := cluster(t, kfake.SeedTopics(1, "logs", "dead"))
	refusePoisonAlone(c)
	r := newRig(t, Options{Brokers: c.ListenAddrs(), Compression: "none", DeadLetterTopic: "dead", Host: "web1"})
	b := batch(1, "one", "two"+poison, "three", "four", "five"+poison)
	b.Records[3].Refuse = errors.New("the redaction failed")
	r.settle(r.produce(b))
	eventually(t, "all letters are in the topic", func() bool { return r.Health().DeadLetters.Due == 0 && stored(c, "dead") == 3 })
	file := letters(t, r.opts.DeadLetterPath)
	for i, rec := range read(t, c, "dead", 3) {
		h := headersOf(rec)
		want := []string{"two" + poison, "", "five" + poison}[i]
		if string(rec.Value) != want || h["topic"] != "logs" || h["path"] != "/var/log/a.log" || h["src"] != "0000000000000abc" || h["host"] != "web1" ||
			h["off"] != fmt.Sprint(file[i].Offset) || h["len"] != fmt.Sprint(file[i].Length) || h["reason"] != file[i].Reason || h["code"] != file[i].Code || h["time"] == "" {
			t.Errorf("letter %d is %q with %v", i, rec.Value, h)
		}
		if withheld := h["withheld"] == "1"; withheld != (i == 1) {
			t.Errorf("letter %d: headers %v", i, h)
		}
		if file[i].DueTopic != 0 {
			t.Errorf("letter %d is due still in the file", i)
		}
	}
	if string(file[1].Bytes) != "four" || !file[1].Withheld || file[1].Reason != "the redaction failed" {
		t.Errorf("the refused record is %+v in the file", file[1])
	}
	inOrderValues(t, read(t, c, "logs", 2), "one", "three")
}

func inOrderValues(t *testing.T, records []*kgo.Record, want ...string) {
	t.Helper()
	var got []string
	for _, r := range records {
		got = append(got, string(r.Value))
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("in Kafka are %q, want %q", got, want)
	}
}

// A dead letter topic that is missing holds nothing up, is told, and gets what
// it is owed later, also from a run before.
func TestDeadLetterTopicIsMissing(t *testing.T) {
	c := cluster(t, kfake.SeedTopics(1, "logs"))
	refusePoisonAlone(c)
	o := Options{Brokers: c.ListenAddrs(), Compression: "none", DeadLetterTopic: "dead"}
	r := newRig(t, o)
	r.settle(r.produce(batch(1, "one", "two"+poison, "three")))
	r.problem("1 dead letters", "safe in "+r.opts.DeadLetterPath, `topic "dead" does not exist`)
	r.settle(r.produce(batch(1, "four", "five"+poison)))
	inOrderValues(t, read(t, c, "logs", 3), "one", "three", "four")
	if err := r.Close(ended(t)); err != nil {
		t.Fatal(err)
	}
	if err := c.CreateTopic("dead", 1, nil); err != nil {
		t.Fatal(err)
	}
	o.DeadLetterPath = r.opts.DeadLetterPath
	again := newRig(t, o)
	eventually(t, "both letters are in the topic", func() bool { return stored(c, "dead") == 2 })
	again.healed()
	inOrderValues(t, read(t, c, "dead", 2), "two"+poison, "five"+poison)
	eventually(t, "none is due", func() bool { s := again.Health().DeadLetters; return s.Due == 0 && s.Count == 2 })
	if err := again.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	third := newRig(t, o)
	third.settle(third.produce(batch(1, "six")))
	if err := third.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := stored(c, "dead"); n != 2 {
		t.Errorf("%d letters in the topic after another start, want 2", n)
	}
}

// What even the dead letter topic cannot take is cut there, and whole in the file.
func TestDeadLetterTopicWithALimit(t *testing.T) {
	for _, readable := range []bool{true, false} {
		t.Run(fmt.Sprintf("readable %v", readable), func(t *testing.T) {
			c := cluster(t)
			for topic, limit := range map[string]string{"logs": "20000", "dead": "5000"} {
				if err := c.CreateTopic(topic, 1, map[string]string{"max.message.bytes": limit}); err != nil {
					t.Fatal(err)
				}
			}
			if !readable {
				c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.DescribeConfigs}, Err: kerr.TopicAuthorizationFailed, Count: -1})
			}
			r := newRig(t, Options{Brokers: c.ListenAddrs(), Compression: "none", DeadLetterTopic: "dead"})
			big := strings.Repeat("b", 50_000)
			r.settle(r.produce(batch(1, "one", big, "two")))
			eventually(t, "the letter is in the topic", func() bool { return stored(c, "dead") == 1 })
			rec := read(t, c, "dead", 1)[0]
			if h := headersOf(rec); h["truncated"] != "50000" || len(rec.Value) < 1000 || !strings.HasPrefix(big, string(rec.Value)) {
				t.Errorf("%d bytes in the topic, headers %v", len(rec.Value), h)
			}
			if d := letters(t, r.opts.DeadLetterPath); string(d[0].Bytes) != big {
				t.Errorf("%d bytes in the file", len(d[0].Bytes))
			}
		})
	}
}

// A letter that the dead letter topic refuses keeps no other from it.
func TestOneLetterIsRefusedByTheTopic(t *testing.T) {
	c := cluster(t, kfake.SeedTopics(1, "logs", "dead"))
	refusePoison(c, kerr.InvalidRecord)
	r := newRig(t, Options{Brokers: c.ListenAddrs(), Compression: "none", DeadLetterTopic: "dead"})
	b := batch(1, "one", "two"+poison, "three")
	b.Records[2].Refuse = errors.New("not this one")
	r.settle(r.produce(b))
	eventually(t, "one letter is in the topic", func() bool { return stored(c, "dead") == 1 && r.Health().DeadLetters.Due == 1 })
	r.problem("1 dead letters are not in their topic", "INVALID_RECORD")
}

func TestDisclosure(t *testing.T) {
	c := cluster(t, kfake.SeedTopics(1, "logs", "dead"))
	refusePoisonAlone(c)
	r := newRig(t, Options{Brokers: c.ListenAddrs(), Compression: "none", DeadLetterTopic: "dead", Disclose: func(d *DeadLetter) Disclosure {
		return Disclosure{Reason: "r", Path: "p", Bytes: []byte("b"), Withheld: strings.Contains(string(d.Bytes), "secret")}
	}})
	r.settle(r.produce(batch(1, "one"+poison, "secret"+poison)))
	eventually(t, "the letters are in the topic", func() bool { return stored(c, "dead") == 2 })
	for i, rec := range read(t, c, "dead", 2) {
		h := headersOf(rec)
		if want := []string{"b", ""}[i]; string(rec.Value) != want || h["reason"] != "r" || h["path"] != "p" {
			t.Errorf("letter %d is %q with %v", i, rec.Value, h)
		}
	}
}

// The limit of the file, or a full disk, holds up the stream that needs it, and
// no other, not even one that has to isolate.
func TestQuotaHoldsUpItsLaneOnly(t *testing.T) {
	c := cluster(t, kfake.SeedTopics(1, "logs"))
	refusePoison(c, kerr.InvalidRecord)
	// Batches of several records are refused for their size now and then, so
	// that the other stream needs the isolating client as well.
	n := 0
	c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.MessageTooLarge, Count: -1, When: func(req kmsg.Request) bool {
		if !bytes.Contains(req.(*kmsg.ProduceRequest).Topics[0].Partitions[0].Records, []byte("s2-")) {
			return false
		}
		n++
		return n%5 == 1
	}})
	r := newRig(t, Options{Brokers: c.ListenAddrs(), Compression: "none", DeadLetterMaxBytes: 10})
	stuck := r.produce(batch(1, "s1-000000", "s1-000001"+poison, "s1-000002"))
	r.problem("has reached its limit", "kafka.dead_letter.max_file_bytes", "shiplog replay")
	want := numbered(2, 0, 40)
	for i := range 4 {
		r.settle(r.produce(batch(2, want[10*i:10*i+10]...)))
	}
	if r.isDone(stuck) || r.Admit(1) || !r.Admit(2) {
		t.Errorf("stuck lane: done %v, admitted %v; the other: admitted %v", r.isDone(stuck), r.Admit(1), r.Admit(2))
	}
	if got := letters(t, r.opts.DeadLetterPath); len(got) != 0 {
		t.Errorf("letters %+v", got)
	}
	r.letters.op.Lock()
	r.letters.quota = 0 // as a restart with a higher limit
	r.letters.op.Unlock()
	r.settle(stuck)
	r.healed()
	inOrder(t, read(t, c, "logs", 42), map[uint64][]string{1: {"s1-000000", "s1-000002"}, 2: want})
}

// Refused records are settled in their turn, wherever they are.
func TestRefusedRecordsAmongOthers(t *testing.T) {
	for name, at := range map[string][]int{"first": {0}, "last": {19}, "all": {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19}, "some": {3, 4, 11}} {
		t.Run(name, func(t *testing.T) {
			c := cluster(t, kfake.SeedTopics(1, "logs"))
			r := newRig(t, Options{Brokers: c.ListenAddrs()})
			values := numbered(1, 0, 60)
			refused := make(map[string]bool)
			var all []*Batch
			for i := range 3 {
				b := batch(1, values[20*i:20*i+20]...)
				if i == 1 {
					for _, j := range at {
						b.Records[j].Refuse = fmt.Errorf("refused %d", j)
						b.Records[j].Value = nil
						refused[values[20+j]] = true
					}
				}
				all = append(all, r.produce(b))
			}
			r.settle(all...)
			var want []string
			for _, v := range values {
				if !refused[v] {
					want = append(want, v)
				}
			}
			inOrder(t, read(t, c, "logs", len(want)), map[uint64][]string{1: want})
			got := letters(t, r.opts.DeadLetterPath)
			if len(got) != len(at) {
				t.Fatalf("%d letters, want %d", len(got), len(at))
			}
			for i, d := range got {
				if d.Reason != fmt.Sprintf("refused %d", at[i]) || string(d.Bytes) != values[20+at[i]] || !d.Withheld {
					t.Errorf("letter %+v", d)
				}
			}
		})
	}
}

// A Producer that is closed while a letter waits says that its record is not settled.
func TestCloseWhileALetterWaits(t *testing.T) {
	c := cluster(t, kfake.SeedTopics(1, "logs"))
	r := newRig(t, Options{Brokers: c.ListenAddrs(), DeadLetterMaxBytes: 1})
	b := batch(1, "one", "two", "three")
	b.Records[1].Refuse = errors.New("no")
	r.produce(b)
	r.problem("has reached its limit")
	if err := r.Close(ended(t)); !errors.Is(err, ErrNotDrained) {
		t.Errorf("close: %v", err)
	}
	if b.Settled() != 1 {
		t.Errorf("%d records are settled, want 1", b.Settled())
	}
	if _, err := os.Stat(r.opts.DeadLetterPath); err == nil && len(letters(t, r.opts.DeadLetterPath)) != 0 {
		t.Error("there is a letter")
	}
}
