package agent

import (
	"context"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// toldOf runs a supervisor in a bubble of its own time, and returns what it told
// the service manager while play was played.
func toldOf(t *testing.T, s *supervisor, play func(stop func())) []string {
	t.Helper()
	var out []string
	s.send = func(state string) { out = append(out, state) }
	if s.stop == nil {
		s.stop = func() time.Duration { return 0 }
	}
	s.line = func() string { return "well" }
	s.log = slog.New(slog.NewTextHandler(io.Discard, nil))
	ctx, cancel := context.WithCancel(t.Context())
	stopping, stop := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() { s.run(ctx, stopping); close(ended) }()
	play(stop)
	synctest.Wait()
	stop()
	cancel()
	<-ended
	return out
}

func tellings(told []string, what string) int {
	n := 0
	for _, s := range told {
		if slices.Contains(strings.Split(s, "\n"), what) {
			n++
		}
	}
	return n
}

func TestWatchdogFollowsTheLoop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var turns atomic.Uint64
		out := toldOf(t, &supervisor{turns: turns.Load, watch: 30 * time.Second}, func(func()) {
			time.Sleep(time.Minute)
			turns.Add(1)
			for range 60 { // a minute of life
				time.Sleep(time.Second)
				turns.Add(1)
			}
			time.Sleep(time.Hour) // and then it hangs
		})
		if !strings.HasPrefix(out[0], "READY=1\nSTATUS=well") || tellings(out, "READY=1") != 1 {
			t.Errorf("told %q: want it to be ready, once, and first", out)
		}
		if n := tellings(out, "WATCHDOG=1"); n < 5 || n > 7 {
			t.Errorf("the watchdog was told %d times in a minute of life, each third of 30 s, and an hour of hanging: %q", n, out)
		}
	})
}

func TestWatchdogIsToldWhileItStops(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var turns atomic.Uint64
		turns.Store(1)
		out := toldOf(t, &supervisor{turns: turns.Load, watch: 30 * time.Second, stop: func() time.Duration { return time.Minute }}, func(stop func()) {
			time.Sleep(time.Second)
			stop()
			time.Sleep(time.Minute + time.Second) // for acknowledgements; the loop has ended
		})
		if n := tellings(out, "STOPPING=1"); n != 1 {
			t.Fatalf("told %q: want STOPPING=1 once", out)
		}
		if tellings(out, "EXTEND_TIMEOUT_USEC=80000000") != 1 {
			t.Errorf("told %q: want it to ask for shutdown_timeout and 20 s", out)
		}
		if n := tellings(out, "WATCHDOG=1"); n != 6 {
			t.Errorf("the watchdog was told %d times in a stop of a minute: %q", n, out)
		}
	})
}

func TestNotReadyBeforeItReads(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var turns atomic.Uint64
		out := toldOf(t, &supervisor{turns: turns.Load}, func(func()) { time.Sleep(time.Hour) })
		if len(out) != 0 {
			t.Errorf("told %q before the reading had begun", out)
		}
	})
}

func TestSize(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1536: "1.5 KiB", 3 << 30: "3.0 GiB", 5 << 50: "5120.0 TiB"} {
		if got := size(n); got != want {
			t.Errorf("size(%d) = %s, want %s", n, got, want)
		}
	}
}
