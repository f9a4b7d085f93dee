package main_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"shiplog/shipper/kafkatest"
)

// limitTopic makes the topic t take records of that size.
func (e *e2e) limitTopic(bytes string) {
	e.t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(e.broker))
	if err != nil {
		e.t.Fatal(err)
	}
	defer cl.Close()
	done, err := kadm.NewClient(cl).AlterTopicConfigs(e.t.Context(), []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "max.message.bytes", Value: &bytes}}, "t")
	if err == nil && len(done) == 1 {
		err = done[0].Err
	}
	if err != nil {
		e.t.Fatal(err)
	}
}

// TestReplay sends dead letters again with the built binary.
func TestReplay(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("builds the binary")
	}
	binary := buildAgent(t)
	for name, run := range map[string]func(*testing.T, *e2e){"once the limit is raised": testReplayRaised, "killed": testReplayKilled} {
		t.Run(name, func(t *testing.T) {
			k, err := kfake.NewCluster(kfake.NumBrokers(1))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(k.Close)
			if err := k.CreateTopic("t", 1, map[string]string{"max.message.bytes": "20000"}); err != nil {
				t.Fatal(err)
			}
			e := newE2E(t, binary, k.ListenAddrs()[0])
			e.configure(", compression: none")
			run(t, e)
		})
	}
}

// shipTooLarge ships lines of which n are too large for the topic.
func (e *e2e) shipTooLarge(n int) {
	e.t.Helper()
	for i := range n {
		e.append("a.log", fmt.Sprintf("small %d\n%s %d\n", i, strings.Repeat("large ", 10_000), i))
	}
	if code, _, said := e.call("run", "--once", "--config", e.config); code != 0 {
		e.t.Fatalf("run: exit %d: %s", code, said)
	}
	if got := e.count(); got != int64(n) {
		e.t.Fatalf("%d records, want %d", got, n)
	}
}

func testReplayRaised(t *testing.T, e *e2e) {
	e.shipTooLarge(3)
	code, out, said := e.call("replay", "--config", e.config, "--dry-run")
	if code != 0 || strings.Count(out, "a.log") != 3 || !strings.Contains(out, "MESSAGE_TOO_LARGE") || !strings.Contains(said, "would send 3 dead letters") {
		t.Errorf("dry run: exit %d: %s%s", code, out, said)
	}
	code, out, said = e.call("replay", "--config", e.config)
	if code != 1 || out != "" || strings.Count(said, "stays: ") != 3 || !strings.Contains(said, "sent 0 of 3") {
		t.Errorf("below the limit: exit %d: %s%s", code, out, said)
	}
	e.limitTopic("1000000")
	for i, want := range []string{"sent 1 of 1", "sent 2 of 2", "sent 0 of 0"} {
		args := []string{"replay", "--config", e.config}
		if i == 0 {
			args = append(args, "--limit", "1", "--file", "a.log", "--reason", "message_too_large")
		}
		if code, _, said := e.call(args...); code != 0 || !strings.Contains(said, want) {
			t.Errorf("call %d: exit %d: %s, want %s", i, code, said, want)
		}
	}
	if got := e.count(); got != 6 {
		t.Errorf("%d records, want 6", got)
	}
}

// testReplayKilled kills a replay while it waits for a topic that is not there.
func testReplayKilled(t *testing.T, e *e2e) {
	e.shipTooLarge(3)
	e.limitTopic("1000000")
	p, said := e.background("replay", "--config", e.config, "--topic", "missing")
	e.wait("the replay to wait", func() bool { return strings.Contains(said(), "does not exist") })
	if code, _, errOut := e.call("replay", "--config", e.config); code != 1 || !strings.Contains(errOut, "another shiplog replay is running") {
		t.Errorf("a second replay: exit %d: %s", code, errOut)
	}
	e.append("a.log", strings.Repeat("more ", 1000)+"\n")
	if code, _, errOut := e.call("run", "--once", "--config", e.config); code != 0 {
		t.Errorf("an agent beside it: exit %d: %s", code, errOut)
	}
	p.Kill()
	if _, err := os.Stat(filepath.Join(e.dir, "state", "dead-letters.replaying.jsonl")); err != nil {
		t.Errorf("the letters are not aside: %v", err)
	}
	if code, _, errOut := e.call("replay", "--config", e.config); code != 0 || !strings.Contains(errOut, "sent 3 of 3") {
		t.Errorf("the next replay: exit %d: %s", code, errOut)
	}
	if got := e.count(); got != 7 {
		t.Errorf("%d records, want 7", got)
	}
}

// TestRealKafkaReplay has a real broker refuse a line in the middle of good ones,
// and take it when its limit is raised, while the agent runs.
func TestRealKafkaReplay(t *testing.T) {
	if !realKafka() {
		t.Skip("a real Kafka is asked for by SHIPLOG_REAL_KAFKA=1")
	}
	k := kafkatest.Start(t, kafkatest.Options{Topics: map[string]int32{faultTopic: 1, "dead": 1}})
	e := newE2E(t, buildAgent(t), k.Addr())
	e.limitTopic("20000")
	r := newFaultRig(t, e.binary, k.Addr(), kafkatest.Consume, faultOptions{kafka: ", compression: none, dead_letter: {topic: dead}"})
	letters := 0
	kafkatest.Consume(t, k.Addr(), "dead", func(int32, int64, []byte) {
		r.mu.Lock()
		defer r.mu.Unlock()
		letters++
	})
	large := strings.Repeat("large ", 10_000)
	r.write(300)
	r.append("logs/app.log", large+"\n")
	r.write(300)
	r.all()
	r.await("the letter in the topic", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return letters == 1
	}, r.said)
	if code, _, said := r.call("replay", "--config", r.config); code != 1 || !strings.Contains(said, "MESSAGE_TOO_LARGE") {
		t.Errorf("below the limit: exit %d: %s", code, said)
	}
	e.limitTopic("1000000")
	if code, _, said := r.call("replay", "--config", r.config); code != 0 || !strings.Contains(said, "sent 1 of 1") {
		t.Errorf("above the limit: exit %d: %s", code, said)
	}
	r.await("the large line", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.arrived[large] == 1
	}, r.said)
	r.green()
	r.judge()
	r.mu.Lock()
	defer r.mu.Unlock()
	if letters != 1 {
		t.Errorf("%d letters in the topic, want 1", letters)
	}
}
