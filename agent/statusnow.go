package agent

import (
	"cmp"
	"maps"
	"math"
	"os"
	"slices"
	"time"

	"shiplog/shipper"
	"shiplog/tailer"
)

// skippedShown bounds Status.Skipped.
const skippedShown = 100

// Status returns how the agent stands, with the files that q asks for. It may be
// called at any time.
func (a *Agent) Status(q StatusQuery) Status {
	var rows []fileRow
	matching := 0
	s := a.look(func(all []fileRow) { rows, matching = q.page(all) })
	h := a.producer.Health()
	problems, notReady := a.problems(&h, s.at), a.notReady(&h, &s)
	st := Status{
		Version: StatusVersion, At: s.at.UTC(), AgentVersion: a.o.Version, Phase: phase(a.phase.Load()).String(),
		Started: a.started.UTC(), Uptime: seconds(s.at.Sub(a.started)), Host: string(a.pipeline.host), PID: os.Getpid(), Config: a.o.ConfigPath, StateDir: a.config().StateDir,
		Healthy: len(problems) == 0, Problems: append([]string{}, problems...), Ready: len(notReady) == 0, NotReady: notReady, Stuck: append([]string{}, a.stuck(s.at)...),
		Totals: a.counts.total(), Sums: s.all.sums(), Inputs: a.inputStates(&s),
		Files: make([]FileState, 0, len(rows)), FilesMatching: matching,
		Kafka: a.kafkaState(&h, s.at), LastReload: a.lastReload.Load(), Checkpoint: a.saver.state(), Pins: a.pins.status(),
		Logged: a.recent.counts(), LastErrors: a.recent.list(recentMax), Damaged: append([]string{}, a.damaged...),
	}
	if addr := a.adminAddr.Load(); addr != nil {
		st.Admin = *addr
	}
	for i := range st.Inputs {
		st.Rates.add(st.Inputs[i].Rates)
	}
	for i := range rows {
		if f, ok := a.tailer.File(rows[i].id); ok {
			st.Files = append(st.Files, a.fileState(f, rows[i].seconds, s.at))
		}
	}
	st.Skipped, st.SkippedTotal = skipped(a.tailer.Unreadable())
	return st
}

// inputStates returns what each input is and does.
func (a *Agent) inputStates(s *overview) []InputState {
	rs := *a.routes.Load()
	out := make([]InputState, 0, len(rs))
	for _, r := range rs {
		files := s.inputs[r.input.Name]
		if files == nil {
			files = &sums{}
		}
		is := InputState{
			Name: r.input.Name, Paths: r.input.Paths, Format: r.input.Format, Topic: r.topic,
			Sums: files.sums(), Totals: r.tally.totals(), Rates: r.tally.recent(s.at),
		}
		is.Unparsed, is.Rotations = r.tally.byKind()
		out = append(out, is)
	}
	return out
}

// sums returns what the status shows.
func (s *sums) sums() Sums {
	states := map[string]int{}
	maps.Copy(states, s.states)
	return Sums{Files: s.files, Open: s.open, States: states, Size: s.size, Lag: s.lag, Pending: s.pending, LagSeconds: round(s.seconds), Deleted: s.held}
}

// fileState returns how one file stands that was seen to lag for so long.
func (a *Agent) fileState(f tailer.Status, lagging float32, now time.Time) FileState {
	p, known := a.ledger.progress(f.ID)
	s := FileState{
		ID: f.ID.String(), Input: f.Input.Name, Path: f.Path, Origin: f.Origin, State: f.State, Reason: f.Reason,
		Size: f.Size, Read: f.Read, Acknowledged: p.offset, Pending: f.Pending, Rate: round(p.acked.rate(now)),
		Open: f.Open, Deleted: f.Deleted, Rotated: f.Rotated, Compressed: f.Packed, Pinned: a.pins.has(f.ID), CutLines: f.CutLines, ReadErrors: f.Failed,
		Encoding: f.Encoding, InvalidBytes: f.Invalid, LastRead: f.LastRead.UTC(), LastAck: p.lastAck.UTC(),
	}
	if known {
		s.Lag = max(0, s.Size-s.Acknowledged)
	}
	if s.Lag > s.Pending {
		s.LagSeconds = round(float64(lagging))
	}
	r := f.Input.Tag.(*route)
	s.Format, s.FormatReason = a.pipeline.format(f.ID, r)
	if s.Format == "" {
		s.Format = r.input.Format
	}
	return s
}

// File returns how one file stands, and whether it is known.
func (a *Agent) File(id tailer.FileID) (FileState, bool) {
	f, ok := a.tailer.File(id)
	if !ok {
		return FileState{}, false
	}
	return a.fileState(f, 0, time.Now()), true
}

func (a *Agent) kafkaState(h *shipper.Health, now time.Time) KafkaState {
	c := a.config()
	k := KafkaState{
		Topic: c.Kafka.Topic, Topics: append([]string{}, a.names.list()...), TopicsMax: c.Kafka.MaxTopics, Homeless: a.names.beyond.Load(),
		Brokers: []BrokerState{}, InFlightBytes: h.InFlightBytes, InFlightRecords: h.InFlightRecords, MemoryLimit: h.Budget,
		Rebuilt: h.Rebuilt, OldestUnacked: h.Oldest.UTC(), LastAck: h.LastAck.UTC(), Errors: h.Errors,
		DeadLetters: h.DeadLetters.Count, DeadLetterBytes: h.DeadLetters.Bytes, DeadLettersDue: h.DeadLetters.Due, DeadLettersWritten: h.DeadLetters.Written,
	}
	if !h.Oldest.IsZero() {
		k.OldestSeconds = seconds(now.Sub(h.Oldest))
	}
	for _, b := range h.Brokers {
		k.Brokers = append(k.Brokers, BrokerState{ID: b.ID, Addr: b.Addr, State: string(b.State), Since: b.Since.UTC(), Error: b.LastError, Failures: b.Failures})
	}
	return k
}

// skipped returns some of the paths that cannot be looked at, and how many
// there are.
func skipped(paths map[string]string) ([]Skipped, int) {
	out := []Skipped{}
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		if len(out) == skippedShown {
			break
		}
		out = append(out, Skipped{path, paths[path]})
	}
	return out, len(paths)
}

// seconds returns a duration as the status shows it.
func seconds(d time.Duration) float64 { return round(max(0, d.Seconds())) }

// round keeps three digits after the point.
func round(x float64) float64 { return math.Round(x*1000) / 1000 }

// compareRows orders files for a person: those that cannot be read, then by lag,
// then by what goes on in them.
func compareRows(a, b *fileRow) int {
	return cmp.Or(cmp.Compare(badness(b), badness(a)), cmp.Compare(b.lag(), a.lag()), cmp.Compare(b.rate, a.rate),
		cmp.Compare(a.path, b.path), cmp.Compare(a.id, b.id))
}

// badness says how much a file's state wants a look.
func badness(r *fileRow) int {
	switch {
	case r.state == "unreadable":
		return 2
	case r.state == "missing" && r.lag() > 0:
		return 1
	}
	return 0
}
