package main_test

import (
	"math/rand/v2"
	"runtime"
	"testing"
	"time"
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
