package main_test

import (
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
)

// TestTorture runs the built binary over logs that several applications write
// and rotate in every way, stops it at random instants, and counts what arrives.
//
//	TORTURE_SECONDS    how long the applications write, in each scenario
//	TORTURE_SEED       repeats the decisions of a run, though not its timing
//	TORTURE_RACE=1     builds the binary with the race detector
//	TORTURE_ORDER=1    judges order in gzip too
//	SHIPLOG_REAL_KAFKA=1  ships to a real Kafka, counted by a librdkafka consumer
func TestTorture(t *testing.T) {
	t.Parallel()
	switch {
	case testing.Short():
		t.Skip("takes several seconds")
	case runtime.GOOS == "windows":
		t.Skip("Windows has no signals, and no renaming of a file that an application holds open")
	}
	length := time.Duration(tortureNumber(t, "TORTURE_SECONDS", defaultSeconds)) * time.Second
	seed := tortureNumber(t, "TORTURE_SEED", rand.Uint64())
	kafka, binary := startTortureKafka(t), buildAgent(t)
	for i, s := range []scenario{
		{name: "rotate-only", partitions: 1, deletes: true, exact: true, ordered: true},
		{name: "sigterm", partitions: 1, stops: []stop{(*testAgent).terminate}, exact: true, ordered: true},
		{name: "reload", partitions: 1, reloads: true, exact: true, ordered: true},
		// In gzip files are renamed and compressed at the very moment at which an agent
		// looks for those that it missed. Order has held in each of the last runs, which
		// are some dozens: too few to have every change fail by one that it does not.
		{name: "gzip", partitions: 1, gzips: true, stops: []stop{(*testAgent).terminate}, exact: true, ordered: os.Getenv("TORTURE_ORDER") != ""},
		// A file that was moved before it was seen has a name of its own.
		{name: "moves", partitions: 1, gzips: true, moves: true, stops: []stop{(*testAgent).terminate}, exact: true},
		{name: "copytruncate", partitions: 1, copies: true, gzips: true, stops: []stop{(*testAgent).terminate}, exact: true},
		{name: "sigkill", partitions: 3, stops: []stop{(*testAgent).kill, (*testAgent).kill, (*testAgent).terminate}, exact: true},
	} {
		t.Run(s.name, func(t *testing.T) {
			if !realKafka() {
				t.Parallel()
			}
			r := newTortureRun(t, s, kafka, binary, seed+uint64(i))
			t.Logf("repeat with TORTURE_SEED=%d TORTURE_SECONDS=%.0f", seed, length.Seconds())
			r.torture(t, length)
		})
	}
}

const (
	tortureWriters = 4
	defaultSeconds = 3
	minUp, maxUp   = 300 * time.Millisecond, 1800 * time.Millisecond
	maxDown        = 800 * time.Millisecond
	drainPatience  = 60 * time.Second // without anything new arriving
	drainPoll      = 20 * time.Millisecond
)

// scenario is what happens to the agent.
type scenario struct {
	name       string
	partitions int32
	stops      []stop // how the agent is stopped, at random; none: it is left alone
	reloads    bool   // the configuration is reloaded, again and again
	deletes    bool   // files are deleted while the agent reads them
	moves      bool   // files are moved into another folder that is followed
	gzips      bool   // rotated files are compressed
	copies     bool   // files are copied and truncated, and rotated in no other way
	exact      bool   // nothing may be repeated
	ordered    bool   // nothing may come in another order than written, in one partition
	kafka      string // more of the agent's kafka section
	committed  bool   // it sends in transactions
	calm       bool   // files are rotated seldom, so that most stops are in the middle of sending
	atMost     int    // stops of the agent, then it is left to finish; 0: no bound
}

type stop func(*testAgent) error

func tortureNumber(t *testing.T, name string, preset uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return preset
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// tortureRun is one scenario.
type tortureRun struct {
	scenario
	broker  tortureKafka
	topic   string
	rng     *rand.Rand
	oracle  *oracle
	writers []*writer
	agent   *testAgent
	stopped int // how often the agent was

	reloaded map[string]int // by how it went
}

// newTortureRun prepares a scenario in a folder that stays behind if it fails.
func newTortureRun(t *testing.T, s scenario, kafka tortureKafka, binary string, seed uint64) *tortureRun {
	t.Helper()
	dir, err := os.MkdirTemp("", "shiplog-torture-")
	if err != nil {
		t.Fatal(err)
	}
	r := &tortureRun{
		scenario: s, broker: kafka, topic: "torture-" + s.name,
		rng: rand.New(rand.NewPCG(seed, tortureWriters)), oracle: newOracle(tortureWriters), reloaded: map[string]int{},
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("logs, state and what the agent said are kept in %s", dir)
		} else if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	logs := filepath.Join(dir, "logs")
	if err := os.MkdirAll(filepath.Join(logs, movedDir), 0o700); err != nil {
		t.Fatal(err)
	}
	for k := range tortureWriters {
		w, err := newWriter(k, logs, seed, r.oracle)
		if err != nil {
			t.Fatal(err)
		}
		w.deletes, w.gzips, w.copies, w.moves, w.calm = s.deletes, s.gzips, s.copies, s.moves, s.calm
		r.writers = append(r.writers, w)
	}
	r.agent, err = newTestAgent(dir, binary, kafka.addr, r.topic, s.kafka)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the agent's last words:\n%s", r.agent.logTail())
		}
		if err := r.agent.close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// torture runs the scenario and judges it.
func (r *tortureRun) torture(t *testing.T, length time.Duration) {
	r.broker.createTopic(t, r.topic, r.partitions)
	stopConsumer := r.broker.consume(t, r.broker.addr, r.topic, func(partition int32, _ int64, value []byte) { r.oracle.arrive(partition, value) })

	if r.committed {
		r.meet(t)
	}
	ctx, cancel := context.WithTimeout(t.Context(), length)
	defer cancel()
	g, ctx := errgroup.WithContext(ctx)
	for _, w := range r.writers {
		g.Go(func() error { return w.run(ctx) })
	}
	disturb := r.disturb
	if r.reloads {
		disturb = r.reloadAround
	}
	err := disturb(ctx)
	cancel()
	if werr := g.Wait(); err != nil || werr != nil {
		t.Fatalf("agent: %v; writers: %v", err, werr)
	}

	if err := r.drain(t.Context()); err != nil {
		t.Error(err)
	} else if err := r.agent.terminate(); err != nil {
		t.Error(err)
	}
	r.readAll(t)
	stopConsumer()
	r.judge(t)
	if r.reloads {
		r.judgeReloads(t)
	}
}

// meet has the agent find the files before they are rotated: one that is renamed
// before it was ever seen is nobody's. With transactions no file is looked for
// before Kafka has answered, which may take longer than the first of them lives.
func (r *tortureRun) meet(t *testing.T) {
	t.Helper()
	if err := r.agent.start(); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(drainPatience); strings.Count(r.agent.said(), `msg="file found"`) < tortureWriters; {
		if time.Now().After(end) {
			t.Fatal("the agent does not find the files")
		}
		if err := r.agent.wait(t.Context(), drainPoll); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.agent.terminate(); err != nil {
		t.Fatal(err)
	}
}

// disturb starts the agent, and stops and starts it until ctx ends, when it is
// up. It has the writers rotate while the agent is down.
func (r *tortureRun) disturb(ctx context.Context) error {
	for {
		if err := r.agent.start(); err != nil {
			return err
		}
		if len(r.stops) == 0 {
			return r.agent.wait(ctx, time.Hour)
		}
		up := r.between(minUp, maxUp)
		if r.calm { // it has to get beyond the files that were rotated
			up *= 2
		}
		if err := r.agent.wait(ctx, up); err != nil || ctx.Err() != nil {
			return err
		}
		if err := r.stops[r.rng.IntN(len(r.stops))](r.agent); err != nil {
			return err
		}
		if r.stopped++; r.stopped == r.atMost {
			return r.agent.start()
		}
		for _, w := range r.writers {
			if r.rng.IntN(2) == 0 && (!r.calm || r.rng.IntN(5) == 0) {
				w.rotate(ctx)
			}
		}
		down := time.NewTimer(r.between(0, maxDown))
		select {
		case <-down.C:
		case <-ctx.Done():
		}
	}
}

func (r *tortureRun) between(low, high time.Duration) time.Duration {
	return low + time.Duration(r.rng.Int64N(int64(high-low)))
}

// drain waits until all lines have arrived, or none has for a while.
func (r *tortureRun) drain(ctx context.Context) error {
	for {
		complete := true
		for _, w := range r.writers {
			complete = complete && r.oracle.allArrived(w.k, w.written)
		}
		_, latest := r.oracle.received()
		if complete || time.Since(latest) > drainPatience {
			return nil
		}
		if err := r.agent.wait(ctx, drainPoll); err != nil {
			return err
		}
	}
}

// readAll waits until the consumer has read all that the topic has: repeats may
// come after the last line.
func (r *tortureRun) readAll(t *testing.T) {
	t.Helper()
	want := r.broker.records(t, r.topic)
	if r.committed {
		want = r.broker.committed(t, r.topic)
	}
	poll := time.NewTicker(drainPoll)
	defer poll.Stop()
	for deadline := time.Now().Add(drainPatience); ; <-poll.C {
		got, _ := r.oracle.received()
		if got >= want {
			return
		}
		if time.Now().After(deadline) {
			t.Errorf("the consumer read %d of %d records", got, want)
			return
		}
	}
}

func (r *tortureRun) judge(t *testing.T) {
	t.Helper()
	written, rotated := make([]int, tortureWriters), [rotationKinds]int{}
	for _, w := range r.writers {
		written[w.k] = w.written
		for how, n := range w.count {
			rotated[how] += n
		}
	}
	v := r.oracle.judge(written)
	t.Logf("%d starts of the agent, rotations %v: %v", r.agent.starts, rotated, v)
	if v.written == 0 || v.lost != 0 || v.bad != 0 {
		t.Errorf("want every line of several to arrive as it was written: %v", v)
	}
	if r.exact && v.repeated != 0 {
		t.Errorf("want nothing repeated: %v", v)
	}
	if r.ordered && v.disorder != 0 {
		t.Errorf("want nothing out of order: %v", v)
	}
}
