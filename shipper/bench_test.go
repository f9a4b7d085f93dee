package shipper

import (
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

// BenchmarkProduce sends blocks of 200-byte lines of some streams, and counts
// allocations per record, those of kgo included.
func BenchmarkProduce(b *testing.B) {
	for _, streams := range []int{1, 8} {
		b.Run(fmt.Sprintf("streams=%d", streams), func(b *testing.B) { benchmarkProduce(b, streams) })
	}
}

func benchmarkProduce(b *testing.B, streams int) {
	const lines = 2000
	c := cluster(b, kfake.BlackholeProduce(), kfake.SeedTopics(4, "logs"))
	free := make(chan *Batch, 64)
	var settled atomic.Int64
	p, err := NewProducer(Options{
		Brokers: c.ListenAddrs(), Topic: "logs", DeadLetterPath: b.TempDir() + "/dead", MemoryLimit: 64 << 20,
	}, func(batch *Batch) {
		settled.Add(int64(batch.Settled()))
		free <- batch
	})
	if err != nil {
		b.Fatal(err)
	}
	defer p.Close(b.Context())
	value := []byte(strings.Repeat("a line of the log, ", 11)[:200])
	for i := range cap(free) {
		batch := &Batch{Stream: uint64(i % streams), Records: make([]Record, lines), Bytes: lines * 300}
		for j := range batch.Records {
			batch.Records[j].Record = kgo.Record{Value: value}
		}
		free <- batch
	}
	now := time.Now()
	b.SetBytes(int64(len(value)))
	b.ReportAllocs()
	b.ResetTimer()
	sent := 0
	for sent < b.N {
		batch := <-free
		for j := range batch.Records {
			batch.Records[j].Timestamp = now
		}
		if err := p.Produce(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
		sent += lines
	}
	for settled.Load() < int64(sent) {
		runtime.Gosched()
	}
}

// BenchmarkKgoAlone is what to hold BenchmarkProduce against: the same records
// through kgo only, without batches, budget, order or dead letters.
func BenchmarkKgoAlone(b *testing.B) {
	const lines = 2000
	c := cluster(b, kfake.BlackholeProduce(), kfake.SeedTopics(4, "logs"))
	client, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...), kgo.DefaultProduceTopic("logs"),
		kgo.ProducerBatchCompression(kgo.Lz4Compression()), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.MaxBufferedRecords(64*lines))
	if err != nil {
		b.Fatal(err)
	}
	defer client.Close()
	value := []byte(strings.Repeat("a line of the log, ", 11)[:200])
	var settled atomic.Int64
	promise := func(*kgo.Record, error) { settled.Add(1) }
	free := make([]kgo.Record, 64*lines)
	now := time.Now()
	b.SetBytes(int64(len(value)))
	b.ReportAllocs()
	b.ResetTimer()
	sent := 0
	for sent < b.N {
		for int64(sent)-settled.Load() > 60*lines {
			runtime.Gosched()
		}
		for range lines {
			r := &free[sent%len(free)]
			*r = kgo.Record{Value: value, Timestamp: now}
			client.Produce(b.Context(), r, promise)
			sent++
		}
	}
	for settled.Load() < int64(sent) {
		runtime.Gosched()
	}
}

// A batch costs one allocation of ours, its promise; kgo, and the cluster in
// this process, allocate per Kafka batch. So a record must cost next to none.
func TestRecordsCostNoAllocation(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	c := cluster(t, kfake.BlackholeProduce(), kfake.SeedTopics(1, "logs"))
	done := make(chan struct{}, 1)
	p, err := NewProducer(Options{Brokers: c.ListenAddrs(), Topic: "logs", DeadLetterPath: t.TempDir() + "/dead"},
		func(*Batch) { done <- struct{}{} })
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close(t.Context())
	const lines = 4000
	b := batch(1, numbered(1, 0, lines)...)
	got := testing.AllocsPerRun(50, func() {
		if err := p.Produce(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		<-done
	})
	if per := got / lines; per > 0.05 {
		t.Errorf("%.3f allocations per record, %.0f per batch", per, got)
	}
	t.Logf("%.0f allocations per batch of %d records, with kgo and the cluster", got, lines)
}
