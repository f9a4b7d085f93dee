package kafkatest

import "testing"

// TestShared plays the tests of a package that share a broker.
func TestShared(t *testing.T) {
	gate(t)
	shared := &Shared{}
	var pids []int
	for _, name := range []string{"first", "second"} {
		t.Run(name, func(t *testing.T) { pids = append(pids, shared.Broker(t).PID()) })
	}
	if len(pids) == 2 && (pids[0] == 0 || pids[0] != pids[1]) {
		t.Errorf("the tests had the brokers %v, want one", pids)
	}
	if shared.server != nil {
		if err := shared.server.close(false); err != nil {
			t.Error(err)
		}
	}
}
