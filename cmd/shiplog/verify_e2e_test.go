package main_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"shiplog/agent"
	"shiplog/shipper/kafkatest"
)

// testVerify proves what the binary has sent, then plants a gap and a repeat.
func testVerify(t *testing.T, e *e2e) {
	for i := range 500 {
		e.append("a.log", fmt.Sprintf("line %d\n", i))
	}
	if code, _, said := e.call("run", "--once", "--config", e.config); code != 0 {
		t.Fatal(said)
	}
	code, out, said := e.call("verify", "--config", e.config, "--strict")
	if code != 0 || said != "" || !strings.Contains(out, "complete: 1 files, 500 records") {
		t.Errorf("exit %d\n%s%s", code, out, said)
	}
	e.plant("planted", func(i int) int {
		switch i {
		case 123:
			return 0
		case 7:
			return 2
		}
		return 1
	})
	code, out, said = e.call("verify", "--config", e.config, "--topic", "planted")
	for _, want := range []string{"GAP", "gap: line 124, bytes 997 to 1006: never came", "124: line 123", "repeat: bytes 49 to 56 came 2 times", "NOT PROVED"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not said", want)
		}
	}
	if code != 1 || !strings.Contains(said, "shiplog: not proved: 1 lines (9 bytes) of 1 files never came") || t.Failed() {
		t.Errorf("exit %d\n%s%s", code, out, said)
	}
	code, out, said = e.call("verify", "--config", e.config, "--topic", "planted", "--json")
	var v agent.Verification
	if err := json.Unmarshal([]byte(out), &v); code != 1 || err != nil || len(v.Files) != 1 || v.Files[0].GapLines != 1 || v.Files[0].Gaps[0].Text[0] != "line 123" || v.Files[0].RepeatCount != 1 {
		t.Errorf("exit %d, %v\n%s%s", code, err, out, said)
	}
	// A repeat alone is no failure, unless one asks.
	e.plant("doubled", func(i int) int { return 1 + i%2 })
	for _, c := range []struct {
		flag string
		code int
	}{{"--deep", 0}, {"--strict", 1}} {
		if code, out, said := e.call("verify", "--config", e.config, "--topic", "doubled", c.flag); code != c.code || !strings.Contains(out, "complete, with repeats") {
			t.Errorf("%s: exit %d\n%s%s", c.flag, code, out, said)
		}
	}
}

// plant copies the records of the topic into another, each as often as times
// says.
func (e *e2e) plant(to string, times func(i int) int) {
	e.t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(e.broker), kgo.ConsumeTopics("t"))
	if err != nil {
		e.t.Fatal(err)
	}
	defer cl.Close()
	if _, err := kadm.NewClient(cl).CreateTopic(e.t.Context(), 1, 1, nil, to); err != nil {
		e.t.Fatal(err)
	}
	for i, n := 0, int(e.count()); i < n; {
		for _, r := range cl.PollFetches(e.t.Context()).Records() {
			for range times(i) {
				copied := &kgo.Record{Topic: to, Value: r.Value, Headers: r.Headers}
				if err := cl.ProduceSync(e.t.Context(), copied).FirstErr(); err != nil {
					e.t.Fatal(err)
				}
			}
			i++
		}
	}
}

// TestRealKafkaVerify runs the agent, rotates, and proves it on a real broker.
func TestRealKafkaVerify(t *testing.T) {
	k := kafkatest.Start(t, kafkatest.Options{Topics: map[string]int32{"t": 3}})
	e := newE2E(t, buildAgent(t), k.Addr())
	p, said := e.background("run", "--config", e.config)
	for g := range 3 {
		for i := range 2000 {
			e.append("a.log", fmt.Sprintf("generation %d line %d\n", g, i))
		}
		e.wait("the lines", func() bool { return e.count() >= int64(2000*(g+1)) })
		if code, out, errOut := e.call("verify", "--config", e.config, "--strict"); code != 0 {
			t.Errorf("exit %d beside the agent\n%s%s", code, out, errOut)
		}
		if g < 2 {
			if err := os.Rename(filepath.Join(e.dir, "a.log"), filepath.Join(e.dir, fmt.Sprintf("a.log.%d", g))); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := signal(p.PID(), os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := p.Wait(); err != nil {
		t.Errorf("%v: %s", err, said())
	}
	code, out, errOut := e.call("verify", "--config", e.config, "--strict", "--deep")
	if code != 0 || !strings.Contains(out, "complete: 3 files, 6000 records in 3 partitions") {
		t.Errorf("exit %d\n%s%s", code, out, errOut)
	}
	code, out, errOut = e.call("verify", "--config", e.config, "--no-state", "--strict",
		filepath.Join(e.dir, "a.log"), filepath.Join(e.dir, "a.log.0"), filepath.Join(e.dir, "a.log.1"))
	if code != 0 || strings.Count(out, "by its content") != 3 {
		t.Errorf("exit %d\n%s%s", code, out, errOut)
	}
}
