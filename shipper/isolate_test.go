package shipper

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// poison is in values that the broker of refusePoison does not take.
const poison = "poison"

// refusePoison makes the cluster refuse, as a whole, each batch with a poison
// in it. Values must not be compressed. Topics must have one partition.
func refusePoison(c *kfake.Cluster, err *kerr.Error) *kfake.FaultHandle {
	return c.Fault(kfake.Fault{
		Keys: []kmsg.Key{kmsg.Produce}, Err: err, Count: -1,
		When: func(req kmsg.Request) bool {
			for _, t := range req.(*kmsg.ProduceRequest).Topics {
				for _, p := range t.Partitions {
					if bytes.Contains(p.Records, []byte(poison)) {
						return true
					}
				}
			}
			return false
		},
	})
}

// letters reads the dead letter file.
func letters(t *testing.T, path string) []DeadLetter {
	t.Helper()
	data, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	var all []DeadLetter
	for line := range bytes.Lines(data) {
		var d DeadLetter
		if err := json.Unmarshal(line, &d); err != nil {
			t.Fatalf("line %q: %v", line, err)
		}
		all = append(all, d)
	}
	return all
}

// without returns values but those with a poison, and those.
func without(values []string) (good, bad []string) {
	for _, v := range values {
		if strings.Contains(v, poison) {
			bad = append(bad, v)
		} else {
			good = append(good, v)
		}
	}
	return good, bad
}

func TestPoisonIsFoundWhereverItIs(t *testing.T) {
	const n = 40
	places := map[string][]int{
		"first": {0}, "middle": {n / 2}, "last": {n - 1},
		"two neighbours": {10, 11}, "both ends": {0, n - 1}, "three": {3, 17, 31},
		"all": slices.Collect(func(yield func(int) bool) {
			for i := range n {
				if !yield(i) {
					return
				}
			}
		}),
	}
	for _, refusal := range []*kerr.Error{kerr.MessageTooLarge, kerr.RecordListTooLarge, kerr.InvalidRecord} {
		for place, at := range places {
			t.Run(refusal.Message+"/"+place, func(t *testing.T) {
				t.Parallel()
				c := cluster(t, kfake.SeedTopics(1, "logs"))
				refusePoison(c, refusal)
				r := newRig(t, Options{Brokers: c.ListenAddrs(), Compression: "none"})
				values := numbered(1, 0, n)
				for _, i := range at {
					values[i] += poison
				}
				first, second := batch(1, values[:n/2]...), batch(1, values[n/2:]...)
				r.produce(first)
				r.produce(second)
				r.settle(first, second)
				good, bad := without(values)
				inOrder(t, read(t, c, "logs", len(good)), map[uint64][]string{1: good})
				var got []string
				for _, d := range letters(t, r.opts.DeadLetterPath) {
					got = append(got, string(d.Bytes))
					if d.Code != refusal.Message || d.Topic != "logs" || d.Path != "/var/log/a.log" || d.Source != "0000000000000abc" || d.Length != int64(len(d.Bytes))+1 {
						t.Errorf("letter %+v", d)
					}
				}
				if !slices.Equal(got, bad) {
					t.Errorf("dead letters %q, want %q", got, bad)
				}
				if h := r.Health(); h.DeadLetters.Count != int64(len(bad)) {
					t.Errorf("health %+v", h)
				}
				r.healed() // on a busy machine it may have been taken for stalled
			})
		}
	}
}

// Lanes that share a partition with a poison fail with it, because kgo fails
// all that is buffered for a partition. They must lose, repeat, disorder and
// dead-letter nothing.
func TestPoisonOfOneLaneHarmsNoOther(t *testing.T) {
	const lanes, batches, each = 4, 60, 100
	c := cluster(t, kfake.SeedTopics(1, "logs"))
	refusePoison(c, kerr.InvalidRecord)
	r := newRig(t, Options{Brokers: c.ListenAddrs(), Compression: "none"})
	want := make(map[uint64][]string)
	var poisoned []string
	total := 0
	var all []*Batch
	var mu sync.Mutex
	var wg sync.WaitGroup
	for s := uint64(1); s <= lanes; s++ {
		values := numbered(s, 0, batches*each)
		if s == 1 {
			for i := 150; i < len(values); i += 700 {
				values[i] += poison
			}
		}
		good, bad := without(values)
		want[s], poisoned, total = good, append(poisoned, bad...), total+len(good)
		wg.Go(func() {
			for i := range batches {
				b := r.produce(batch(s, values[i*each:(i+1)*each]...))
				mu.Lock()
				all = append(all, b)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	r.settle(all...)
	inOrder(t, read(t, c, "logs", total), want)
	var got []string
	for _, d := range letters(t, r.opts.DeadLetterPath) {
		got = append(got, string(d.Bytes))
	}
	if !slices.Equal(got, poisoned) {
		t.Errorf("dead letters %q, want %q", got, poisoned)
	}
}

// Many refusals while everything runs at full speed: the order must hold
// though kgo is given records while their partition fails.
func TestOrderHoldsThroughFailures(t *testing.T) {
	for _, refusal := range []*kerr.Error{kerr.TopicAuthorizationFailed, kerr.InvalidRecord, kerr.UnknownServerError} {
		t.Run(refusal.Message, func(t *testing.T) {
			const lanes, batches, each = 3, 200, 50
			c := cluster(t, kfake.SeedTopics(2, "logs"))
			n := 0
			c.Fault(kfake.Fault{
				Keys: []kmsg.Key{kmsg.Produce}, Err: refusal, Count: -1,
				When: func(kmsg.Request) bool { n++; return n%3 == 0 && n < 300 },
			})
			r := newRig(t, Options{Brokers: c.ListenAddrs(), Linger: -1})
			want := make(map[uint64][]string)
			for s := uint64(1); s <= lanes; s++ {
				want[s] = numbered(s, 0, batches*each)
			}
			done := make(chan []*Batch)
			for s := uint64(1); s <= lanes; s++ {
				go func() {
					var mine []*Batch
					for i := range batches {
						mine = append(mine, r.produce(batch(s, want[s][i*each:(i+1)*each]...)))
					}
					done <- mine
				}()
			}
			for range lanes {
				r.settle(<-done...)
			}
			// A refusal that hits a lone record makes a dead letter of it, rightly.
			dead := make(map[string]bool)
			for _, d := range letters(t, r.opts.DeadLetterPath) {
				dead[string(d.Bytes)] = true
			}
			for s := range want {
				want[s] = slices.DeleteFunc(want[s], func(v string) bool { return dead[v] })
			}
			inOrder(t, read(t, c, "logs", lanes*batches*each-len(dead)), want)
		})
	}
}

func TestRecordLargerThanTheTopicTakes(t *testing.T) {
	noise := func(n int) string {
		raw := make([]byte, n*3/4)
		if _, err := rand.Read(raw); err != nil {
			t.Fatal(err)
		}
		return base64.StdEncoding.EncodeToString(raw)
	}
	huge := 2_000_000 // does not fit into a normal batch
	for _, tc := range []struct {
		name, limit, compression string
		big                      string
		dead                     bool
	}{
		{"too large for the topic", "100000", "none", noise(200_000), true},
		{"too large for topic and batch", "100000", "lz4", noise(huge), true},
		{"compresses to what the topic takes", "100000", "lz4", strings.Repeat("a", huge), false},
		{"larger than a batch, the topic takes it", "3000000", "none", noise(huge), false},
		{"at the limit", "100000", "none", noise(99_000), false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := cluster(t)
			if err := c.CreateTopic("logs", 1, map[string]string{"max.message.bytes": tc.limit}); err != nil {
				t.Fatal(err)
			}
			r := newRig(t, Options{Brokers: c.ListenAddrs(), Compression: tc.compression})
			values := numbered(1, 0, 20)
			values[10] = "s1-" + tc.big
			b := batch(1, values...)
			r.settle(r.produce(b))
			after := numbered(1, 20, 5)
			r.settle(r.produce(batch(1, after...)))
			want := append(slices.Clone(values), after...)
			got := letters(t, r.opts.DeadLetterPath)
			if tc.dead {
				want = slices.Delete(want, 10, 11)
				if len(got) != 1 || string(got[0].Bytes) != values[10] || !strings.Contains(got[0].Reason, "100000") {
					t.Errorf("%d dead letters: %.300v", len(got), got)
				}
			} else if len(got) != 0 {
				t.Errorf("dead letters: %.300v", got)
			}
			inOrder(t, read(t, c, "logs", len(want)), map[uint64][]string{1: want})
		})
	}
}

// A topic that takes smaller batches than ours must not make every batch fail.
func TestBatchesFollowTheTopicsLimit(t *testing.T) {
	for _, readable := range []bool{true, false} {
		t.Run(fmt.Sprintf("readable %v", readable), func(t *testing.T) {
			c := cluster(t)
			if err := c.CreateTopic("logs", 1, map[string]string{"max.message.bytes": "60000"}); err != nil {
				t.Fatal(err)
			}
			if !readable {
				c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.DescribeConfigs}, Err: kerr.TopicAuthorizationFailed, Count: -1})
			}
			refused := c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Observe: true, Count: -1, When: func(req kmsg.Request) bool {
				return len(req.(*kmsg.ProduceRequest).Topics[0].Partitions[0].Records) > 60_000
			}})
			r := newRig(t, Options{Brokers: c.ListenAddrs(), Compression: "none"})
			values := make([]string, 200)
			for i := range values {
				values[i] = fmt.Sprintf("s1-%06d-%s", i, strings.Repeat("x", 1000))
			}
			send := func(at int) {
				for part := range slices.Chunk(values, at) {
					r.produce(batch(1, part...))
				}
				eventually(t, "all is settled", func() bool { return r.Health().InFlightRecords == 0 })
			}
			send(50)
			inOrder(t, read(t, c, "logs", len(values)), map[uint64][]string{1: values})
			if d := letters(t, r.opts.DeadLetterPath); len(d) != 0 {
				t.Errorf("%d dead letters, the first: %.300v", len(d), d[0])
			}
			eventually(t, "the client knows the limit", func() bool {
				if !readable {
					send(len(values)) // it learns by what is refused: too large batches have to be there
				}
				r.Producer.mu.Lock()
				sizes := r.current.batchSizes()
				r.Producer.mu.Unlock()
				return r.limits.batchMax("logs") <= 60_000 && sizes["logs"] <= 60_000 // 0: not used yet
			})
			before := refused.Hits()
			send(50)
			if after := refused.Hits(); after != before {
				t.Errorf("%d batches were too large though the limit was known", after-before)
			}
		})
	}
}
