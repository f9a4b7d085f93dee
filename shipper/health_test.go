package shipper

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

func TestFaultsAreLoggedOnceAtEachTurn(t *testing.T) {
	log := new(logBuffer)
	f := faults{log: slog.New(slog.NewTextHandler(log, nil))}
	now := time.Unix(1000, 0)
	is := map[string]string{"a": "trouble with a"}
	lines := func() (warn, info int) {
		return strings.Count(log.String(), "WARN"), strings.Count(log.String(), "INFO")
	}
	steps := []struct {
		after      time.Duration
		now        map[string]string
		warn, info int // lines so far
		problems   []string
	}{
		{0, is, 1, 0, []string{"trouble with a"}},                                      // begins
		{time.Second, is, 1, 0, []string{"trouble with a"}},                            // lasts
		{time.Minute, is, 2, 0, []string{"trouble with a"}},                            // still there
		{time.Minute, is, 2, 0, []string{"trouble with a"}},                            // is not said again
		{time.Second, nil, 2, 1, []string{}},                                           // over
		{time.Second, is, 3, 1, []string{"trouble with a"}},                            // back, long after its last begin
		{time.Second, nil, 3, 2, []string{}},                                           // over
		{time.Second, is, 3, 2, []string{"trouble with a"}},                            // flaps: shown, not logged
		{time.Second, nil, 3, 2, []string{}},                                           // nor that it is over
		{time.Second, is, 3, 2, []string{"trouble with a"}},                            //
		{2 * time.Minute, is, 4, 2, []string{"trouble with a"}},                        // but that it lasts
		{time.Second, nil, 4, 3, []string{}},                                           // and then that it is over
		{time.Second, map[string]string{"b": "b", "c": "c"}, 6, 3, []string{"b", "c"}}, // each its own
	}
	for i, s := range steps {
		now = now.Add(s.after)
		f.update(s.now, 10, now)
		problems, _ := f.list()
		if warn, info := lines(); warn != s.warn || info != s.info || !slices.Equal(problems, s.problems) {
			t.Fatalf("step %d: %d warnings, %d infos, problems %q; want %d, %d, %q\n%s", i, warn, info, problems, s.warn, s.info, s.problems, log)
		}
	}
	if !strings.Contains(log.String(), "lasted=2m2s") || !strings.Contains(log.String(), "waited_bytes=10") {
		t.Errorf("the log does not tell how long, and how much waited:\n%s", log)
	}
}

func TestOnlyTheLatestErrorsAreKept(t *testing.T) {
	f := faults{log: discard()}
	now := time.Unix(1000, 0)
	for i := range 3 * keptErrors {
		f.update(map[string]string{fmt.Sprint(i): fmt.Sprint(i)}, 0, now)
	}
	_, events := f.list()
	if len(events) != keptErrors || events[keptErrors-1].Text != fmt.Sprint(3*keptErrors-1) {
		t.Errorf("%d events: %v", len(events), events)
	}
}

func TestBrokerStates(t *testing.T) {
	log := new(logBuffer)
	b := brokers{log: slog.New(slog.NewTextHandler(log, nil))}
	seed := kgo.BrokerMetadata{NodeID: -2147483648, Host: "kafka1", Port: 9092}
	known := kgo.BrokerMetadata{NodeID: 3, Host: "kafka1", Port: 9092}
	for i, step := range []struct {
		do    func()
		state BrokerState
		id    int32
	}{
		{func() { b.OnBrokerConnect(seed, 0, nil, fmt.Errorf("refused")) }, BrokerUnreachable, -1},
		{func() { b.OnBrokerConnect(seed, 0, nil, fmt.Errorf("refused")) }, BrokerUnreachable, -1},
		{func() { b.OnBrokerConnect(seed, 0, nil, nil) }, BrokerConnected, -1},
		{func() { b.OnBrokerConnect(seed, 0, nil, fmt.Errorf("dial: %w", context.Canceled)) }, BrokerConnected, -1}, // we stop
		{func() { b.OnBrokerConnect(known, 0, nil, nil) }, BrokerConnected, 3},
		{func() { b.OnBrokerDisconnect(seed, nil) }, BrokerConnected, 3},
		{func() { b.OnBrokerDisconnect(known, nil) }, BrokerIdle, 3},
		{func() { b.OnBrokerConnect(known, 0, nil, fmt.Errorf("refused")) }, BrokerUnreachable, 3},
		{func() { b.OnBrokerConnect(known, 0, nil, nil) }, BrokerConnected, 3},
	} {
		step.do()
		all := b.list()
		if len(all) != 1 || all[0].State != step.state || all[0].ID != step.id || all[0].Addr != "kafka1:9092" {
			t.Fatalf("step %d: %+v, want %s, %d", i, all, step.state, step.id)
		}
	}
	// The second loss came soon after the first: it is shown, not logged.
	if lost, back := strings.Count(log.String(), "cannot be reached"), strings.Count(log.String(), "is back"); lost != 1 || back != 1 {
		t.Errorf("%d times lost, %d times back in the log:\n%s", lost, back, log)
	}
}
