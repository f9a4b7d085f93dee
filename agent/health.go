package agent

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"shiplog/shipper"
	"shiplog/tailer"
)

// phase is what the agent is doing, in the order of its life.
type phase int32

const (
	starting phase = iota // reading back, or waiting for Kafka to do so: nothing is sent yet
	running
	stopping
)

// String returns the word that the status shows.
func (p phase) String() string { return [...]string{"starting", "running", "stopping"}[p] }

const (
	// stuckAfter is how long a part that acts each second or more often may do
	// nothing before the agent counts as stuck.
	stuckAfter = 30 * time.Second
	// problemFiles is how many files the problems name.
	problemFiles = 10
	// ackRecent is how long ago Kafka may have acknowledged while something
	// waits for it, for the agent to be ready.
	ackRecent = 30 * time.Second
)

// Problems returns why the agent is not well, each with what to do about it;
// none if it is. It is bounded, and may be called at any time.
func (a *Agent) Problems() []string {
	h := a.producer.Health()
	return a.problems(&h, time.Now())
}

func (a *Agent) problems(h *shipper.Health, now time.Time) []string {
	out := h.Problems
	if text := a.waiting.Load(); text != nil {
		out = append(out, *text)
	}
	a.saver.mu.Lock()
	fault, began := a.saver.fault, a.saver.began
	a.saver.mu.Unlock()
	if fault != "" {
		out = append(out, fault)
	}
	if !began.IsZero() && now.Sub(began) > stuckAfter {
		out = append(out, fmt.Sprintf("a save of the checkpoint in %s lasts for %s already: the disk does not answer; shipping goes on, but a restart would send again what is not saved [state-slow]",
			a.config().StateDir, now.Sub(began).Round(time.Second)))
	}
	out = append(out, a.stuck(now)...)
	var bad []string
	a.tailer.Each(func(f *tailer.Status) {
		if f.State == "unreadable" {
			bad = append(bad, fmt.Sprintf("%s cannot be read: %s [file-unreadable]", f.Path, strings.TrimPrefix(f.Reason, f.Path+": ")))
		}
	})
	for path, reason := range a.tailer.Unreadable() {
		bad = append(bad, fmt.Sprintf("%s cannot be looked at: %s [file-unreadable]", path, reason))
	}
	slices.Sort(bad)
	if more := len(bad) - problemFiles; more > 0 {
		bad = append(bad[:problemFiles], fmt.Sprintf("and %d more files cannot be read [file-unreadable]", more))
	}
	out = append(out, bad...)
	return append(out, a.pins.problems()...)
}

// Stuck returns why only a restart can help: what reads the files hangs. None if
// it does not; a Kafka that is away, and a full disk, are no such thing.
func (a *Agent) Stuck() []string { return a.stuck(time.Now()) }

func (a *Agent) stuck(now time.Time) []string {
	last := a.tailer.LastTurn()
	if phase(a.phase.Load()) == stopping || last.IsZero() || now.Sub(last) <= stuckAfter {
		return nil
	}
	return []string{fmt.Sprintf("no file was looked after for %s: the agent is stuck; restart it, and report what /debug/pprof/goroutine?debug=2 shows with admin.pprof [agent-stuck]",
		now.Sub(last).Round(time.Second))}
}

// NotReady returns why the agent is not doing its work; none if Kafka
// acknowledges, or there is nothing to send. It may be called at any time.
func (a *Agent) NotReady() []string {
	h := a.producer.Health()
	s := a.look(nil)
	return a.notReady(&h, &s)
}

func (a *Agent) notReady(h *shipper.Health, s *overview) []string {
	out := []string{}
	switch phase(a.phase.Load()) {
	case stopping:
		return append(out, "it is stopping")
	case starting:
		reason := "it is starting: nothing is sent before it is known what Kafka has"
		if text := a.waiting.Load(); text != nil {
			reason = "it is starting: " + *text
		}
		return append(out, reason)
	}
	// What waits shows as bytes in flight and as files that lag; what was there
	// at once needs its time.
	waiting := max(s.all.seconds, 0)
	if !h.Oldest.IsZero() {
		waiting = max(waiting, s.at.Sub(h.Oldest).Seconds())
	}
	since := s.at.Sub(a.started)
	if !h.LastAck.IsZero() {
		since = s.at.Sub(h.LastAck)
	}
	if waiting > ackRecent.Seconds() && since > ackRecent {
		text := fmt.Sprintf("%d bytes wait, and Kafka has acknowledged nothing for %s [kafka-silent]", s.all.due, since.Round(time.Second))
		if len(h.Problems) > 0 {
			text += ": " + strings.Join(h.Problems, "; ")
		}
		out = append(out, text)
	}
	return out
}
