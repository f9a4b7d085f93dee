package shipper

import (
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

func TestPartitionRefusesWhatWouldOvertake(t *testing.T) {
	seq := newSequence(3)
	defer seq.end()
	p := partitioner{}.ForTopic("logs")
	if got := p.Partition(&kgo.Record{Context: seq, Partition: 1}, 8); got != refused {
		t.Errorf("the second record got in before the first, to partition %d", got)
	}
	if got, want := p.Partition(&kgo.Record{Context: seq, Partition: 0}, 8), streamPartition(3, 8); got != want {
		t.Errorf("the first record goes to %d, want %d", got, want)
	}
	seq.fail()
	if got := p.Partition(&kgo.Record{Context: seq, Partition: 0}, 8); got != refused {
		t.Errorf("a record of a broken sequence got in, to partition %d", got)
	}
}

// A record that kgo refuses at once fails later, by its promise. What was
// handed over meanwhile must not take its place in the batch.
func TestNothingOvertakesARecordThatFailsLocally(t *testing.T) {
	c := cluster(t, kfake.SeedTopics(1, "logs"))
	opts, err := producerOpts(Options{Brokers: c.ListenAddrs(), Compression: "none", Linger: 30 * time.Second, Log: discard()}, &brokers{log: discard()},
		func(string) int32 { return maxBatchBytes })
	if err != nil {
		t.Fatal(err)
	}
	client, err := newClient(opts)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	seq := newSequence(1)
	defer seq.end()
	outcome := make(chan error, 3)
	give := func(value string) {
		seq.produce(client, &kgo.Record{Topic: "logs", Value: []byte(value)}, func(_ *kgo.Record, err error) { outcome <- err })
	}
	give("small")
	eventually(t, "the topic is known", func() bool { return client.BufferedProduceRecords() == 1 && knowsTopic(client) })

	held := make(chan struct{}) // no promise is called until it is closed
	client.Produce(t.Context(), &kgo.Record{}, func(*kgo.Record, error) { <-held })
	give(strings.Repeat("x", 2*maxBatchBytes))
	give("small too")
	close(held)
	for _, what := range []string{"large", "overtaking"} {
		if err := <-outcome; err == nil {
			t.Errorf("the %s record was accepted", what)
		}
	}
	if err := client.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-outcome; err != nil {
		t.Errorf("the first record failed: %v", err)
	}
	read(t, c, "logs", 1)
}

// knowsTopic tells whether client knows the partitions of the topic.
func knowsTopic(client *kgo.Client) bool {
	leader, _, err := client.PartitionLeader("logs", 0)
	return leader >= 0 && err == nil
}
