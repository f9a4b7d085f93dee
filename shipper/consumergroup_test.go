package shipper

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"shiplog/shipper/kafkatest"
)

// members are consumers of one group, of which each value is counted, and for
// each partition the order.
type members struct {
	t    *testing.T
	o    ConsumeOptions
	mu   sync.Mutex
	seen map[string]int
	last map[int32]int64 // offsets
	by   map[string]int  // how many each member had
}

func newMembers(t *testing.T, o ConsumeOptions) *members {
	return &members{t: t, o: o, seen: map[string]int{}, last: map[int32]int64{}, by: map[string]int{}}
}

func (m *members) take(name string, r *kgo.Record) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.seen[string(r.Value)]++
	m.by[name]++
	if last, ok := m.last[r.Partition]; ok && r.Offset <= last {
		m.t.Errorf("%s took offset %d of partition %d after %d", name, r.Offset, r.Partition, last)
	}
	m.last[r.Partition] = r.Offset
}

// join adds one; leave ends it in order.
func (m *members) join(name string) (leave func()) {
	m.t.Helper()
	ctx, cancel := context.WithCancel(m.t.Context())
	result := make(chan error, 1)
	go func() {
		result <- Consume(ctx, m.o, func(r *kgo.Record) error {
			<-time.After(100 * time.Microsecond) // as if it were work, so that a member has some of it when others come
			m.take(name, r)
			return nil
		})
	}()
	var once sync.Once
	leave = func() {
		once.Do(func() {
			cancel()
			if err := <-result; err != nil {
				m.t.Errorf("%s: %v", name, err)
			}
		})
	}
	m.t.Cleanup(leave)
	return leave
}

// had waits until a member has taken n, and calls write meanwhile.
func (m *members) had(name string, n int, write func()) {
	m.t.Helper()
	eventually(m.t, fmt.Sprintf("%s has %d", name, n), func() bool {
		write()
		m.mu.Lock()
		defer m.mu.Unlock()
		return m.by[name] >= n
	})
}

// comeAndGo lets members join and leave while values are written, and counts.
func comeAndGo(t *testing.T, addrs []string, topic string, commitEach bool) {
	m := newMembers(t, ConsumeOptions{Brokers: addrs, Topics: []string{topic}, Group: "g-" + topic, CommitEach: commitEach})
	client, err := kgo.NewClient(kgo.SeedBrokers(addrs...), kgo.DefaultProduceTopic(topic), kgo.RecordPartitioner(kgo.RoundRobinPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	written := 0
	write := func() { // much at a time would be with the one member that is there
		for range 5 {
			client.Produce(t.Context(), kgo.StringRecord(strconv.Itoa(written)), func(_ *kgo.Record, err error) {
				if err != nil && t.Context().Err() == nil {
					t.Error(err)
				}
			})
			written++
		}
	}
	leaveA := m.join("a")
	m.had("a", 50, write)
	leaveB := m.join("b")
	m.had("b", 50, write)
	leaveA()
	leaveC := m.join("c")
	m.had("c", 50, write)
	leaveB()
	write()
	leaveC()
	if err := client.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	m.o.ExitAtEnd, m.o.CommitEach = true, false // which is faster
	if err := Consume(t.Context(), m.o, func(r *kgo.Record) error { m.take("last", r); return nil }); err != nil {
		t.Fatal(err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range written {
		if n := m.seen[strconv.Itoa(i)]; n != 1 {
			t.Errorf("%d was taken %d times", i, n)
		}
	}
	t.Log(m.by)
}

func TestGroupMembersComeAndGo(t *testing.T) {
	for _, each := range []bool{false, true} {
		t.Run(fmt.Sprintf("commit each %v", each), func(t *testing.T) {
			t.Parallel()
			c := cluster(t, kfake.SeedTopics(6, "a"))
			comeAndGo(t, c.ListenAddrs(), "a", each)
		})
	}
}

func TestRealKafkaGroupMembersComeAndGo(t *testing.T) {
	broker := kafkatest.Start(t, kafkatest.Options{Topics: map[string]int32{"printed": 6, "each": 6}})
	for topic, each := range map[string]bool{"printed": false, "each": true} {
		t.Run(topic, func(t *testing.T) {
			t.Parallel()
			comeAndGo(t, []string{broker.Addr()}, topic, each)
		})
	}
}

// A record that was not taken is the next run's first, and those before it are
// committed, one by one.
func TestWhatWasNotTakenComesAgain(t *testing.T) {
	t.Parallel()
	c := cluster(t, kfake.SeedTopics(1, "a"))
	fill(t, c, "a", "1", "2", "3", "4")
	o := ConsumeOptions{Brokers: c.ListenAddrs(), Topics: []string{"a"}, Group: "g", CommitEach: true, ExitAtEnd: true}
	full := errors.New("no")
	committed := func() int64 {
		client, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...))
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		offsets, err := kadm.NewClient(client).FetchOffsets(t.Context(), "g")
		if err != nil {
			t.Fatal(err)
		}
		at, _ := offsets.Lookup("a", 0)
		return at.At
	}
	err := Consume(t.Context(), o, func(r *kgo.Record) error {
		if r.Offset == 2 {
			if at := committed(); at != 2 {
				t.Errorf("committed %d while offset 2 is taken", at)
			}
			return full
		}
		return nil
	})
	if !errors.Is(err, full) {
		t.Fatal(err)
	}
	equal(t, "the next run", consume(t, o), []string{"3", "4"})
}

func TestConsumeFromATime(t *testing.T) {
	t.Parallel()
	c := cluster(t, kfake.SeedTopics(2, "a"))
	client, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...), kgo.DefaultProduceTopic("a"))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	noon := time.Date(2026, 1, 25, 12, 0, 0, 0, time.UTC)
	for i := range 10 {
		r := kgo.StringRecord(strconv.Itoa(i))
		r.Timestamp = noon.Add(time.Duration(i) * time.Minute)
		if err := client.ProduceSync(t.Context(), r).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	o := ConsumeOptions{Brokers: c.ListenAddrs(), Topics: []string{"a"}, ExitAtEnd: true}
	for from, want := range map[time.Duration][]string{-time.Hour: {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"}, 7 * time.Minute: {"7", "8", "9"}, time.Hour: nil} {
		for _, group := range []string{"", "g" + from.String()} {
			o.FromTime, o.Group = noon.Add(from), group
			equal(t, fmt.Sprintf("from noon and %s, group %q", from, group), consume(t, o), want)
		}
	}
}

// The first group of a cluster finds no coordinator for a while.
func TestConsumeWaitsForTheCoordinator(t *testing.T) {
	t.Parallel()
	c := cluster(t, kfake.SeedTopics(1, "a"))
	fill(t, c, "a", "1")
	c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.FindCoordinator}, Err: kerr.CoordinatorNotAvailable, Count: 8})
	equal(t, "read", consume(t, ConsumeOptions{Brokers: c.ListenAddrs(), Topics: []string{"a"}, Group: "g", ExitAtEnd: true}), []string{"1"})
}
