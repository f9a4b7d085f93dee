package main_test

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kversion"
)

// exactlyOnceKafka is what an agent's kafka section says.
const exactlyOnceKafka = "  delivery: exactly-once\n  exactly_once: {checkpoint_topic: checkpoints}\n"

// TestExactlyOnce kills the built binary, and has it hang, again and again while it
// sends in transactions, and counts what a consumer sees that reads committed
// records: every line, once.
//
//	EXACTLY_ONCE_KILLS    how often the agent is killed; preset: 10 on a real Kafka, else 4
//	SHIPLOG_REAL_KAFKA=1  on a real Kafka, counted by a librdkafka consumer
func TestExactlyOnce(t *testing.T) {
	t.Parallel()
	switch {
	case testing.Short():
		t.Skip("takes several seconds")
	case runtime.GOOS == "windows":
		t.Skip("Windows has no signals, and no renaming of a file that an application holds open")
	}
	kafka, binary := startTortureKafka(t), buildAgent(t)
	kills := uint64(4)
	if realKafka() {
		kills = 10
	}
	kills = tortureNumber(t, "EXACTLY_ONCE_KILLS", kills)
	kafka.createCompacted(t, "checkpoints")
	s := scenario{
		name: "exactly-once", partitions: 3, exact: true, kafka: exactlyOnceKafka, committed: true, calm: true, atMost: int(kills),
		stops: []stop{(*testAgent).kill, (*testAgent).kill, (*testAgent).kill, (*testAgent).freezeAndKill, (*testAgent).freeze, (*testAgent).terminate},
	}
	r := newTortureRun(t, s, kafka, binary, tortureNumber(t, "TORTURE_SEED", rand.Uint64()))
	r.torture(t, 24*time.Hour)
}

// TestExactlyOnceCommands runs what an operator would, one command after the
// other, and counts what the topic has.
func TestExactlyOnceCommands(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("builds the binary")
	}
	c := newCluster(t, kfake.NumBrokers(1), kfake.SeedTopics(2, "t"))
	k := tortureKafka{addr: c.ListenAddrs()[0]}
	e := newE2E(t, buildAgent(t), k.addr)
	once := func(want int64, what string) {
		t.Helper()
		if code, _, said := e.call("run", "--once", "--config", e.config); code != 0 {
			t.Fatalf("%s: exit status %d\n%s", what, code, said)
		}
		if n := k.committed(t, "t"); n != want {
			t.Errorf("%s: %d records, want %d", what, n, want)
		}
	}
	call := func(args ...string) {
		t.Helper()
		if code, out, said := e.call(args...); code != 0 {
			t.Errorf("%v: exit status %d\n%s%s", args, code, out, said)
		}
	}
	log := filepath.Join(e.dir, "a.log")
	e.append("a.log", "one\ntwo\n")
	once(2, "at least once")
	e.configure(", delivery: exactly-once, create_topics: {replication: 1}")
	e.append("a.log", "three\n")
	once(3, "from then on in transactions")
	once(3, "nothing new")
	call("verify", "--config", e.config, log)
	for _, name := range globbed(t, filepath.Join(e.dir, "state", "checkpoint.*")) {
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	once(3, "the checkpoint on disk is lost")
	e.append("a.log", "four\n")
	once(4, "and it goes on")
	call("state", "rewind", "--config", e.config, "--to", "0", log)
	once(8, "set back by hand")
	once(8, "once")
	e.configure("")
	e.append("a.log", "five\n")
	once(9, "without transactions again")
	e.configure(", delivery: exactly-once")
	once(9, "and with them, from where that one was")
	call("verify", "--config", e.config, log)
	call("state", "forget", "--config", e.config, log)
	once(14, "forgotten, and so sent anew")
}

func globbed(t *testing.T, pattern string) []string {
	t.Helper()
	names, err := filepath.Glob(pattern)
	if err != nil || len(names) == 0 {
		t.Fatalf("%s: %v, %v", pattern, names, err)
	}
	return names
}

func TestExactlyOnceRefusesOldBrokers(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("builds the binary")
	}
	c := newCluster(t, kfake.NumBrokers(1), kfake.SeedTopics(1, "t"), kfake.MaxVersions(kversion.V3_9_0()))
	e := newE2E(t, buildAgent(t), c.ListenAddrs()[0])
	e.configure(", delivery: exactly-once")
	e.append("a.log", "one\n")
	code, _, said := e.call("run", "--config", e.config)
	if code != 1 || !strings.Contains(said, "KIP-890") || !strings.Contains(said, "delivery: at-least-once") {
		t.Errorf("exit status %d\n%s", code, said)
	}
	if n := (tortureKafka{addr: e.broker}).records(t, "t"); n != 0 {
		t.Errorf("%d records were sent", n)
	}
}
