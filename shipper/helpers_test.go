package shipper

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must happen.
const patience = 90 * time.Second

var fast = tuning{
	tick:    20 * time.Millisecond,
	stalled: 200 * time.Millisecond,
	ask:     time.Second,
	backoff: func(int) time.Duration { return 5 * time.Millisecond },
}

func cluster(t testing.TB, opts ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	c, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// eventually waits until ok, which it asks again and again.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", patience, what)
		}
		<-time.After(2 * time.Millisecond)
	}
}

// logBuffer is a log that tests can look into while it is written.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// rig is a Producer and what its done was called with.
type rig struct {
	*Producer
	t   testing.TB
	log *logBuffer

	mu   sync.Mutex
	done map[*Batch]int
}

func newRig(t testing.TB, o Options) *rig {
	t.Helper()
	r := &rig{t: t, done: make(map[*Batch]int), log: new(logBuffer)}
	if o.Topic == "" {
		o.Topic = "logs"
	}
	if o.DeadLetterPath == "" {
		o.DeadLetterPath = filepath.Join(t.TempDir(), "dead", "letters.jsonl")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelInfo}))
	}
	if o.Linger == 0 {
		o.Linger = time.Millisecond
	}
	p, err := newProducer(o, func(b *Batch) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.done[b]++
	}, fast)
	if err != nil {
		t.Fatal(err)
	}
	r.Producer = p
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_ = p.Close(ctx)
		r.mu.Lock()
		defer r.mu.Unlock()
		for b, n := range r.done {
			if n != 1 {
				t.Errorf("done was called %d times for the batch of stream %d", n, b.Stream)
			}
		}
		if t.Failed() {
			t.Log(r.log.String())
		}
	})
	return r
}

// produce sends b and fails the test if that does not work at once.
func (r *rig) produce(b *Batch) *Batch {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	if err := r.Produce(ctx, b); err != nil {
		r.t.Fatal(err)
	}
	return b
}

func (r *rig) isDone(b *Batch) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.done[b] == 1
}

// settle waits until all batches are done and wholly settled.
func (r *rig) settle(batches ...*Batch) {
	r.t.Helper()
	for _, b := range batches {
		eventually(r.t, fmt.Sprintf("batch of stream %d is settled (problems: %v)", b.Stream, r.Health().Problems),
			func() bool { return r.isDone(b) })
		if b.Settled() != len(b.Records) {
			r.t.Fatalf("stream %d: %d of %d records are settled", b.Stream, b.Settled(), len(b.Records))
		}
	}
}

// batch makes a batch of a stream with these values.
func batch(stream uint64, values ...string) *Batch {
	b := &Batch{Stream: stream, Source: 0xabc, Path: "/var/log/a.log", Bytes: int64(len(values))}
	var off int64
	for _, v := range values {
		b.Records = append(b.Records, Record{
			Record: kgo.Record{Value: []byte(v), Timestamp: time.Now()},
			Start:  off, End: off + int64(len(v)) + 1,
			Raw: []byte(v),
		})
		off += int64(len(v)) + 1
		b.Bytes += int64(len(v))
	}
	return b
}

// numbered makes n values that name their stream and their place in it.
func numbered(stream uint64, from, n int) []string {
	values := make([]string, n)
	for i := range values {
		values[i] = fmt.Sprintf("s%d-%06d", stream, from+i)
	}
	return values
}

// read returns the n first records of a topic; it fails if there are more.
func read(t testing.TB, c *kfake.Cluster, topic string, n int) []*kgo.Record {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...), kgo.ConsumeTopics(topic),
		kgo.ConsumeStartOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxWait(50*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if have := stored(c, topic); have != n {
		t.Errorf("topic %s has %d records, want %d", topic, have, n)
		n = have
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var all []*kgo.Record
	for len(all) < n {
		fetches := client.PollFetches(ctx)
		if ctx.Err() != nil {
			t.Fatalf("read %d of %d records of %s", len(all), n, topic)
		}
		all = append(all, fetches.Records()...)
	}
	return all
}

// stored is how many records are in the topic.
func stored(c *kfake.Cluster, topic string) int {
	n := int64(0)
	for _, p := range c.PartitionInfos(topic) {
		n += p.HighWatermark - p.LogStartOffset
	}
	return int(n)
}

// inOrder checks that the records of each stream, whose values numbered made,
// are those of want, each once, in order.
func inOrder(t testing.TB, records []*kgo.Record, want map[uint64][]string) {
	t.Helper()
	got := make(map[string][]string)
	for _, r := range records {
		stream, _, _ := strings.Cut(string(r.Value), "-")
		got[stream] = append(got[stream], string(r.Value))
	}
	for stream, values := range want {
		have := got[fmt.Sprintf("s%d", stream)]
		for i := range max(len(have), len(values)) {
			if i >= len(have) || i >= len(values) || have[i] != values[i] {
				t.Errorf("stream %d differs at %d: has %d records, want %d; have %.60q, want %.60q", stream, i, len(have), len(values),
					at(have, i), at(values, i))
				break
			}
		}
	}
}

func at(values []string, i int) string {
	if i < len(values) {
		return values[i]
	}
	return "nothing"
}

// closedAddr is an address that nobody listens on.
func closedAddr(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

// problem waits until a problem that contains all of parts is shown.
func (r *rig) problem(parts ...string) {
	r.t.Helper()
	eventually(r.t, fmt.Sprintf("a problem with %q is shown", parts), func() bool {
		for _, text := range r.Health().Problems {
			ok := true
			for _, part := range parts {
				ok = ok && strings.Contains(text, part)
			}
			if ok {
				return true
			}
		}
		return false
	})
}

// healed waits until no problem is shown.
func (r *rig) healed() {
	r.t.Helper()
	eventually(r.t, "no problem is left", func() bool { return len(r.Health().Problems) == 0 })
}

// ended is a context that has ended.
func ended(t testing.TB) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}
