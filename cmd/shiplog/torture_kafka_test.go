package main_test

import (
	"context"
	"errors"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"shiplog/shipper"
	"shiplog/shipper/kafkatest"
)

// tortureKafka is the Kafka that the agent ships to, and who reads it.
type tortureKafka struct {
	addr string
	// consume hands over all records of a topic until stop is called.
	consume func(t testing.TB, addr, topic string, each func(partition int32, offset int64, value []byte)) (stop func())
}

func realKafka() bool { return os.Getenv("SHIPLOG_REAL_KAFKA") == "1" }

// startTortureKafka starts a real Kafka, read by librdkafka, where it was asked
// for, else one within this process.
func startTortureKafka(t *testing.T) tortureKafka {
	t.Helper()
	if realKafka() {
		return tortureKafka{kafkatest.Start(t, kafkatest.Options{}).Addr(), kafkatest.Consume}
	}
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	return tortureKafka{cluster.ListenAddrs()[0], consumeInProcess}
}

// consumeInProcess is kafkatest.Consume without librdkafka.
func consumeInProcess(t testing.TB, addr, topic string, each func(partition int32, offset int64, value []byte)) (stop func()) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.ConsumeTopics(topic), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			fetches := client.PollFetches(ctx)
			fetches.EachError(func(topic string, p int32, err error) {
				if ctx.Err() == nil {
					t.Errorf("consume %s/%d: %v", topic, p, err)
				}
			})
			fetches.EachRecord(func(r *kgo.Record) { each(r.Partition, r.Offset, r.Value) })
		}
	}()
	stop = func() {
		cancel()
		<-done
		client.Close()
	}
	t.Cleanup(stop)
	return stop
}

// admin does something with an administrative client.
func (k tortureKafka) admin(t *testing.T, do func(context.Context, *kadm.Client) error) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(k.addr))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := do(ctx, kadm.NewClient(client)); err != nil {
		t.Fatal(err)
	}
}

func (k tortureKafka) createTopic(t *testing.T, topic string, partitions int32) {
	t.Helper()
	k.admin(t, func(ctx context.Context, c *kadm.Client) error {
		_, err := c.CreateTopic(ctx, partitions, 1, nil, topic)
		return err
	})
}

// records returns how many records a topic has.
func (k tortureKafka) records(t *testing.T, topic string) (n int64) {
	t.Helper()
	k.admin(t, func(ctx context.Context, c *kadm.Client) error {
		ends, err := c.ListEndOffsets(ctx, topic)
		ends.Each(func(o kadm.ListedOffset) { n += o.Offset })
		if err == nil {
			err = ends.Error()
		}
		return err
	})
	return n
}

// committed returns how many records of a topic belong to transactions that were
// committed, once none is open.
func (k tortureKafka) committed(t *testing.T, topic string) (n int64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	k.admin(t, func(ctx context.Context, c *kadm.Client) error {
		// A commit is answered when it is decided; that its partitions know of it
		// comes a little later.
		for {
			ends, err := c.ListEndOffsets(ctx, topic)
			stable, err2 := c.ListCommittedOffsets(ctx, topic)
			if err := errors.Join(err, err2, ends.Error(), stable.Error()); err != nil {
				return err
			}
			open := false
			ends.Each(func(o kadm.ListedOffset) {
				at, _ := stable.Lookup(topic, o.Partition)
				open = open || at.Offset != o.Offset
			})
			if !open {
				return nil
			}
			time.Sleep(drainPoll)
		}
	})
	var mu sync.Mutex
	_, err := shipper.Scan(ctx, shipper.ScanOptions{Brokers: []string{k.addr}, Topics: []string{topic}}, func(_ string, _ int32, records []*kgo.Record) {
		mu.Lock()
		defer mu.Unlock()
		n += int64(len(records))
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// createCompacted creates a topic for checkpoints.
func (k tortureKafka) createCompacted(t *testing.T, topic string) {
	t.Helper()
	k.admin(t, func(ctx context.Context, c *kadm.Client) error {
		_, err := c.CreateTopic(ctx, 2, 1, map[string]*string{"cleanup.policy": kadm.StringPtr("compact")}, topic)
		return err
	})
}
