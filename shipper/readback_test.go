package shipper

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// put appends values to one partition.
func put(t testing.TB, c *kfake.Cluster, topic string, partition int32, values ...string) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for _, v := range values {
		if err := client.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Partition: partition, Value: []byte(v)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
}

// reading is a run of ReadBack and what it met. Values that begin with "ours"
// are wanted.
type reading struct {
	ReadBackResult
	values []string // topic/partition/value, sorted
	log    logBuffer
}

func readBackFrom(t testing.TB, c *kfake.Cluster, o ReadBackOptions) *reading {
	t.Helper()
	r := &reading{}
	if o.Brokers == nil {
		o.Brokers = c.ListenAddrs()
	}
	if o.Limit == 0 {
		o.Limit = patience
	}
	if o.Still == 0 {
		o.Still = 50 * time.Millisecond
	}
	o.Log = slog.New(slog.NewTextHandler(&r.log, nil))
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	var err error
	r.ReadBackResult, err = ReadBack(ctx, o, func(rec *kgo.Record) bool {
		r.values = append(r.values, fmt.Sprintf("%s/%d/%s", rec.Topic, rec.Partition, rec.Value))
		return strings.HasPrefix(string(rec.Value), "ours")
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(r.values)
	return r
}

func TestReadBackBeginsAtTheOffsets(t *testing.T) {
	c := cluster(t, kfake.SeedTopics(3, "a", "b", "empty"))
	put(t, c, "a", 0, "a", "b", "ours1", "c")
	put(t, c, "a", 1, "d", "ours2")
	put(t, c, "a", 2, "e")
	put(t, c, "b", 0, "ours3")
	r := readBackFrom(t, c, ReadBackOptions{Topics: []ReadBackTopic{
		{Topic: "a", From: map[int32]int64{0: 2, 1: 1, 2: 1}},
		{Topic: "b", Since: time.Now()}, // within the slack
		{Topic: "empty", From: map[int32]int64{0: 0}, Since: time.Now().Add(time.Hour)},
	}})
	equal(t, "read", r.values, []string{"a/0/c", "a/0/ours1", "a/1/ours2", "b/0/ours3"})
	want := Offsets{"a": {0: 4, 1: 2, 2: 1}, "b": {0: 1, 1: 0, 2: 0}, "empty": {0: 0, 1: 0, 2: 0}}
	if fmt.Sprint(r.Ends) != fmt.Sprint(want) || r.Records != 4 || r.Ours != 3 || len(r.Problems) > 0 {
		t.Errorf("result %+v, want the ends %v", r.ReadBackResult, want)
	}
	r = readBackFrom(t, c, ReadBackOptions{Topics: []ReadBackTopic{{Topic: "b", Since: time.Now().Add(time.Hour)}}})
	if len(r.values) > 0 || r.Ends["b"][0] != 1 {
		t.Errorf("records that are too old were read: %v, %v", r.values, r.Ends)
	}
	r = readBackFrom(t, c, ReadBackOptions{Topics: []ReadBackTopic{{Topic: "b"}}})
	equal(t, "read from the start", r.values, []string{"b/0/ours3"})
}

// TestReadBackWaitsForWhatIsOnItsWay has records of ours come in, one whenever
// the one before it is read, while others write all the time.
func TestReadBackWaitsForWhatIsOnItsWay(t *testing.T) {
	c := cluster(t, kfake.SeedTopics(2, "a"))
	put(t, c, "a", 0, "ours1")
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		for ctx.Err() == nil {
			put(t, c, "a", 1, "x")
		}
	})
	defer wg.Wait()
	defer cancel()
	n := 1
	o := ReadBackOptions{Brokers: c.ListenAddrs(), Limit: patience, Still: 50 * time.Millisecond, Topics: []ReadBackTopic{{Topic: "a", From: map[int32]int64{0: 0, 1: 0}}}}
	r, err := ReadBack(t.Context(), o, func(rec *kgo.Record) bool {
		ours := strings.HasPrefix(string(rec.Value), "ours")
		if ours && n < 4 {
			n++
			put(t, c, "a", 0, fmt.Sprintf("ours%d", n))
		}
		return ours
	})
	if err != nil || r.Ours != 4 || len(r.Problems) > 0 {
		t.Errorf("result %+v, %v", r, err)
	}
}

// TestReadBackOfTransactions has an open one of another producer before our
// record, and in another a record that looks like ours.
func TestReadBackOfTransactions(t *testing.T) {
	c := cluster(t, kfake.SeedTopics(1, "a"))
	client, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...), kgo.TransactionalID("other"), kgo.DefaultProduceTopic("a"))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	send := func(v string) {
		t.Helper()
		if err := client.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		if err := client.ProduceSync(t.Context(), kgo.StringRecord(v)).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	send("ours, they say")
	if err := client.EndTransaction(t.Context(), kgo.TryCommit); err != nil {
		t.Fatal(err)
	}
	send("open")
	put(t, c, "a", 0, "ours1")
	r := readBackFrom(t, c, ReadBackOptions{Topics: []ReadBackTopic{{Topic: "a", From: map[int32]int64{0: 0}}}})
	equal(t, "read", r.values, []string{"a/0/ours1"})
	if err := client.EndTransaction(t.Context(), kgo.TryAbort); err != nil {
		t.Fatal(err)
	}
	// The last record is a control record now.
	if r = readBackFrom(t, c, ReadBackOptions{Topics: []ReadBackTopic{{Topic: "a", From: map[int32]int64{0: 4}}}}); len(r.Problems) > 0 || r.Ends["a"][0] != 5 {
		t.Errorf("result %+v", r.ReadBackResult)
	}
}

func TestReadBackSaysWhatItCannotRead(t *testing.T) {
	everything := func(topic string) ReadBackTopic { return ReadBackTopic{Topic: topic, From: map[int32]int64{0: 0}} }
	for name, tc := range map[string]struct {
		arrange func(*kfake.Cluster)
		topic   ReadBackTopic
		limit   time.Duration
		says    string
	}{
		"no right to read": {func(c *kfake.Cluster) {
			c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch}, Topic: "a", Err: kerr.TopicAuthorizationFailed, Count: -1})
		}, everything("a"), 0, "allow this user READ"},
		"no right to describe": {func(c *kfake.Cluster) {
			c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.ListOffsets}, Topic: "a", Err: kerr.TopicAuthorizationFailed, Count: -1})
		}, everything("a"), 0, "allow this user READ and DESCRIBE"},
		"no such topic": {func(*kfake.Cluster) {}, everything("gone"), 0, `topic "gone" does not exist`},
		"no leader": {func(c *kfake.Cluster) {
			c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.ListOffsets}, Topic: "a", Err: kerr.NotLeaderForPartition, Count: -1})
		}, everything("a"), 500 * time.Millisecond, "could not be learnt"},
		"nothing comes": {func(c *kfake.Cluster) {
			c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch}, Topic: "a", Err: kerr.KafkaStorageError, Count: -1})
		}, everything("a"), 500 * time.Millisecond, "1 partitions were not read"},
	} {
		t.Run(name, func(t *testing.T) {
			c := cluster(t, kfake.SeedTopics(1, "a", "b"))
			put(t, c, "a", 0, "ours1")
			put(t, c, "b", 0, "ours2")
			tc.arrange(c)
			r := readBackFrom(t, c, ReadBackOptions{Limit: tc.limit, Topics: []ReadBackTopic{tc.topic, everything("b")}})
			if len(r.Problems) == 0 || !strings.Contains(r.Problems[0], tc.says) {
				t.Errorf("problems %q, want one that says %q", r.Problems, tc.says)
			}
			if _, ok := r.Ends[tc.topic.Topic]; ok {
				t.Errorf("ends %v: there is none to be known", r.Ends)
			}
			if tc.limit == 0 {
				equal(t, "read", r.values, []string{"b/0/ours2"})
			}
		})
	}
}

// TestReadBackOfAnotherTopic has the topic lose its records meanwhile, or made anew.
func TestReadBackOfAnotherTopic(t *testing.T) {
	c := cluster(t, kfake.SeedTopics(1, "a"))
	put(t, c, "a", 0, "x", "y", "ours1", "ours2")
	r := readBackFrom(t, c, ReadBackOptions{Topics: []ReadBackTopic{{Topic: "a", From: map[int32]int64{0: 77}}}})
	if r.Ours != 2 || r.Records != 4 || !strings.Contains(r.log.String(), "made anew") {
		t.Errorf("result %+v, log %s", r.ReadBackResult, r.log.String())
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	var o kadm.Offsets
	o.Add(kadm.Offset{Topic: "a", At: 3})
	if _, err := kadm.NewClient(client).DeleteRecords(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	r = readBackFrom(t, c, ReadBackOptions{Topics: []ReadBackTopic{{Topic: "a", From: map[int32]int64{0: 1}}}})
	equal(t, "read", r.values, []string{"a/0/ours2"})
	if len(r.Problems) > 0 || !strings.Contains(r.log.String(), "retention has passed") {
		t.Errorf("result %+v, log %s", r.ReadBackResult, r.log.String())
	}
}

// TestReadBackWaitsForABroker starts while nobody answers; the limit does not
// count then.
func TestReadBackWaitsForABroker(t *testing.T) {
	addr := closedAddr(t)
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	var n int
	if _, err := fmt.Sscan(port, &n); err != nil {
		t.Fatal(err)
	}
	var whys []string
	r := readBackFrom(t, nil, ReadBackOptions{Brokers: []string{addr}, Limit: 5 * time.Second, Topics: []ReadBackTopic{{Topic: "a", From: map[int32]int64{0: 0}}},
		Waiting: func(why string) {
			if whys = append(whys, why); len(whys) == 1 {
				put(t, cluster(t, kfake.SeedTopics(1, "a"), kfake.Ports(n)), "a", 0, "ours1")
			}
		}})
	if !strings.Contains(whys[0], addr) || whys[len(whys)-1] != "" {
		t.Errorf("it waited because %q: want it to name %s, and to end", whys, addr)
	}
	if len(r.Problems) > 0 || r.Ours != 1 {
		t.Errorf("result %+v", r.ReadBackResult)
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(100*time.Millisecond, cancel)
	if _, err := ReadBack(ctx, ReadBackOptions{Brokers: []string{closedAddr(t)}, Limit: time.Hour}, func(*kgo.Record) bool { return true }); ctx.Err() == nil || err == nil {
		t.Errorf("it did not end with its context: %v", err)
	}
}

// TestLandings sends batches with keys, of which one record is a dead letter.
func TestLandings(t *testing.T) {
	c := cluster(t, kfake.SeedTopics(3, "logs", "other"))
	refusePoison(c, kerr.InvalidRecord)
	r := newRig(t, Options{Brokers: c.ListenAddrs(), Compression: "none"})
	var batches []*Batch
	for i := range 20 {
		b := batch(uint64(i), "one", "two", "three")
		for k := range b.Records {
			b.Records[k].Key = fmt.Appendf(nil, "key %d", k)
		}
		b.Records[1].Topic = "other"
		if i == 7 {
			b.Records[2].Value = []byte("poison")
		}
		batches = append(batches, r.produce(b))
	}
	r.settle(batches...)
	if n := r.Health().DeadLetters.Count; n != 1 {
		t.Errorf("%d dead letters, want 1", n)
	}
	var landings []Landing
	records := map[string]bool{}
	for _, b := range batches {
		landings = b.Landings(landings[:0])
		for _, l := range landings {
			for o := l.First; o <= l.Last; o++ {
				records[fmt.Sprint(l.Topic, l.Partition, o)] = true
			}
		}
	}
	if len(records) != 59 || stored(c, "logs")+stored(c, "other") != 59 {
		t.Errorf("%d offsets, %d records in Kafka, want 59", len(records), stored(c, "logs")+stored(c, "other"))
	}
	if n := testing.AllocsPerRun(100, func() { landings = batches[0].Landings(landings[:0]) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	ends, err := r.Ends(t.Context(), "logs", "other", "none")
	if err != nil || len(ends) != 2 {
		t.Fatalf("ends %v, %v", ends, err)
	}
	sum := int64(0)
	for _, ps := range ends {
		for _, end := range ps {
			sum += end
		}
	}
	if sum != 59 {
		t.Errorf("ends %v, want 59 in all", ends)
	}
}
