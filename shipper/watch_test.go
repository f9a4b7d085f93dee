package shipper

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestBrokerThatHangsIsAProblem(t *testing.T) {
	c := cluster(t, kfake.SeedTopics(1, "logs"))
	release := hang(c)
	r := newRig(t, Options{Brokers: c.ListenAddrs()})
	b := r.produce(batch(1, numbered(1, 0, 3)...))
	// A cluster that sleeps in a request still answers the others.
	r.problem(`topic "logs"`, "acknowledged nothing", "do not answer")
	release()
	r.settle(b)
	r.healed()
}

func TestUnreachableLeaderIsNamed(t *testing.T) {
	r := newRig(t, Options{Brokers: []string{closedAddr(t)}})
	r.brokers.OnBrokerConnect(kgo.BrokerMetadata{NodeID: 3, Host: "kafka3", Port: 9093}, 0, nil, errors.New("no route to host"))
	r.brokers.OnBrokerConnect(kgo.BrokerMetadata{NodeID: 4, Host: "kafka4", Port: 9093}, 0, nil, errors.New("not ours"))
	partition := kmsg.NewMetadataResponseTopicPartition()
	partition.Leader = 3
	got := r.describeLeaders([]kmsg.MetadataResponseTopicPartition{partition})
	if !strings.Contains(got, "broker 3 at kafka3:9093 cannot be reached: no route to host") || strings.Contains(got, "kafka4") {
		t.Errorf("described as %q", got)
	}
}

func TestEmptyLanesAreForgotten(t *testing.T) {
	c := cluster(t, kfake.SeedTopics(1, "logs"))
	r := newRig(t, Options{Brokers: c.ListenAddrs()})
	known := func() int {
		r.Producer.mu.Lock()
		defer r.Producer.mu.Unlock()
		return len(r.streams)
	}
	for round := range 2 {
		var batches []*Batch
		for s := range uint64(100) {
			batches = append(batches, r.produce(batch(s, numbered(s, round, 1)...)))
		}
		r.settle(batches...)
		if got := known(); got != 100 {
			t.Errorf("%d streams are known, want 100", got)
		}
		r.forgetIdle(time.Now())
		if got := known(); got != 100 {
			t.Errorf("%d streams are known right after use, want 100", got)
		}
		r.forgetIdle(time.Now().Add(laneIdle + time.Second))
		if got := known(); got != 0 {
			t.Errorf("%d streams are known after a while, want 0", got)
		}
	}
	read(t, c, "logs", 200)
}
