package agent

import (
	"cmp"
	"slices"

	"shiplog/agent/checkpoint"
	"shiplog/tailer"
)

// rewind sets the account back. The parser's state stays, except at the
// beginning: it is that of a later line, which is the best that is known.
func (a *account) rewind(offset int64, tail checkpoint.Mark, epoch uint32) {
	a.letGo()
	a.prefix, a.read, a.rewound = checkpoint.NewPrefix(offset), offset, epoch
	a.entry.Offset, a.entry.Tail = offset, tail
	if offset == 0 {
		a.entry.Parser = nil
	}
}

// letGo forgets what is in flight: it counts no more.
func (a *account) letGo() {
	for _, h := range a.handed {
		h.epoch.open--
	}
	a.handed, a.ends = nil, nil
}

// drop removes a file at the user's wish. Its account stays until the end of
// the run: what is in flight of it must find one that does not count.
func (l *ledger) drop(id tailer.FileID, a *account) {
	a.letGo()
	a.dropped, a.sent = true, nil
	delete(l.dirty, id)
	l.remove(id)
}

// entries returns what is remembered of each file, sorted by ID.
func (l *ledger) entries() []checkpoint.Entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make([]checkpoint.Entry, 0, len(l.files))
	for _, a := range l.files {
		if !a.dropped {
			out = append(out, a.entry)
		}
	}
	slices.SortFunc(out, func(a, b checkpoint.Entry) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

// entry returns what is remembered of a file.
func (l *ledger) entry(id tailer.FileID) (checkpoint.Entry, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.files[id]
	if a == nil || a.dropped {
		return checkpoint.Entry{}, false
	}
	return a.entry, true
}

// adopt takes up a pinned file that the checkpoint does not know, and reports
// whether that is so. The pin of one that it knows may tell of a later
// acknowledgement than was saved before a crash; where it is a copy, what lies
// before is not in it, so that this counts.
func (l *ledger) adopt(e checkpoint.Entry, copied bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	id := tailer.FileID(e.ID)
	if a := l.files[id]; a != nil {
		if copied && e.Offset > a.prefix.End() {
			a.entry.Offset, a.entry.Head, a.entry.Tail, a.entry.Parser = e.Offset, e.Head, e.Tail, e.Parser
			a.prefix, a.read = checkpoint.NewPrefix(e.Offset), e.Offset
			l.dirty[id] = true
		}
		return false
	}
	l.files[id] = &account{entry: e, prefix: checkpoint.NewPrefix(e.Offset), read: e.Offset}
	l.dirty[id] = true
	return true
}
