package shipper

import (
	"encoding/binary"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// producerID returns the id of the producer that made a request's first batch: the
// eight bytes at 43 of a batch of format 2.
func producerID(req kmsg.Request) int64 {
	records := req.(*kmsg.ProduceRequest).Topics[0].Partitions[0].Records
	return int64(binary.BigEndian.Uint64(records[43:51]))
}

// A broker swallows what the first client sends, and answers all else: the
// watchdog makes a new client, and everything arrives, in order, once.
func TestWatchdogFreesAStuckClient(t *testing.T) {
	t.Parallel()
	c := cluster(t, kfake.SeedTopics(2, "logs", "other"))
	over := make(chan struct{})
	release := sync.OnceFunc(func() { close(over) })
	defer release()
	first := int64(-1)
	c.ControlKey(int16(kmsg.Produce), func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		if id := producerID(req); first < 0 {
			first = id
		} else if id != first {
			return nil, nil, false
		}
		c.SleepControl(func() { <-over })
		return nil, errors.New("swallowed"), true
	})
	r := newRig(t, Options{Brokers: c.ListenAddrs(), Watchdog: 700 * time.Millisecond})
	want := make(map[uint64][]string)
	var batches []*Batch
	for i := range 10 {
		for s := uint64(1); s <= 4; s++ {
			values := numbered(s, 50*i, 50)
			want[s] = append(want[s], values...)
			batches = append(batches, r.produce(batch(s, values...)))
		}
	}
	batches = append(batches, r.produce(spread(batch(9, numbered(9, 0, 20)...), "logs", "other")))
	eventually(t, "the watchdog helped", func() bool { return r.Health().Rebuilt > 0 })
	r.settle(batches...)
	r.healed()
	read(t, c, "other", 10)
	records := read(t, c, "logs", 4*500+10)
	inOrder(t, records, want)
	if n := strings.Count(r.log.String(), "made a new Kafka client, which sends them again"); int64(n) != r.Health().Rebuilt {
		t.Errorf("the log tells of %d new clients, health of %d", n, r.Health().Rebuilt)
	}
}

// Where a broker refuses, again and again, the client is not stuck.
func TestWatchdogLeavesRefusalsAlone(t *testing.T) {
	t.Parallel()
	c := cluster(t, kfake.SeedTopics(1, "logs"))
	refusing := c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.NotEnoughReplicas, Count: -1})
	r := newRig(t, Options{Brokers: c.ListenAddrs(), Watchdog: time.Hour})
	b := r.produce(batch(1, numbered(1, 0, 10)...))
	eventually(t, "it is tried again", func() bool { return refusing.Hits() > 3 })
	last := time.Unix(0, r.current.answered.Load())
	if s, _ := r.stuck(last.Add(time.Hour - time.Millisecond)); s != nil {
		t.Error("a client that is answered counts as stuck")
	}
	r.current.answered.Store(0)
	if s, topics := r.stuck(last.Add(time.Hour)); s == nil || !slices.Equal(topics, []string{"logs"}) {
		t.Errorf("one that is not, does not, for topics %q", topics)
	}
	refusing.Remove()
	r.settle(b)
}

// A missing topic is not the client's fault either.
func TestWatchdogLeavesMissingTopicsAlone(t *testing.T) {
	t.Parallel()
	c := cluster(t, kfake.SeedTopics(1, "logs"))
	r := newRig(t, Options{Brokers: c.ListenAddrs(), Watchdog: 300 * time.Millisecond})
	b := r.produce(spread(batch(1, "waits"), "missing"))
	eventually(t, "it has waited for longer than the watchdog does", func() bool {
		h := r.Health()
		return !h.Oldest.IsZero() && time.Since(h.Oldest) > time.Second
	})
	if n := r.Health().Rebuilt; n != 0 {
		t.Errorf("%d new clients were made", n)
	}
	if err := c.CreateTopic("missing", 1, nil); err != nil {
		t.Fatal(err)
	}
	r.settle(b)
}

// A topic that refuses everything does not make dead letters of everything.
func TestBrake(t *testing.T) {
	t.Parallel()
	c := cluster(t, kfake.SeedTopics(1, "logs", "good"))
	refusing := c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: "logs", Err: kerr.InvalidRecord, Count: -1})
	r := newRig(t, Options{Brokers: c.ListenAddrs(), DeadLettersInARow: 10})
	values := numbered(1, 0, 200)
	b := r.produce(batch(1, values...))
	r.problem(`topic "logs" has refused the last 10 records one by one`, "max_in_a_row")
	other := r.produce(spread(batch(2, numbered(2, 0, 20)...), "good"))
	r.settle(other)
	hits := refusing.Hits()
	eventually(t, "it is tried again", func() bool { return refusing.Hits() > hits+5 })
	if got := letters(t, r.opts.DeadLetterPath); len(got) != 10 || r.isDone(b) {
		t.Errorf("%d dead letters, want 10; settled: %t", len(got), r.isDone(b))
	}
	refusing.Remove()
	r.settle(b)
	r.healed()
	inOrder(t, read(t, c, "logs", 190), map[uint64][]string{1: values[10:]})
}

// Records that are refused now and then stay dead letters, however many.
func TestBrakeCountsInARowOnly(t *testing.T) {
	t.Parallel()
	c := cluster(t, kfake.SeedTopics(1, "logs"))
	refusePoison(c, kerr.InvalidRecord)
	r := newRig(t, Options{Brokers: c.ListenAddrs(), Compression: "none", DeadLettersInARow: 5})
	values := numbered(1, 0, 60)
	for i := range values {
		if i%3 == 0 {
			values[i] += poison
		}
	}
	r.settle(r.produce(batch(1, values...)))
	good, bad := without(values)
	inOrder(t, read(t, c, "logs", len(good)), map[uint64][]string{1: good})
	if got := letters(t, r.opts.DeadLetterPath); len(got) != len(bad) {
		t.Errorf("%d dead letters, want %d", len(got), len(bad))
	}
}

// elsewhere is a listener that tells another address.
type elsewhere struct {
	net.Listener
	addr net.Addr
}

func (l elsewhere) Addr() net.Addr { return l.addr }

// halfReachable makes a cluster of two brokers, of which one advertises an address
// that nobody can reach. It returns the address of the other, and that one.
func halfReachable(t *testing.T, opts ...kfake.Opt) (c *kfake.Cluster, here, gone string) {
	t.Helper()
	away, err := net.ResolveTCPAddr("tcp", closedAddr(t))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	c = cluster(t, append(opts, kfake.NumBrokers(2), kfake.ListenFn(func(network, address string) (net.Listener, error) {
		l, err := net.Listen(network, address)
		if n++; n == 2 {
			l = elsewhere{l, away}
		}
		return l, err
	}))...)
	addrs := slices.DeleteFunc(c.ListenAddrs(), func(s string) bool { return s == away.String() })
	if len(addrs) != 1 {
		t.Fatalf("the brokers tell %v", c.ListenAddrs())
	}
	return c, addrs[0], away.String()
}

// One of two brokers advertises an address that nobody can reach: what it leads
// waits, and says so by its name; the rest arrives.
func TestUnreachableAdvertisedAddress(t *testing.T) {
	t.Parallel()
	c, here, gone := halfReachable(t, kfake.SeedTopics(8, "logs"))
	// On a busy machine it takes its time until it is known that a broker is away.
	const watchdog = 2 * time.Second
	r := newRig(t, Options{Brokers: []string{here}, Watchdog: watchdog})
	began := time.Now()
	var batches []*Batch
	for s := range uint64(20) {
		batches = append(batches, r.produce(batch(s, numbered(s, 0, 5)...)))
	}
	r.problem(`topic "logs"`, "at "+gone+" cannot be reached", "advertised.listeners")
	done := 0
	eventually(t, "the other broker's partitions take theirs", func() bool {
		done = 0
		for _, b := range batches {
			if r.isDone(b) {
				done++
			}
		}
		return done > 0 && stored(c, "logs") == 5*done
	})
	if done == len(batches) {
		t.Error("no partition is led by the broker that is away")
	}
	states := map[string]BrokerState{}
	for _, b := range r.Health().Brokers {
		states[b.Addr] = b.State
	}
	if states[gone] != BrokerUnreachable || states[here] != BrokerConnected {
		t.Errorf("brokers %v", states)
	}
	if !strings.Contains(r.log.String(), "broker cannot be reached, trying again [kafka-unreachable]\" broker="+gone) {
		t.Error("the log does not name the broker")
	}
	eventually(t, "the watchdog's time is over", func() bool { return time.Since(began) > watchdog+10*r.tune.tick })
	if r.Health().Rebuilt != 0 {
		t.Error("the watchdog made a new client, though a broker is away")
	}
}
