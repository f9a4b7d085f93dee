package main_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"shiplog/shipper/kafkatest"
	"shiplog/shipper/kafkatest/child"
)

// TestExactlyOnceCost measures what transactions cost on a real Kafka, and prints
// it: make exactly-once-cost. It asserts that everything arrives, never how fast.
//
//	EXACTLY_ONCE_COST   rounds of the rate; or it is skipped
func TestExactlyOnceCost(t *testing.T) {
	rounds := tortureNumber(t, "EXACTLY_ONCE_COST", 0)
	if rounds == 0 {
		t.Skip("make exactly-once-cost runs it")
	}
	k := tortureKafka{addr: kafkatest.Start(t, kafkatest.Options{}).Addr()}
	binary := buildAgent(t)
	k.createCompacted(t, "checkpoints")
	t.Run("rate", func(t *testing.T) { costRate(t, k, binary, int(rounds)) })
	t.Run("delay", func(t *testing.T) { costDelay(t, k, binary) })
}

// costLines is how many lines are shipped at once, in files of costFile each: so
// many that starting, which takes transactions a tenth of a second more, is little.
const (
	costLines = 4_000_000
	costFile  = 1_000_000
)

// costRate ships the same files in turn with and without transactions.
func costRate(t *testing.T, k tortureKafka, binary string, rounds int) {
	best := map[string]time.Duration{}
	modes := []struct{ name, delivery, memory string }{
		{"at-least-once", "at-least-once", "64MiB"},
		{"exactly-once", "exactly-once", "64MiB"},
		{"exactly-once, 256 MiB", "exactly-once", "256MiB"},
	}
	for round := range rounds {
		for i, mode := range modes {
			e := newE2E(t, binary, k.addr)
			for i := range costLines / costFile {
				var text bytes.Buffer
				for n := range costFile {
					fmt.Fprintf(&text, "2026-11-26 10:00:00.%03d INFO [worker-%d] request %d of customer %d served in %d ms\n", n%1000, i, n, n*7919%100000, n%977)
				}
				if err := os.WriteFile(filepath.Join(e.dir, fmt.Sprintf("%d.log", i)), text.Bytes(), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			topic := fmt.Sprintf("rate-%d-%d", i, round)
			k.createTopic(t, topic, 4)
			e.configureText(fmt.Sprintf("kafka: {brokers: [%q], topic: %s, delivery: %s, exactly_once: {checkpoint_topic: checkpoints}}\nmemory_limit: %s", k.addr, topic, mode.delivery, mode.memory))
			cmd := exec.Command(binary, "run", "--once", "--config", e.config)
			began := time.Now()
			if said, err := child.Run(t.Context(), cmd); err != nil {
				t.Fatalf("%s: %v\n%s", mode.name, err, said)
			}
			took, cpu := time.Since(began), cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime()
			if n := k.committed(t, topic); n != costLines {
				t.Errorf("%s: %d of %d lines", mode.name, n, costLines)
			}
			if was, ok := best[mode.name]; !ok || took < was {
				best[mode.name] = took
			}
			t.Logf("%s: %.0f k lines/s, %.2f µs of processor time a line", mode.name, costLines/took.Seconds()/1e3, cpu.Seconds()*1e6/costLines)
			k.admin(t, func(ctx context.Context, c *kadm.Client) error {
				_, err := c.DeleteTopic(ctx, topic)
				return err
			})
		}
	}
	for _, mode := range modes[1:] {
		t.Logf("best of %s: %.0f %% of the rate of at-least-once", mode.name, 100*best["at-least-once"].Seconds()/best[mode.name].Seconds())
	}
}

// costDelay writes 10,000 lines a second, each with the time, and has a consumer
// that reads committed records say how old they are when it sees them. Lines are
// written until the last of these is there: the very last one of all would be kept
// back for what may belong to it (multiline), in whatever way it is sent. Another
// reader of the same topic, whose records belong to no transaction, is measured in
// the same way: how long ours hold it back.
func costDelay(t *testing.T, k tortureKafka, binary string) {
	const perTick, ticks = 100, 1500 // of 10 ms
	e := newE2E(t, binary, k.addr)
	k.createTopic(t, "delay", 1)
	e.configureText(fmt.Sprintf("kafka: {brokers: [%q], topic: delay, delivery: exactly-once, exactly_once: {checkpoint_topic: checkpoints}}", k.addr))
	e.append("a.log", "")
	agent, said := e.background("run", "--config", e.config)
	e.wait("the agent has begun", func() bool { return bytes.Contains([]byte(said()), []byte(`"file found"`)) })

	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	other, err := kgo.NewClient(kgo.SeedBrokers(k.addr))
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	reader, err := kgo.NewClient(kgo.SeedBrokers(k.addr), kgo.ConsumeTopics("delay"), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	written, seen := make(chan error, 1), make(chan struct{})
	go func() {
		f, err := os.OpenFile(filepath.Join(e.dir, "a.log"), os.O_APPEND|os.O_WRONLY, 0)
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		var text []byte
		for i := 0; err == nil; i++ {
			select {
			case <-tick.C:
			case <-seen:
				written <- f.Close()
				return
			case <-ctx.Done():
				return
			}
			text = text[:0]
			for range perTick {
				if i < ticks {
					text = fmt.Appendf(text, "ours at=%d\n", time.Now().UnixNano())
				} else {
					text = append(text, "one more\n"...)
				}
			}
			_, err = f.Write(text)
			if i < ticks && i%10 == 0 {
				other.Produce(ctx, &kgo.Record{Topic: "delay", Value: fmt.Appendf(nil, "theirs at=%d\n", time.Now().UnixNano())}, nil)
			}
		}
		written <- err
	}()
	delays := map[bool][]time.Duration{}
	for len(delays[true]) < perTick*ticks || len(delays[false]) < ticks/10 {
		fetches := reader.PollFetches(ctx)
		if ctx.Err() != nil {
			t.Fatalf("%d and %d records came", len(delays[true]), len(delays[false]))
		}
		now := time.Now().UnixNano()
		fetches.EachRecord(func(r *kgo.Record) {
			_, digits, timed := bytes.Cut(r.Value, []byte("at="))
			if !timed {
				return
			}
			end := bytes.IndexFunc(digits, func(c rune) bool { return c < '0' || c > '9' })
			at, err := strconv.ParseInt(string(digits[:end]), 10, 64)
			if err != nil {
				t.Fatalf("%q: %v", r.Value, err)
			}
			ours := bytes.Contains(r.Value, []byte("ours"))
			delays[ours] = append(delays[ours], time.Duration(now-at))
		})
	}
	close(seen)
	if err := <-written; err != nil {
		t.Fatal(err)
	}
	if err := agent.Stop(stopGrace); err != nil {
		t.Error(err)
	}
	for _, ours := range []bool{true, false} {
		ds := delays[ours]
		slices.Sort(ds)
		at := func(part float64) time.Duration { return ds[int(part*float64(len(ds)-1))].Round(time.Millisecond) }
		t.Logf("ours %v: %d records, from being written to being seen: median %s, 95 %% %s, 99 %% %s, worst %s", ours, len(ds), at(.5), at(.95), at(.99), at(1))
	}
}
