package agent

import (
	"sync"
	"time"

	"shiplog/agent/checkpoint"
	"shiplog/tailer"
)

// forgetAfter is how long a file that vanished is kept in mind: its folder may
// be unmounted, or be restored.
const forgetAfter = 7 * 24 * time.Hour

// ledger holds, for each file, the contiguous acknowledged prefix and what it
// takes to find the file again. Readers enter what they handed over, the
// producer what was acknowledged, the tailer what happened to files; the saver
// takes out what changed.
type ledger struct {
	now func() time.Time

	mu      sync.Mutex
	files   map[tailer.FileID]*account
	dirty   map[tailer.FileID]bool
	removed []uint64
}

// account is one file in the ledger.
type account struct {
	entry     checkpoint.Entry
	prefix    checkpoint.Prefix
	read      int64 // end of what was handed over
	lastAck   time.Time
	ends      map[int64]proof // of blocks acknowledged before their predecessors
	forgotten bool            // to be removed once all of it is acknowledged
}

// proof is what identifies a file at the end of a block.
type proof struct {
	head, tail checkpoint.Mark
	seen       time.Time
	parser     []byte // the parser's state there; nil: as it was before the block
}

func newLedger(entries []checkpoint.Entry, now func() time.Time) *ledger {
	l := &ledger{now: now, files: map[tailer.FileID]*account{}, dirty: map[tailer.FileID]bool{}}
	for _, e := range entries {
		id := tailer.FileID(e.ID)
		if !e.Gone.IsZero() && now().Sub(e.Gone) > forgetAfter {
			l.removed = append(l.removed, e.ID)
			continue
		}
		l.files[id] = &account{entry: e, prefix: checkpoint.NewPrefix(e.Offset), read: e.Offset}
	}
	return l
}

// resume returns what the tailer has to know of the files of earlier runs.
func (l *ledger) resume() []tailer.State {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make([]tailer.State, 0, len(l.files))
	for id, a := range l.files {
		e := &a.entry
		out = append(out, tailer.State{
			ID: id, Stream: e.Stream, Origin: e.Origin, Path: e.Path, Dev: e.Dev, Ino: e.Ino,
			Head: tailer.Mark(e.Head), Offset: e.Offset, Tail: tailer.Mark(e.Tail),
			Rotated: e.Rotated, Seen: e.Seen, Gone: !e.Gone.IsZero(), Found: e.Found,
		})
	}
	return out
}

// handed notes that a block is on its way.
func (l *ledger) handed(b *tailer.Block) {
	if b.Volatile {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.account(b).read = b.End
}

// account returns the account of the block's file. Found comes before the first
// block, so that it is there.
func (l *ledger) account(b *tailer.Block) *account {
	a := l.files[b.File]
	if a == nil {
		a = &account{entry: checkpoint.Entry{ID: uint64(b.File), Stream: b.Stream, Path: b.Path, Origin: b.Origin, Offset: b.Start},
			prefix: checkpoint.NewPrefix(b.Start), read: b.Start}
		l.files[b.File] = a
	}
	return a
}

// parserState returns what the file's parser has to know at the end of the
// acknowledged prefix.
func (l *ledger) parserState(id tailer.FileID) []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	if a := l.files[id]; a != nil {
		return a.entry.Parser
	}
	return nil
}

// settled notes that the block's bytes up to end are acknowledged, dead-lettered
// or nothing to ship. parser is the parser's new state at end, nil if it has not
// changed in the block.
func (l *ledger) settled(b *tailer.Block, end int64, parser []byte) {
	if b.Volatile || end <= b.Start {
		return
	}
	at := proof{checkpoint.Mark(b.Head), checkpoint.Mark(b.Tail(end)), time.Unix(0, b.Seen), parser}
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.account(b)
	if !a.prefix.Ack(b.Start, end) {
		if end > a.prefix.End() {
			if a.ends == nil {
				a.ends = map[int64]proof{}
			}
			a.ends[end] = at
		}
		return
	}
	if a.prefix.End() != end { // blocks behind this one had been acknowledged before it
		at = a.ends[a.prefix.End()]
	}
	latest := end
	for e, p := range a.ends {
		if e > a.prefix.End() {
			continue
		}
		if p.parser != nil && e > latest {
			latest, parser = e, p.parser
		}
		delete(a.ends, e)
	}
	if parser != nil {
		a.entry.Parser = parser
	}
	a.entry.Offset, a.entry.Head, a.entry.Tail = a.prefix.End(), at.head, at.tail
	if at.seen.After(a.entry.Seen) {
		a.entry.Seen = at.seen
	}
	a.lastAck = l.now()
	l.dirty[b.File] = true
	l.dropForgotten(b.File, a)
}

// event notes what happened to a file.
func (l *ledger) event(e tailer.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	id, s := e.File.ID, e.File
	a := l.files[id]
	if a == nil {
		a = &account{prefix: checkpoint.NewPrefix(s.Offset), read: s.Offset}
		a.entry.Offset, a.entry.Head, a.entry.Tail = s.Offset, checkpoint.Mark(s.Head), checkpoint.Mark(s.Tail)
		l.files[id] = a
	}
	a.entry.ID, a.entry.Stream, a.entry.Path, a.entry.Origin = uint64(id), s.Stream, s.Path, s.Origin
	a.entry.Dev, a.entry.Ino, a.entry.Rotated, a.entry.Found = s.Dev, s.Ino, s.Rotated, s.Found
	if s.Seen.After(a.entry.Seen) {
		a.entry.Seen = s.Seen
	}
	switch e.Kind {
	case tailer.Found: // its beginning may have been set to the end of what was there
		if s.Offset > a.prefix.End() && a.read <= s.Offset {
			a.prefix, a.read = checkpoint.NewPrefix(s.Offset), s.Offset
			a.entry.Offset, a.entry.Head, a.entry.Tail = s.Offset, checkpoint.Mark(s.Head), checkpoint.Mark(s.Tail)
		}
	case tailer.Vanished:
		a.entry.Gone = l.now()
	case tailer.Forgotten:
		a.forgotten = true
	default:
		a.entry.Gone = time.Time{}
	}
	l.dirty[id] = true
	l.dropForgotten(id, a)
}

// dropForgotten removes a file that cannot come back, once all of it has been
// acknowledged.
func (l *ledger) dropForgotten(id tailer.FileID, a *account) {
	if a.forgotten && a.prefix.End() >= a.read {
		delete(l.files, id)
		delete(l.dirty, id)
		l.removed = append(l.removed, uint64(id))
	}
}

// take returns what changed since the last call.
func (l *ledger) take() (changed []checkpoint.Entry, removed []uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id := range l.dirty {
		changed = append(changed, l.files[id].entry)
	}
	removed = l.removed
	clear(l.dirty)
	l.removed = nil
	return changed, removed
}

// progress is how far a file is acknowledged.
type progress struct {
	offset  int64
	lastAck time.Time
}

// progress returns how far each file is acknowledged.
func (l *ledger) progress() map[tailer.FileID]progress {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make(map[tailer.FileID]progress, len(l.files))
	for id, a := range l.files {
		out[id] = progress{a.prefix.End(), a.lastAck}
	}
	return out
}
