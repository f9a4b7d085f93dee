package main_test

import (
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// kfakeFaults are errors of the broker that the one in this process can show.
func kfakeFaults() []fault {
	return []fault{
		{"the partition's leader moves", leaderMoves},
		{"the topic is missing at the start", topicMissing},
		{"the topic is deleted and created again", topicRecreated},
		{"the right to write is taken away and given back", rightTakenAway},
		{"a message is larger than the topic takes", tooLarge},
	}
}

func newCluster(t *testing.T, opts ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	k, err := kfake.NewCluster(opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Close)
	return k
}

func leaderMoves(t *testing.T, binary string) {
	k := newCluster(t, kfake.NumBrokers(2), kfake.SeedTopics(1, faultTopic))
	// Read at the end only: kfake answers a consumer that asks for the epochs of
	// moved leaders as if the topic had lost its records.
	r := newFaultRig(t, binary, k.ListenAddrs()[0], lateConsumer, faultOptions{})
	r.write(1)
	r.await("the first line", func() bool { return k.PartitionInfo(faultTopic, 0).HighWatermark == 1 }, func() string { return "none" })
	for range 6 {
		r.write(200)
		if err := k.MoveTopicPartition(faultTopic, 0, 1-k.LeaderFor(faultTopic, 0)); err != nil {
			t.Fatal(err)
		}
		r.write(200)
		r.rotate()
	}
	r.write(1)
	consumeInProcess(t, k.ListenAddrs()[0], faultTopic, r.take)
	r.judge()
}

func topicMissing(t *testing.T, binary string) {
	k := newCluster(t, kfake.NumBrokers(1))
	r := newFaultRig(t, binary, k.ListenAddrs()[0], lateConsumer, faultOptions{})
	r.write(500)
	r.red("does not exist")
	r.rotate()
	r.write(500)
	if err := k.CreateTopic(faultTopic, 1, nil); err != nil {
		t.Fatal(err)
	}
	consumeInProcess(t, k.ListenAddrs()[0], faultTopic, r.take)
	r.all()
	r.green()
	r.judge()
}

// lateConsumer reads nothing: the test begins to when there is a topic.
func lateConsumer(testing.TB, string, string, func(int32, int64, []byte)) func() { return func() {} }

func topicRecreated(t *testing.T, binary string) {
	k := newCluster(t, kfake.NumBrokers(1), kfake.SeedTopics(1, faultTopic))
	r := newFaultRig(t, binary, k.ListenAddrs()[0], lateConsumer, faultOptions{})
	stop := consumeInProcess(t, k.ListenAddrs()[0], faultTopic, r.take)
	r.write(500)
	r.all()
	stop() // what the old topic held goes with it
	if err := k.DeleteTopic(faultTopic); err != nil {
		t.Fatal(err)
	}
	r.write(500)
	r.red(faultTopic)
	if err := k.CreateTopic(faultTopic, 1, nil); err != nil {
		t.Fatal(err)
	}
	consumeInProcess(t, k.ListenAddrs()[0], faultTopic, r.take)
	r.all()
	r.green()
	r.judge()
}

func rightTakenAway(t *testing.T, binary string) {
	k := newCluster(t, kfake.NumBrokers(1), kfake.SeedTopics(1, faultTopic))
	r := newFaultRig(t, binary, k.ListenAddrs()[0], consumeInProcess, faultOptions{})
	r.write(500)
	r.all()
	taken := k.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: faultTopic, Err: kerr.TopicAuthorizationFailed, Count: -1})
	r.write(500)
	r.red("WRITE")
	r.rotate()
	r.write(500)
	taken.Remove()
	r.all()
	r.green()
	r.judge()
}

func tooLarge(t *testing.T, binary string) {
	k := newCluster(t, kfake.NumBrokers(1), kfake.SeedTopics(1, faultTopic), kfake.BrokerConfigs(map[string]string{"message.max.bytes": "20000"}))
	r := newFaultRig(t, binary, k.ListenAddrs()[0], consumeInProcess, faultOptions{kafka: ", compression: none"})
	r.write(300)
	r.append("logs/app.log", strings.Repeat("large ", 10_000)+"\n")
	r.write(300)
	r.all()
	r.await("the dead letter", func() bool { return strings.Contains(r.said(), "dead letter") }, r.said)
	r.judge()
	for m := range r.arrived {
		if strings.HasPrefix(m, "large") {
			t.Error("what the topic does not take has arrived in it")
		}
	}
}
