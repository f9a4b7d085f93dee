package agent

import (
	"maps"
	"slices"
	"time"

	"shiplog/agent/checkpoint"
	"shiplog/tailer"
)

// foreseen is an account as it will be.
type foreseen struct {
	account *account
	prefix  checkpoint.Prefix
	ends    map[int64]proof
}

// after returns the entries of files as they will be when these shipments are
// settled, as far as that changes their offsets, and the files that were removed
// since the last call. The ledger stays as it is.
func (l *ledger) after(shipments []*shipment) (entries []checkpoint.Entry, gone []tailer.FileID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	gone, l.gone = l.gone, nil
	plans := map[tailer.FileID]*foreseen{}
	for _, s := range shipments {
		b := s.block
		if a := l.files[b.File]; b.Volatile || a == nil || a.stale(b) {
			continue
		}
		at := proof{head: checkpoint.Mark(b.Head), tail: checkpoint.Mark(b.Tail(b.End)), seen: time.Unix(0, b.Seen)}
		if n := len(s.states); n > 0 {
			at.parser = s.states[n-1].state
		}
		if c := carried(b, b.End); c != nil {
			l.foresee(plans, c.File, c.Start, c.End, proof{head: checkpoint.Mark(c.Head), tail: checkpoint.Mark(c.Tail), seen: time.Unix(0, c.Seen)})
		}
		l.foresee(plans, b.File, b.Start, b.End, at)
	}
	for _, f := range plans {
		if e, grown := f.entry(); grown {
			entries = append(entries, e)
		}
	}
	return entries, gone
}

// foresee is settle for an account as it will be.
func (l *ledger) foresee(plans map[tailer.FileID]*foreseen, id tailer.FileID, start, end int64, at proof) {
	f := plans[id]
	if f == nil {
		a := l.files[id]
		if a == nil || a.dropped {
			return
		}
		f = &foreseen{account: a, prefix: a.prefix.Clone(), ends: map[int64]proof{}}
		maps.Copy(f.ends, a.ends)
		plans[id] = f
	}
	f.prefix.Ack(start, end)
	f.ends[end] = at
}

// entry returns the entry, and whether its offset is another than now.
func (f *foreseen) entry() (e checkpoint.Entry, grown bool) {
	e = f.account.entry
	end := f.prefix.End()
	if end == f.account.prefix.End() {
		return e, false
	}
	at := f.ends[end]
	e.Offset, e.Head, e.Tail, e.Ahead, e.Amended = end, at.head, at.tail, nil, 0
	if at.seen.After(e.Seen) {
		e.Seen = at.seen
	}
	for _, n := range slices.Sorted(maps.Keys(f.ends)) {
		if p := f.ends[n].parser; n <= end && p != nil {
			e.Parser = p
		}
	}
	return e, true
}

// replace makes these the files that are known, before anything is handed over.
func (l *ledger) replace(entries []checkpoint.Entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range entries {
		id := tailer.FileID(e.ID)
		saved := l.files[id] != nil && l.files[id].saved
		l.files[id] = &account{entry: e, prefix: checkpoint.NewPrefix(e.Offset), read: e.Offset, saved: saved, sent: e.Ahead}
		l.dirty[id] = true
	}
}
