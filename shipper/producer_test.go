package shipper

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestHappyPathKeepsOrderHeadersAndPartition(t *testing.T) {
	for _, compression := range Compressions() {
		t.Run(compression, func(t *testing.T) {
			c := cluster(t, kfake.SeedTopics(4, "logs"))
			r := newRig(t, Options{Brokers: c.ListenAddrs(), Compression: compression})
			const streams, batches, each = 5, 20, 50
			want := make(map[uint64][]string)
			for s := uint64(1); s <= streams; s++ {
				want[s] = numbered(s, 0, batches*each)
			}
			var wg sync.WaitGroup
			for s := uint64(1); s <= streams; s++ {
				wg.Go(func() {
					for i := range batches {
						b := batch(s, want[s][i*each:(i+1)*each]...)
						for j := range b.Records {
							b.Records[j].Headers = []kgo.RecordHeader{{Key: "off", Value: fmt.Append(nil, b.Records[j].Start)}}
						}
						r.produce(b)
						r.settle(b)
					}
				})
			}
			wg.Wait()
			records := read(t, c, "logs", streams*batches*each)
			inOrder(t, records, want)
			for _, rec := range records {
				var s uint64
				fmt.Sscanf(string(rec.Value), "s%d-", &s)
				if want := int32(streamPartition(s, 4)); rec.Partition != want {
					t.Fatalf("%s is in partition %d, want %d", rec.Value, rec.Partition, want)
				}
				if len(rec.Headers) != 1 || rec.Headers[0].Key != "off" {
					t.Fatalf("%s has the headers %v", rec.Value, rec.Headers)
				}
			}
			h := r.Health()
			if h.InFlightBytes != 0 || h.InFlightRecords != 0 || !h.Oldest.IsZero() || h.LastAck.IsZero() || len(h.Problems) != 0 {
				t.Errorf("health after all is settled: %+v", h)
			}
			if len(h.Brokers) == 0 || h.Brokers[0].State != BrokerConnected {
				t.Errorf("brokers: %+v", h.Brokers)
			}
		})
	}
}

// The values are those of Kafka's own UtilsTest.testMurmur2.
func TestKeysGoWhereTheJavaClientSendsThem(t *testing.T) {
	hashes := map[string]int32{
		"21":                         -973932308,
		"foobar":                     -790332482,
		"a-little-bit-long-string":   -985981536,
		"a-little-bit-longer-string": -1486304829,
		"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
		"abc": 479470107,
	}
	const partitions = 1009 // prime and large, so that no two hashes agree by chance
	p := partitioner{}.ForTopic("logs")
	for key, hash := range hashes {
		seq := newSequence(7)
		defer seq.end()
		got := p.Partition(&kgo.Record{Key: []byte(key), Context: seq}, partitions)
		if want := int(hash&0x7fffffff) % partitions; got != want {
			t.Errorf("key %q goes to partition %d, want %d", key, got, want)
		}
	}
}

func TestOneBatchMayHaveSeveralTopics(t *testing.T) {
	c := cluster(t, kfake.SeedTopics(1, "logs", "other"))
	r := newRig(t, Options{Brokers: c.ListenAddrs()})
	b := batch(1, numbered(1, 0, 9)...)
	for _, i := range []int{2, 3, 6} {
		b.Records[i].Topic = "other"
	}
	r.settle(r.produce(b))
	read(t, c, "logs", 6)
	for i, rec := range read(t, c, "other", 3) {
		if want := fmt.Sprintf("s1-%06d", []int{2, 3, 6}[i]); string(rec.Value) != want {
			t.Errorf("record %d is %s, want %s", i, rec.Value, want)
		}
	}
}

func TestBatchCanBeUsedAgain(t *testing.T) {
	c := cluster(t, kfake.SeedTopics(1, "logs"))
	r := newRig(t, Options{Brokers: c.ListenAddrs()})
	b := batch(1, numbered(1, 0, 3)...)
	for range 3 {
		r.settle(r.produce(b))
		r.mu.Lock()
		delete(r.done, b)
		r.mu.Unlock()
	}
	read(t, c, "logs", 9)
}

func TestEmptyBatchIsDoneAtOnce(t *testing.T) {
	c := cluster(t)
	r := newRig(t, Options{Brokers: c.ListenAddrs()})
	b := r.produce(&Batch{Stream: 1})
	if !r.isDone(b) {
		t.Error("not done")
	}
}

func TestBudgetBlocksAndContextEndsTheWait(t *testing.T) {
	c := cluster(t, kfake.SeedTopics(1, "logs"))
	release := hang(c)
	r := newRig(t, Options{Brokers: c.ListenAddrs(), MemoryLimit: 1000})
	first := batch(1, "s1-000000")
	first.Bytes = 5000 // more than there is: goes alone
	r.produce(first)
	if r.Admit(1) {
		t.Error("a stream that holds the whole budget is admitted")
	}
	if !r.Admit(2) {
		t.Error("a stream that holds nothing is not admitted")
	}
	ctx, cancel := context.WithCancel(t.Context())
	blocked := make(chan error)
	second := batch(2, "s2-000000")
	go func() { blocked <- r.Produce(ctx, second) }()
	select {
	case err := <-blocked:
		t.Fatalf("Produce did not wait for memory: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	if h := r.Health(); h.InFlightBytes != 1000 || h.Budget != 1000 || h.InFlightRecords != 1 {
		t.Errorf("health: %+v", h)
	}
	cancel()
	if err := <-blocked; !errors.Is(err, context.Canceled) {
		t.Errorf("Produce ended with %v", err)
	}
	release()
	r.settle(first)
	r.settle(r.produce(second)) // it was ours all the time
	read(t, c, "logs", 2)
}

// hang makes the cluster answer no produce request until release is called.
func hang(c *kfake.Cluster) (release func()) {
	gate := make(chan struct{})
	c.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		select {
		case <-gate:
			c.DropControl()
			return nil, nil, false
		default:
		}
		c.KeepControl()
		c.SleepControl(func() { <-gate })
		return nil, nil, false
	})
	return sync.OnceFunc(func() { close(gate) })
}

func TestCloseWaitsForWhatIsInFlight(t *testing.T) {
	c := cluster(t, kfake.SeedTopics(1, "logs"))
	r := newRig(t, Options{Brokers: c.ListenAddrs(), Linger: 30 * time.Second})
	b := r.produce(batch(1, numbered(1, 0, 100)...))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := r.Close(ctx); err != nil {
		t.Fatal(err)
	}
	if !r.isDone(b) || b.Settled() != 100 {
		t.Errorf("done %v, settled %d", r.isDone(b), b.Settled())
	}
	read(t, c, "logs", 100)
	if err := r.Produce(ctx, batch(1, "late")); !errors.Is(err, ErrClosed) {
		t.Errorf("Produce after Close: %v", err)
	}
}

func TestCloseGivesUpWithItsContext(t *testing.T) {
	for _, tc := range []struct {
		name    string
		prepare func(*testing.T) Options
	}{
		{"broker hangs", func(t *testing.T) Options {
			c := cluster(t, kfake.SeedTopics(1, "logs"))
			t.Cleanup(hang(c))
			return Options{Brokers: c.ListenAddrs()}
		}},
		{"topic is missing", func(t *testing.T) Options {
			return Options{Brokers: cluster(t).ListenAddrs()}
		}},
		{"no broker", func(t *testing.T) Options {
			return Options{Brokers: []string{closedAddr(t)}}
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newRig(t, tc.prepare(t))
			var batches []*Batch
			for s := range uint64(3) {
				batches = append(batches, r.produce(batch(s, numbered(s, 0, 10)...)), r.produce(batch(s, numbered(s, 10, 10)...)))
			}
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			begin := time.Now()
			err := r.Close(ctx)
			if !errors.Is(err, ErrNotDrained) || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Close: %v", err)
			}
			if !strings.Contains(err.Error(), "60 records in 6 batches") {
				t.Errorf("Close does not tell how much is left: %v", err)
			}
			if took := time.Since(begin); took > 10*time.Second {
				t.Errorf("Close took %s", took)
			}
			for _, b := range batches {
				if !r.isDone(b) || b.Settled() != 0 {
					t.Errorf("stream %d: done %v, settled %d", b.Stream, r.isDone(b), b.Settled())
				}
			}
		})
	}
}

func TestOptionsThatCanNotWork(t *testing.T) {
	good := Options{Brokers: []string{"kafka1:9092"}, DeadLetterPath: filepath.Join(t.TempDir(), "dead")}
	for _, tc := range []struct {
		name, want string
		change     func(*Options)
	}{
		{"no broker", "no broker named", func(o *Options) { o.Brokers = nil }},
		{"no dead letters", "no dead letter file", func(o *Options) { o.DeadLetterPath = "" }},
		{"compression", `"brotli" is none of`, func(o *Options) { o.Compression = "brotli" }},
		{"memory", "negative", func(o *Options) { o.MemoryLimit = -1 }},
		{"mechanism", `"DIGEST-MD5" is none of`, func(o *Options) { o.SASL = &SASL{Mechanism: "DIGEST-MD5", Password: Secret{Value: "x"}} }},
		{"password", "a password", func(o *Options) { o.SASL = &SASL{Mechanism: "PLAIN", Username: "u"} }},
		{"token endpoint", "a token endpoint", func(o *Options) { o.SASL = &SASL{Mechanism: "OAUTHBEARER"} }},
		{"keytab", "a keytab, or a password", func(o *Options) { o.SASL = &SASL{Mechanism: "GSSAPI", Username: "u"} }},
		{"linger", "linger", func(o *Options) { o.Linger = time.Hour }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := good
			tc.change(&o)
			_, err := NewProducer(o, func(*Batch) {})
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want something with %q", err, tc.want)
			}
		})
	}
}
