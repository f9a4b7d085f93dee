package shipper

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
)

// checkpoints is what a caller of a Producer with transactions keeps: how many
// records of each stream are settled.
type checkpoints struct {
	mu   sync.Mutex
	ends map[string]int
}

// kept is a Transaction.Checkpoint: each stream's number of records, these
// batches included.
func (c *checkpoints) kept(batches []*Batch) []Kept {
	c.mu.Lock()
	defer c.mu.Unlock()
	ends := maps.Clone(c.ends)
	changed := map[string]bool{}
	for _, b := range batches {
		key := fmt.Sprint(b.Stream)
		ends[key] += len(b.Records)
		changed[key] = true
	}
	var out []Kept
	for key := range changed {
		out = append(out, Kept{Key: key, Value: []byte(strconv.Itoa(ends[key]))})
	}
	return out
}

// transacting is a rig that sends in transactions, and what it keeps.
type transacting struct {
	*rig
	checkpoints
	fenced atomic.Pointer[FencedError]
	ended  chan struct{}
}

// newTransacting resumes and claims.
func newTransacting(t testing.TB, o Options) (*transacting, Checkpoint) {
	t.Helper()
	return newTransactingEvery(t, 5*time.Millisecond, o)
}

func newTransactingEvery(t testing.TB, interval time.Duration, o Options) (*transacting, Checkpoint) {
	t.Helper()
	x := &transacting{ended: make(chan struct{})}
	x.ends = map[string]int{}
	o.Transaction = &Transaction{ID: "shiplog-test", Topic: "checkpoints", Interval: interval, Checkpoint: x.kept,
		Fenced: func(err error) {
			var fenced *FencedError
			errors.As(err, &fenced)
			x.fenced.Store(fenced)
			close(x.ended)
		}}
	x.rig = newRig(t, o)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	said := func(why string) { x.opts.Log.Info("waiting", "why", why) }
	before, err := x.Resume(ctx, 0, said)
	if err == nil {
		for key, k := range before.Kept {
			n, nerr := strconv.Atoi(string(k.Value))
			x.ends[key], err = n, errors.Join(err, nerr)
		}
		err = errors.Join(err, x.Claim(ctx, nil, said))
	}
	if err != nil {
		t.Fatal(err)
	}
	return x, before
}

// count notes that a batch is settled: what is kept from then on includes it.
func (x *transacting) count(b *Batch) {
	x.checkpoints.mu.Lock()
	defer x.checkpoints.mu.Unlock()
	x.ends[fmt.Sprint(b.Stream)] += len(b.Records)
}

// readCommitted returns what a consumer sees of a topic that reads committed
// records, once no transaction is open.
func readCommitted(t testing.TB, c *kfake.Cluster, topic string) []*kgo.Record {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	asking, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...))
	if err != nil {
		t.Fatal(err)
	}
	defer asking.Close()
	admin := kadm.NewClient(asking)
	eventually(t, "no transaction is open in "+topic, func() bool {
		stable, err := admin.ListCommittedOffsets(ctx, topic)
		ends, err2 := admin.ListEndOffsets(ctx, topic)
		if err := errors.Join(err, err2, stable.Error(), ends.Error()); err != nil {
			t.Fatal(err)
		}
		same := true
		ends.Each(func(o kadm.ListedOffset) {
			at, _ := stable.Lookup(topic, o.Partition)
			same = same && at.Offset == o.Offset
		})
		return same
	})
	var all []*kgo.Record
	var mu sync.Mutex
	_, err = Scan(ctx, ScanOptions{Brokers: c.ListenAddrs(), Topics: []string{topic}}, func(_ string, _ int32, records []*kgo.Record) {
		mu.Lock()
		defer mu.Unlock()
		for _, r := range records {
			copied := *r
			all = append(all, &copied)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// transactCluster is a cluster with these topics, of 3 partitions each, and a
// compacted one for checkpoints.
func transactCluster(t testing.TB, topics ...string) *kfake.Cluster {
	t.Helper()
	c := cluster(t, kfake.SeedTopics(3, topics...))
	create(t, c, "checkpoints", "compact")
	return c
}

// create makes a topic.
func create(t testing.TB, c *kfake.Cluster, topic, policy string) {
	t.Helper()
	if err := c.CreateTopic(topic, 3, map[string]string{"cleanup.policy": policy}); err != nil {
		t.Fatal(err)
	}
}

func TestTransactionsHaveEverythingOnce(t *testing.T) {
	t.Parallel()
	c := transactCluster(t, "logs", "other")
	x, before := newTransacting(t, Options{Brokers: c.ListenAddrs()})
	if before.Number != 0 || len(before.Kept) != 0 {
		t.Errorf("a new id has %+v", before)
	}
	want := map[uint64][]string{}
	var all []*Batch
	for i := range 20 {
		for stream := range uint64(4) {
			values := numbered(stream, i*10, 10)
			want[stream] = append(want[stream], values...)
			b := batch(stream, values...)
			b.Records[3].Topic = "other"
			all = append(all, x.produce(b))
		}
	}
	x.settle(all...)
	if err := x.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for _, r := range append(readCommitted(t, c, "logs"), readCommitted(t, c, "other")...) {
		got[string(r.Value)]++
	}
	for _, values := range want {
		for _, v := range values {
			if got[v] != 1 {
				t.Errorf("%s came %d times", v, got[v])
			}
		}
	}
	// The last checkpoint is whole, and in one partition.
	kept := map[string]string{}
	partitions := map[int32]bool{}
	for _, r := range readCommitted(t, c, "checkpoints") {
		partitions[r.Partition] = true
		kept[string(r.Key)] = string(r.Value)
	}
	if len(partitions) != 1 || len(kept) != 5 {
		t.Errorf("the checkpoint has keys %v in partitions %v", slices.Sorted(maps.Keys(kept)), partitions)
	}
}

func TestAProcessGoesOnFromTheLastCommit(t *testing.T) {
	t.Parallel()
	c := transactCluster(t, "logs")
	sent := 0
	for i := range 6 {
		x, before := newTransacting(t, Options{Brokers: c.ListenAddrs()})
		from := 0
		if k, ok := before.Kept["1"]; ok {
			n, err := strconv.Atoi(string(k.Value))
			if err != nil {
				t.Fatal(err)
			}
			from = n
		}
		if from > sent || i > 0 && from == 0 {
			t.Fatalf("process %d goes on from %d, %d were sent", i, from, sent)
		}
		for n := range 5 {
			b := x.produce(batch(1, numbered(1, from+n*20, 20)...))
			if n < 3 {
				x.settle(b)
				x.count(b)
			}
		}
		sent = max(sent, from+100)
		_ = x.Close(ended(t)) // in the middle of what it does, mostly
	}
	x, before := newTransacting(t, Options{Brokers: c.ListenAddrs()})
	n, _ := strconv.Atoi(string(before.Kept["1"].Value))
	if err := x.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	inOrder(t, readCommitted(t, c, "logs"), map[uint64][]string{1: numbered(1, 0, n)})
}

func TestTransactionsSurviveFaults(t *testing.T) {
	for _, tc := range []struct {
		err *kerr.Error
		key kmsg.Key
		top bool
	}{
		{kerr.TransactionAbortable, kmsg.Produce, false},
		{kerr.InvalidProducerEpoch, kmsg.Produce, false},
		{kerr.TopicAuthorizationFailed, kmsg.Produce, false},
		{kerr.UnknownServerError, kmsg.Produce, false},
		{kerr.NotLeaderForPartition, kmsg.Produce, false},
		{kerr.UnknownServerError, kmsg.EndTxn, true},
		{kerr.InvalidTxnState, kmsg.EndTxn, true},
		{kerr.ProducerFenced, kmsg.EndTxn, true},
		{kerr.CoordinatorNotAvailable, kmsg.EndTxn, true},
		{kerr.TransactionalIDAuthorizationFailed, kmsg.EndTxn, true},
	} {
		t.Run(fmt.Sprintf("%s in %s", tc.err.Message, tc.key.Name()), func(t *testing.T) {
			t.Parallel()
			c := transactCluster(t, "logs")
			x, _ := newTransacting(t, Options{Brokers: c.ListenAddrs()})
			first := x.produce(batch(1, numbered(1, 0, 50)...))
			x.settle(first)
			x.count(first)
			fault := c.Fault(kfake.Fault{Keys: []kmsg.Key{tc.key}, Err: tc.err, Count: 3, TopLevel: tc.top})
			defer fault.Remove()
			var all []*Batch
			for i := range 10 {
				for stream := range uint64(3) {
					all = append(all, x.produce(batch(stream, numbered(stream, 50*(i+1), 50)...)))
				}
			}
			x.settle(all...)
			if err := x.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			inOrder(t, readCommitted(t, c, "logs"), map[uint64][]string{0: numbered(0, 50, 500), 1: numbered(1, 0, 550), 2: numbered(2, 50, 500)})
		})
	}
}

// TestALostAnswerIsFoundOut has Kafka carry a commit out and its answer get lost:
// the batches must not be sent again.
func TestALostAnswerIsFoundOut(t *testing.T) {
	t.Parallel()
	c := transactCluster(t, "logs")
	x, _ := newTransacting(t, Options{Brokers: c.ListenAddrs()})
	helper, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...))
	if err != nil {
		t.Fatal(err)
	}
	defer helper.Close()
	var lost, own atomic.Int32
	c.ControlKey(int16(kmsg.EndTxn), func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		if own.Load() > 0 { // the helper's, which is carried out
			return nil, nil, false
		}
		if lost.Add(1) > 3 {
			return nil, nil, false
		}
		own.Store(1)
		c.SleepControl(func() {
			again := *req.(*kmsg.EndTxnRequest)
			if _, err := again.RequestWith(context.Background(), helper); err != nil {
				t.Error(err)
			}
		})
		own.Store(0)
		resp := req.ResponseKind().(*kmsg.EndTxnResponse)
		resp.ErrorCode = kerr.UnknownServerError.Code
		return resp, nil, true
	})
	for i := range 10 {
		x.settle(x.produce(batch(1, numbered(1, 50*i, 50)...)))
	}
	if err := x.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	inOrder(t, readCommitted(t, c, "logs"), map[uint64][]string{1: numbered(1, 0, 500)})
	if lost.Load() < 3 {
		t.Errorf("only %d answers were lost", lost.Load())
	}
	if !strings.Contains(x.log.String(), "had succeeded") {
		t.Error("no commit was found to have succeeded")
	}
}

// TestTheCheckpointIsFoundInMorePartitions has the topic get more of them while a
// process runs, so that its checkpoint goes to another one, and an answer get lost.
func TestTheCheckpointIsFoundInMorePartitions(t *testing.T) {
	t.Parallel()
	c := transactCluster(t, "logs")
	x, _ := newTransacting(t, Options{Brokers: c.ListenAddrs()})
	client, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	n := 0
	send := func() {
		b := x.produce(batch(1, numbered(1, n, 10)...))
		n += 10
		x.settle(b)
		x.count(b)
	}
	send()
	for _, more := range []int{1, 3, 8} {
		if _, err := kadm.NewClient(client).CreatePartitions(t.Context(), more, "checkpoints"); err != nil {
			t.Fatal(err)
		}
		send()
		fault := c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.EndTxn}, Err: kerr.UnknownServerError, Count: 1, TopLevel: true})
		send()
		fault.Remove()
		send()
	}
	if err := x.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, before := newTransacting(t, Options{Brokers: c.ListenAddrs()})
	if string(before.Kept["1"].Value) != strconv.Itoa(n) {
		t.Errorf("the next process goes on from %+v, want %d", before, n)
	}
	inOrder(t, readCommitted(t, c, "logs"), map[uint64][]string{1: numbered(1, 0, n)})
}

func TestALetterGoesInTheTransaction(t *testing.T) {
	t.Parallel()
	c := transactCluster(t, "letters")
	if err := c.CreateTopic("logs", 1, map[string]string{"max.message.bytes": "4000"}); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "letters.jsonl")
	x, _ := newTransacting(t, Options{Brokers: c.ListenAddrs(), DeadLetterPath: path, DeadLetterTopic: "letters", Compression: "none"})
	values := numbered(1, 0, 100)
	values[40] = strings.Repeat("x", 6000)
	refused := batch(2, numbered(2, 0, 30)...)
	refused.Records[7].Refuse = errors.New("a redaction failed")
	all := []*Batch{x.produce(batch(1, values...)), x.produce(refused), x.produce(batch(3, numbered(3, 0, 10)...)), x.produce(batch(1, numbered(1, 100, 20)...))}
	x.settle(all...)
	if err := x.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := map[uint64][]string{1: slices.Delete(numbered(1, 0, 120), 40, 41), 2: slices.Delete(numbered(2, 0, 30), 7, 8), 3: numbered(3, 0, 10)}
	inOrder(t, readCommitted(t, c, "logs"), want)
	if n := len(readCommitted(t, c, "letters")); n != 2 {
		t.Errorf("%d letters in the topic, want 2", n)
	}
	if d := letters(t, path); len(d) != 2 || d[0].DueTopic+d[1].DueTopic != 0 {
		t.Errorf("letters in the file: %+v", d)
	}
}

func TestAMissingTopicHoldsUpItsOwnStreams(t *testing.T) {
	t.Parallel()
	c := transactCluster(t, "logs")
	x, _ := newTransacting(t, Options{Brokers: c.ListenAddrs()})
	lost := batch(1, numbered(1, 0, 10)...)
	for i := range lost.Records {
		lost.Records[i].Topic = "later"
	}
	x.produce(lost)
	b := x.produce(batch(2, numbered(2, 0, 10)...))
	x.settle(b)
	x.count(b)
	x.problem("later", "does not exist")
	for i := range 3 {
		b := x.produce(batch(2, numbered(2, 10*(i+1), 10)...))
		x.settle(b)
		x.count(b)
	}
	if x.isDone(lost) {
		t.Error("done, though its topic is missing")
	}
	if x.Admit(1) || !x.Admit(2) {
		t.Error("the wrong stream is admitted")
	}
	create(t, c, "later", "delete")
	x.settle(lost)
	x.healed()
	inOrder(t, readCommitted(t, c, "later"), map[uint64][]string{1: numbered(1, 0, 10)})
	inOrder(t, readCommitted(t, c, "logs"), map[uint64][]string{2: numbered(2, 0, 40)})
}

// TestAStreamReadsOnBeforeItsFirstCommit has a commit that is far away: that Kafka
// has taken the first records is enough to give their stream its share of memory.
func TestAStreamReadsOnBeforeItsFirstCommit(t *testing.T) {
	t.Parallel()
	c := transactCluster(t, "logs")
	x, _ := newTransactingEvery(t, time.Hour, Options{Brokers: c.ListenAddrs(), MemoryLimit: 1 << 20})
	b := batch(1, numbered(1, 0, 10)...)
	b.Bytes = 3 * x.opts.MemoryLimit / unprovenShare
	x.produce(b)
	eventually(t, "the stream to be admitted", func() bool { return x.Admit(1) })
	if x.isDone(b) {
		t.Error("done before the commit")
	}
	if v := x.look(time.Now().Add(time.Minute)); len(v.stalled) > 0 {
		t.Errorf("that the commit is not due yet is told as a fault: %v", v.stalled)
	}
	if err := x.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !x.isDone(b) {
		t.Error("not committed at the end")
	}
}

func TestAnotherProcessFences(t *testing.T) {
	t.Parallel()
	c := transactCluster(t, "logs")
	first, _ := newTransacting(t, Options{Brokers: c.ListenAddrs(), Host: "one"})
	b := first.produce(batch(1, numbered(1, 0, 10)...))
	first.settle(b)
	second, before := newTransacting(t, Options{Brokers: c.ListenAddrs(), Host: "two"})
	if string(before.Kept["1"].Value) != "10" {
		t.Errorf("the second goes on from %+v", before)
	}
	late := first.produce(batch(1, numbered(1, 10, 10)...))
	select {
	case <-first.ended:
	case <-time.After(patience):
		t.Fatal("the first does not notice")
	}
	first.problem("another shiplog", `"two"`, "transactional-id")
	if first.isDone(late) {
		t.Error("done, though another has the id")
	}
	var fenced *FencedError
	if err := first.Close(t.Context()); !errors.Is(err, ErrNotDrained) || !errors.As(err, &fenced) { // it does not wait for what cannot be
		t.Errorf("Close: %v", err)
	}
	b = second.produce(batch(1, numbered(1, 10, 10)...))
	second.settle(b)
	if second.fenced.Load() != nil {
		t.Error("the second was fenced by the first")
	}
	inOrder(t, readCommitted(t, c, "logs"), map[uint64][]string{1: numbered(1, 0, 20)})
}

func TestOldBrokersAreRefused(t *testing.T) {
	t.Parallel()
	c := cluster(t, kfake.SeedTopics(1, "checkpoints", "logs"), kfake.MaxVersions(kversion.V3_9_0()))
	r := newRig(t, Options{Brokers: c.ListenAddrs(), Transaction: &Transaction{ID: "a", Topic: "checkpoints", Checkpoint: func([]*Batch) []Kept { return nil }}})
	_, err := r.Resume(t.Context(), 0, func(string) {})
	if !errors.Is(err, ErrTooOld) || !strings.Contains(err.Error(), "KIP-890") || !strings.Contains(err.Error(), "at-least-once") {
		t.Errorf("Resume: %v", err)
	}
}

func TestResumeWaitsForTopicAndRights(t *testing.T) {
	t.Parallel()
	c := cluster(t, kfake.SeedTopics(1, "logs"))
	fault := c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.InitProducerID}, Err: kerr.TransactionalIDAuthorizationFailed, Count: -1, TopLevel: true})
	r := newRig(t, Options{Brokers: c.ListenAddrs(), Transaction: &Transaction{ID: "a", Topic: "checkpoints", Checkpoint: func([]*Batch) []Kept { return nil }}})
	said := make(chan string, 1000)
	result := make(chan error, 1)
	go func() {
		_, err := r.Resume(t.Context(), 0, func(why string) {
			select {
			case said <- why:
			default:
			}
		})
		result <- err
	}()
	wait := func(part string) {
		t.Helper()
		for deadline := time.After(patience); ; {
			select {
			case why := <-said:
				if strings.Contains(why, part) {
					return
				}
			case <-deadline:
				t.Fatalf("it does not say %q", part)
			}
		}
	}
	wait("kafka-topics.sh")
	create(t, c, "checkpoints", "delete")
	wait("set it to compact")
	client, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	policy := "compact"
	if _, err := kadm.NewClient(client).AlterTopicConfigs(t.Context(), []kadm.AlterConfig{{Name: "cleanup.policy", Value: &policy}}, "checkpoints"); err != nil {
		t.Fatal(err)
	}
	wait("WRITE and DESCRIBE")
	fault.Remove()
	if err := <-result; err != nil {
		t.Error(err)
	}
}
