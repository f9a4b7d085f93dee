package shipper

import (
	"bytes"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// What is the topic's fault or this host's would make a dead letter of every
// record: the lane has to wait instead, and say why.
func TestNoDeadLetterForWhatIsNoRecordsFault(t *testing.T) {
	for _, tc := range []struct {
		refusal *kerr.Error
		configs map[string]string
		hidden  bool // the topic's configuration may not be read
		problem string
	}{
		{kerr.InvalidTimestamp, nil, false, "correct the clock"},
		{kerr.CorruptMessage, nil, false, "look at the network"},
		{kerr.InvalidRecord, map[string]string{"cleanup.policy": "compact"}, false, "set kafka.key"},
		{kerr.InvalidRecord, nil, true, "set kafka.key"},
	} {
		t.Run(tc.refusal.Message, func(t *testing.T) {
			c := cluster(t)
			if err := c.CreateTopic("logs", 1, tc.configs); err != nil {
				t.Fatal(err)
			}
			if tc.hidden {
				c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.DescribeConfigs}, Err: kerr.TopicAuthorizationFailed, Count: -1})
			}
			refusing := c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: tc.refusal, Count: -1})
			r := newRig(t, Options{Brokers: c.ListenAddrs()})
			values := numbered(1, 0, 100)
			b := r.produce(batch(1, values...))
			r.problem("logs", tc.problem)
			eventually(t, "it is tried again and again", func() bool { return refusing.Hits() > 20 })
			if r.isDone(b) {
				t.Error("the batch was settled")
			}
			refusing.Remove()
			r.settle(b)
			r.healed()
			inOrder(t, read(t, c, "logs", len(values)), map[uint64][]string{1: values})
			if got := letters(t, r.opts.DeadLetterPath); len(got) != 0 {
				t.Errorf("%d dead letters, the first: %.300v", len(got), got[0])
			}
		})
	}
}

// Records that a topic takes for too old are sent with the time of now.
func TestRefusedTimeIsCorrected(t *testing.T) {
	c := cluster(t, kfake.SeedTopics(1, "logs"))
	n := 0
	c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.InvalidTimestamp, Count: -1, When: func(kmsg.Request) bool { n++; return n == 1 }})
	r := newRig(t, Options{Brokers: c.ListenAddrs()})
	b := batch(1, "old")
	b.Records[0].Timestamp = b.Records[0].Timestamp.AddDate(-1, 0, 0)
	old := b.Records[0].Timestamp
	r.settle(r.produce(b))
	if got := read(t, c, "logs", 1); !got[0].Timestamp.After(old.AddDate(0, 1, 0)) {
		t.Errorf("the record has the time %s still", got[0].Timestamp)
	}
}

// A lane that waits for its topic in the middle of isolating must not keep the
// others from isolating.
func TestIsolationIsNotHeldUpByAnotherLane(t *testing.T) {
	c := cluster(t, kfake.SeedTopics(1, "a", "b"))
	n := 0
	c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.TopicAuthorizationFailed, Count: -1, When: func(req kmsg.Request) bool {
		if !bytes.Contains(req.(*kmsg.ProduceRequest).Topics[0].Partitions[0].Records, []byte("waits")) {
			return false
		}
		n++
		return n > 1 // the first batch is refused for its poison, all others for a lost right
	}})
	refusePoison(c, kerr.InvalidRecord)
	r := newRig(t, Options{Brokers: c.ListenAddrs(), Compression: "none"})
	a := batch(1, "waits"+poison)
	a.Records[0].Topic = "a"
	r.produce(a)
	r.problem("no right to write")
	b := batch(2, "good", "bad"+poison, "good")
	for i := range b.Records {
		b.Records[i].Topic = "b"
	}
	r.settle(r.produce(b))
	read(t, c, "b", 2)
}
