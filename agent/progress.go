package agent

import (
	"context"
	"time"

	"shiplog/tailer"
)

// progress is how far a file is acknowledged.
type progress struct {
	offset  int64
	lastAck time.Time
	acked   meter // raw bytes
}

// progress returns how far a file is acknowledged, and whether it is in the
// books: a pipe never is.
func (l *ledger) progress(id tailer.FileID) (progress, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.files[id]
	if a == nil || a.dropped {
		return progress{}, false
	}
	return progress{a.prefix.End(), a.lastAck, a.acked}, true
}

// allProgress returns how far each file is acknowledged.
func (l *ledger) allProgress() map[tailer.FileID]progress {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make(map[tailer.FileID]progress, len(l.files))
	for id, a := range l.files {
		if a.dropped {
			continue
		}
		out[id] = progress{a.prefix.End(), a.lastAck, a.acked}
	}
	return out
}

// progressStep is how many files are looked up while the ledger is locked: who
// reads and who acknowledges wait meanwhile.
const progressStep = 1024

// observed fills in how far the files of rows are acknowledged, and how fast.
func (l *ledger) observed(rows []fileRow, now time.Time) {
	for len(rows) > 0 {
		n := min(len(rows), progressStep)
		l.mu.Lock()
		for i := range rows[:n] {
			r := &rows[i]
			if a := l.files[r.id]; a != nil && !a.dropped {
				r.acknowledged, r.known = a.prefix.End(), true
				r.rate = float32(a.acked.rate(now))
			}
		}
		l.mu.Unlock()
		rows = rows[n:]
	}
}

// progressEvery is the time between two looks for who watches a run.
const progressEvery = 250 * time.Millisecond

// tellProgress tells Options.Progress how far the run is, until ctx ends.
func (a *Agent) tellProgress(ctx context.Context) {
	tick := time.NewTicker(progressEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			due := a.look(nil).all.lag
			done := a.counts.total().AcknowledgedBytes
			a.o.Progress(done, done+due)
		}
	}
}
