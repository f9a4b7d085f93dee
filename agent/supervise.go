package agent

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

const (
	// tellInterval is how often the service manager is told how the agent stands;
	// where it has a watchdog, at least three times within that one's time.
	tellInterval = 10 * time.Second
	// firstLook is how often it is looked whether the reading has begun.
	firstLook = 20 * time.Millisecond
	// stopGrace is what a stop may take beside shutdown_timeout.
	stopGrace = 20 * time.Second
	// longestTold bounds the line that the service manager shows, in bytes.
	longestTold = 400
)

// supervisor tells a service manager that speaks sd_notify(3) how the agent
// stands. One goroutine has it, which runs [supervisor.run].
//
// The watchdog is told only after the loop that owns all files has gone round
// again and the status could be made, for which the locks of the ledger, of the
// producer and of the pins have to be free. So a loop that hangs and a deadlock
// get the agent restarted. A Kafka that is down, a full disk and a folder that
// hangs do not: the loop waits for none of them.
type supervisor struct {
	send  func(state string)
	turns func() uint64        // of the loop that owns all files
	line  func() string        // how the agent stands, in a line
	waits func() string        // what keeps the reading from beginning, "" for nothing; nil: nothing may
	stop  func() time.Duration // shutdown_timeout
	watch time.Duration        // the watchdog's time; 0: there is none
	log   *slog.Logger
}

// supervise runs the supervisor until ctx ends, where there is a service
// manager to be told. stopping ends before that, when the agent begins to stop.
func (a *Agent) supervise(ctx, stopping context.Context) {
	send := func(state string) {
		if _, err := daemon.SdNotify(false, state); err != nil {
			a.log.Debug("the service manager cannot be told", "error", err)
		}
	}
	if told, err := daemon.SdNotify(false, "STATUS=starting"); !told {
		if err != nil {
			a.log.Warn("the service manager cannot be told that this runs [service-manager]", "error", err)
		}
		return
	}
	watch, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		a.log.Warn("the service manager's watchdog is not told that this runs [service-manager]", "error", err)
	}
	s := &supervisor{send: send, turns: a.tailer.Turns, line: a.line, waits: a.waits, stop: func() time.Duration { return a.config().ShutdownTimeout }, watch: watch, log: a.log}
	s.run(ctx, stopping)
}

func (s *supervisor) run(ctx, stopping context.Context) {
	if !s.begin(stopping) {
		return
	}
	every := tellInterval
	if s.watch > 0 {
		every = min(every, s.watch/3)
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	last, hangs := s.turns(), false
	s.send(daemon.SdNotifyReady + "\nSTATUS=" + s.line())
	for {
		select {
		case <-stopping.Done():
			s.end(ctx, tick.C)
			return
		case <-tick.C:
		}
		now := s.turns()
		if now != last {
			s.send("STATUS=" + s.line() + s.alive())
		} else if !hangs {
			s.log.Error("the reading hangs: the watchdog is not told any more [agent-stuck]", "since", every)
		}
		last, hangs = now, now == last
	}
}

// begin waits until the reading has begun, and reports whether it has. What keeps
// it from beginning may last for as long as Kafka is away: that is no fault of a
// start, so that it is given the time.
func (s *supervisor) begin(stopping context.Context) bool {
	look := time.NewTicker(firstLook)
	defer look.Stop()
	for told := time.Now(); s.turns() == 0; {
		if s.waits == nil || time.Since(told) < tellInterval {
			// nothing to be told, or not yet
		} else if why := s.waits(); why != "" {
			told = time.Now()
			s.send(fmt.Sprintf("EXTEND_TIMEOUT_USEC=%d\nSTATUS=%s", (6 * tellInterval).Microseconds(), oneLine(why)))
		}
		select {
		case <-stopping.Done():
			return false
		case <-look.C:
		}
	}
	return true
}

// end announces the stop, asks for the time that it may take, and keeps the
// watchdog quiet until it is over: the time is bounded anyway.
func (s *supervisor) end(ctx context.Context, tick <-chan time.Time) {
	atMost := s.stop()
	s.send(fmt.Sprintf("%s\nEXTEND_TIMEOUT_USEC=%d\nSTATUS=stopping: waiting for Kafka's acknowledgements, at most %s",
		daemon.SdNotifyStopping, (atMost + stopGrace).Microseconds(), atMost))
	for s.watch > 0 {
		select {
		case <-ctx.Done():
			return
		case <-tick:
			s.send(daemon.SdNotifyWatchdog)
		}
	}
}

func (s *supervisor) alive() string {
	if s.watch == 0 {
		return ""
	}
	return "\n" + daemon.SdNotifyWatchdog
}

// tellReload tells the service manager that the configuration is read again, and
// returns what tells it that this is over.
func (a *Agent) tellReload() (over func()) {
	tell := func(state string) {
		if _, err := daemon.SdNotify(false, state); err != nil {
			a.log.Debug("the service manager cannot be told", "error", err)
		}
	}
	tell(daemon.SdNotifyReloading + "\n" + daemon.SdNotifyMonotonicUsec())
	return func() { tell(daemon.SdNotifyReady) }
}

// line says in one line how the agent stands: how many files, how much of them
// Kafka has not acknowledged yet, and the first of the problems.
func (a *Agent) line() string {
	acked := a.ledger.allProgress()
	files, behind := a.tailer.Files(), int64(0)
	for _, f := range files {
		behind += max(0, f.Size-acked[f.ID].offset)
	}
	text := fmt.Sprintf("%d files, %s behind", len(files), size(behind))
	if problems := a.Problems(); len(problems) > 0 {
		text += fmt.Sprintf("; problems: %d, the first: %s", len(problems), problems[0])
	}
	return oneLine(text)
}

// waits says what keeps the reading from beginning.
func (a *Agent) waits() string {
	if why := a.waiting.Load(); why != nil {
		return *why
	}
	return ""
}

// oneLine makes a text one line of bounded length.
func oneLine(text string) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' {
			return ' '
		}
		return r
	}, text)
	if len(text) > longestTold {
		text = strings.ToValidUTF8(text[:longestTold], "") + "…"
	}
	return text
}

// size writes a number of bytes for a reader.
func size(n int64) string {
	unit, f := "B", float64(n)
	for _, next := range []string{"KiB", "MiB", "GiB", "TiB"} {
		if f < 1024 {
			break
		}
		unit, f = next, f/1024
	}
	if unit == "B" {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %s", f, unit)
}
