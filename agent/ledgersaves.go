package agent

import (
	"context"
	"time"

	"shiplog/agent/checkpoint"
	"shiplog/tailer"
)

// awaitSaved waits until the file and the topics are in the checkpoint on disk, so
// that each record in Kafka names a source that the checkpoint knows, and is in a
// topic that is read back after a crash. It waits no longer
// than until the first save with it is over, or for limit: where the disk is full
// or hangs, shipping goes on, and a crash may have lines of that file repeated.
// It fails only if ctx ends first.
func (l *ledger) awaitSaved(ctx context.Context, id tailer.FileID, limit time.Duration, topics ...string) error {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for {
		l.mu.Lock()
		a, over := l.files[id], l.over
		saved := a == nil || a.saved
		for _, topic := range topics {
			t := l.horizon.topics[topic]
			saved = saved && (t == nil || t.saved)
		}
		l.mu.Unlock()
		if saved {
			return nil
		}
		select {
		case <-over: // of a save that began, perhaps, before the file was found
		case <-timer.C:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// finished notes that a save of these entries is over.
func (l *ledger) finished(changed []checkpoint.Entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range changed {
		if a := l.files[tailer.FileID(changed[i].ID)]; a != nil {
			a.saved = true
		}
	}
	l.horizon.finished()
	close(l.over)
	l.over = make(chan struct{})
}

// take returns what changed since the last call. The horizons that belong to it
// are in moved.
func (l *ledger) take() (changed []checkpoint.Entry, removed []uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id := range l.dirty {
		a := l.files[id]
		if a.sent = sentFrom(a.sent, a.prefix.End()); len(a.sent) == 0 {
			a.sent = nil
		}
		e := a.entry
		e.Ahead = a.sent
		changed = append(changed, e)
	}
	removed = l.removed
	clear(l.dirty)
	l.removed = nil
	l.moved = l.horizon.take(l.now())
	return changed, removed
}

// giveUp prepares the last take of a run that was not all acknowledged: what was,
// beyond the prefixes, goes with it.
func (l *ledger) giveUp() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, a := range l.files {
		before := len(a.sent)
		for end, at := range a.ends {
			if end > a.prefix.End() {
				a.sent = append(a.sent[:len(a.sent):len(a.sent)], at.sent...)
			}
		}
		if len(a.sent) > before {
			a.sent = sortSent(a.sent)
			l.dirty[id] = true
		}
	}
}
