package main_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"shiplog/shipper/kafkatest"
)

// TestRealKafkaLegacy does the main job on a Kafka with ZooKeeper: ship, with the
// agent killed and the broker restarted in between, and prove it.
func TestRealKafkaLegacy(t *testing.T) {
	if !realKafka() {
		t.Skip("a real Kafka is asked for by SHIPLOG_REAL_KAFKA=1")
	}
	k := kafkatest.Start(t, kafkatest.Options{Version: kafkatest.LegacyVersion, Topics: map[string]int32{"t": 3}})
	e := newE2E(t, buildAgent(t), k.Addr())
	written := 0
	write := func(n int) {
		for _, name := range []string{"a.log", "b.log"} {
			var text strings.Builder
			for i := range n {
				fmt.Fprintf(&text, "line %d of %s\n", written+i, name)
			}
			e.append(name, text.String())
		}
		written += n
	}
	write(2000)
	first, _ := e.background("run", "--config", e.config)
	e.wait("the first lines", func() bool { return e.count() >= 4000 })
	write(2000)
	if err := first.Kill(); err != nil {
		t.Fatal(err)
	}
	write(1000)
	second, said := e.background("run", "--config", e.config)
	e.wait("the lines after the kill", func() bool { return e.count() >= 10_000 })
	k.Restart()
	write(1000)
	e.wait("the lines after the restart of the broker", func() bool { return e.count() >= 12_000 })
	if err := second.Stop(30 * time.Second); err != nil {
		t.Errorf("stop: %v\n%s", err, said())
	}
	if code, out, errOut := e.call("verify", "--config", e.config, "--strict"); code != 0 || !strings.Contains(out, "complete: 2 files, 12000 records") {
		t.Errorf("verify: exit %d\n%s%s\nthe agent said:\n%s", code, out, errOut, said())
	}
}
