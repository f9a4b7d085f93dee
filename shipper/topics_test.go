package shipper

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// spread gives the records of b to topics in turn.
func spread(b *Batch, topics ...string) *Batch {
	for i := range b.Records {
		b.Records[i].Topic = topics[i%len(topics)]
	}
	return b
}

// The lines of one file go to several topics, one of which is missing. The
// others' arrive, in order, and other files are not held up; the batch is settled
// when the topic is there.
func TestAMissingTopicHoldsUpOnlyWhatGoesThere(t *testing.T) {
	t.Parallel()
	c := cluster(t, kfake.SeedTopics(2, "a", "b"))
	r := newRig(t, Options{Brokers: c.ListenAddrs()})
	values := numbered(1, 0, 300)
	first := r.produce(spread(batch(1, values...), "a", "missing", "b"))
	other := batch(2, numbered(2, 0, 50)...)
	r.settle(r.produce(spread(other, "a")))
	eventually(t, "the records of the topics that are there", func() bool { return stored(c, "a") == 150 && stored(c, "b") == 100 })
	r.problem(`topic "missing" does not exist`)
	if r.isDone(first) {
		t.Fatal("a batch was reported of which a topic is missing")
	}
	if err := c.CreateTopic("missing", 2, nil); err != nil {
		t.Fatal(err)
	}
	r.settle(first)
	for i, topic := range []string{"a", "missing", "b"} {
		var want []string
		for j := i; j < len(values); j += 3 {
			want = append(want, values[j])
		}
		n := len(want)
		if topic == "a" {
			n += 50
		}
		inOrder(t, read(t, c, topic, n), map[uint64][]string{1: want})
	}
	if got := len(first.Landings(nil)); got != 3 {
		t.Errorf("the batch landed in %d partitions, want one of each topic", got)
	}
}

// A batch that is left unsettled at the end tells which of its records are.
func TestSettledOfABatchOfSeveralTopics(t *testing.T) {
	t.Parallel()
	c := cluster(t, kfake.SeedTopics(1, "a"))
	r := newRig(t, Options{Brokers: c.ListenAddrs()})
	b := spread(batch(1, numbered(1, 0, 10)...), "a", "a", "missing")
	r.produce(b)
	eventually(t, "what can arrive has arrived", func() bool { return stored(c, "a") == 7 })
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := r.Close(ctx); err == nil {
		t.Error("closed as if everything had arrived")
	}
	if b.Settled() != 2 {
		t.Errorf("the first %d records are settled, want 2", b.Settled())
	}
	for i := range b.Records {
		if got, want := b.Records[i].Settled(), b.Records[i].Topic == "a"; got != want {
			t.Errorf("record %d of topic %s settled: %t", i, b.Records[i].Topic, got)
		}
	}
}

// Streams that wait leave memory for those that need not.
func TestWaitingStreamsLeaveMemoryForOthers(t *testing.T) {
	t.Parallel()
	c := cluster(t, kfake.SeedTopics(1, "logs"))
	r := newRig(t, Options{Brokers: c.ListenAddrs(), MemoryLimit: 6400})
	for stream := range uint64(50) {
		for r.Admit(stream) {
			b := spread(batch(stream, "waits"), "missing")
			b.Bytes = 10
			r.produce(b)
		}
	}
	if h := r.Health(); h.InFlightBytes != 50*110 {
		t.Errorf("%d bytes are held by what waits, want 110 of each stream", h.InFlightBytes)
	}
	if !r.Admit(100) {
		t.Error("a stream that has nothing is not let in")
	}
	r.settle(r.produce(batch(100, "goes")))
}

func TestMissingTopicsAreCreated(t *testing.T) {
	t.Parallel()
	c := cluster(t)
	r := newRig(t, Options{Brokers: c.ListenAddrs(), CreateTopics: &TopicSpec{Partitions: 3, Replication: 1}})
	refused := spread(batch(2, "stays"), "nowhere")
	refused.Records[0].Refuse = fmt.Errorf("no: %w", ErrNoTopic)
	r.settle(r.produce(refused))
	values := numbered(1, 0, 90)
	r.settle(r.produce(spread(batch(1, values...), "a", "b", "c")))
	if infos := c.PartitionInfos("nowhere"); len(infos) > 0 {
		t.Error("a topic was created to which nothing may be sent")
	}
	for _, topic := range []string{"a", "b", "c"} {
		if n := len(c.PartitionInfos(topic)); n != 3 {
			t.Errorf("topic %s has %d partitions, want 3", topic, n)
		}
		if n := stored(c, topic); n != 30 {
			t.Errorf("topic %s has %d records, want 30", topic, n)
		}
	}
	r.healed()
	if n := strings.Count(r.log.String(), "created a topic"); n != 3 {
		t.Errorf("the log tells of %d created topics, want 3", n)
	}
}

// Without the right to create, the topic is waited for, and health says both.
func TestWhereATopicCannotBeCreated(t *testing.T) {
	t.Parallel()
	c := cluster(t)
	refusing := c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.CreateTopics}, Err: kerr.TopicAuthorizationFailed, Count: -1})
	r := newRig(t, Options{Brokers: c.ListenAddrs(), CreateTopics: &TopicSpec{Partitions: 1, Replication: 1}})
	b := r.produce(spread(batch(1, numbered(1, 0, 5)...), "a"))
	r.problem(`topic "a" does not exist and cannot be created`, "CREATE")
	refusing.Remove()
	r.settle(b)
	r.healed()
}

// While records are on their way, failing now and then, a topic gets more
// partitions: in each partition the records of a stream stay in order, and each
// is there once.
func TestOrderHoldsWhilePartitionsAreAdded(t *testing.T) {
	t.Parallel()
	for name, keyed := range map[string]bool{"keys": true, "no keys": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := cluster(t, kfake.SeedTopics(2, "logs"))
			n := 0
			c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.TopicAuthorizationFailed, Count: -1, When: func(kmsg.Request) bool { n++; return n%7 == 0 }})
			r := newRig(t, Options{Brokers: c.ListenAddrs()})
			client := func() *kgo.Client {
				r.Producer.mu.Lock()
				defer r.Producer.mu.Unlock()
				return r.current.client
			}
			const streams, each = 6, 20
			var batches []*Batch
			round := 0
			produce := func() {
				for s := range uint64(streams) {
					b := batch(s, numbered(s, round*each, each)...)
					for i := range b.Records {
						if keyed {
							b.Records[i].Key = fmt.Appendf(nil, "key-%d", i%5)
						}
					}
					batches = append(batches, r.produce(b))
				}
				round++
			}
			produce()
			r.settle(batches...) // the client knows the topic, and how few partitions it has
			for _, partitions := range []int{3, 4, 9} {
				if resp, err := kadm.NewClient(client()).UpdatePartitions(t.Context(), partitions, "logs"); err != nil || resp.Error() != nil {
					t.Fatal(err, resp.Error())
				}
				eventually(t, "the client knows the new partitions", func() bool {
					produce()
					client().ForceMetadataRefresh()
					leader, _, err := client().PartitionLeader("logs", int32(partitions-1))
					return err == nil && leader >= 0
				})
				for range 30 {
					produce()
				}
			}
			r.settle(batches...)
			produce() // an empty lane chooses of all partitions
			r.settle(batches...)
			inPartitionOrder(t, read(t, c, "logs", streams*round*each))
		})
	}
}

// inPartitionOrder checks that in each partition the records of each stream,
// whose values numbered made, are in order, and each is there once.
func inPartitionOrder(t *testing.T, records []*kgo.Record) {
	t.Helper()
	type place struct {
		partition int32
		stream    string
	}
	last, seen, used := map[place]string{}, map[string]bool{}, map[int32]bool{}
	for _, rec := range records {
		value := string(rec.Value)
		stream, _, _ := strings.Cut(value, "-")
		at := place{rec.Partition, stream}
		if value <= last[at] {
			t.Errorf("%s is behind %s in partition %d", value, last[at], rec.Partition)
		}
		if seen[value] {
			t.Errorf("%s is there twice", value)
		}
		last[at], seen[value], used[rec.Partition] = value, true, true
	}
	if len(used) < 2 {
		t.Errorf("only %d partitions were used", len(used))
	}
}

// The sticky partitioner keeps a stream in one partition, whatever the keys are.
func TestStickyPartitioner(t *testing.T) {
	t.Parallel()
	c := cluster(t, kfake.SeedTopics(8, "logs"))
	r := newRig(t, Options{Brokers: c.ListenAddrs(), Partitioner: PartitionerSticky})
	b := batch(1, numbered(1, 0, 100)...)
	for i := range b.Records {
		b.Records[i].Key = fmt.Appendf(nil, "key-%d", i)
	}
	r.settle(r.produce(b))
	if at := b.Landings(nil); len(at) != 1 || at[0].Partition != int32(streamPartition(1, 8)) {
		t.Errorf("landed at %+v, want partition %d", at, streamPartition(1, 8))
	}
	for _, rec := range read(t, c, "logs", 100) {
		if !bytes.HasPrefix(rec.Key, []byte("key-")) {
			t.Errorf("a record has the key %q", rec.Key)
		}
	}
}
