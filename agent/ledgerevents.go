package agent

import (
	"time"

	"shiplog/agent/checkpoint"
	"shiplog/tailer"
)

// tells reports whether what is on disk, or will be with the next save, says of the
// file what s does.
func (a *account) tells(s *tailer.State) bool {
	e := &a.entry
	return a.saved && e.Gone.IsZero() && !s.Seen.After(e.Seen) && e.Found.Equal(s.Found) && e.Stream == s.Stream && e.Path == s.Path && e.Origin == s.Origin &&
		e.Dev == s.Dev && e.Ino == s.Ino && e.Rotated == s.Rotated && e.Sealed == checkpoint.Seal(s.Sealed)
}

// event notes what happened to a file.
func (l *ledger) event(e tailer.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	id, s := e.File.ID, e.File
	a := l.files[id]
	if a != nil && e.Kind == tailer.Resumed && a.tells(&s) {
		return // of tens of thousands of known files, most are as they were
	}
	if a == nil {
		a = &account{prefix: checkpoint.NewPrefix(s.Offset), read: s.Offset}
		a.entry.Offset, a.entry.Head, a.entry.Tail = s.Offset, checkpoint.Mark(s.Head), checkpoint.Mark(s.Tail)
		l.files[id] = a
	}
	a.entry.ID, a.entry.Stream, a.entry.Path, a.entry.Origin = uint64(id), s.Stream, s.Path, s.Origin
	a.entry.Dev, a.entry.Ino, a.entry.Rotated, a.entry.Found = s.Dev, s.Ino, s.Rotated, s.Found
	a.entry.Sealed = checkpoint.Seal(s.Sealed)
	if s.Seen.After(a.entry.Seen) {
		a.entry.Seen = s.Seen
	}
	switch e.Kind {
	case tailer.Found: // its beginning may have been set to the end of what was there
		if s.Offset > a.prefix.End() && a.read <= s.Offset {
			a.prefix, a.read = checkpoint.NewPrefix(s.Offset), s.Offset
			a.entry.Offset, a.entry.Head, a.entry.Tail = s.Offset, checkpoint.Mark(s.Head), checkpoint.Mark(s.Tail)
		}
	case tailer.Glimpsed:
		if a.prefix.End() == 0 {
			a.entry.Head = checkpoint.Mark(s.Head)
		}
	case tailer.Vanished:
		a.entry.Gone = l.now()
	case tailer.Forgotten:
		a.forgotten = true
	case tailer.Rewound:
		a.rewind(s.Offset, checkpoint.Mark(s.Tail), e.Epoch)
		if l.committed != nil {
			a.entry.Amended = l.committed() + 1 // one may be under way
		}
	case tailer.Dropped:
		l.drop(id, a)
		return
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
		l.remove(id)
	}
}

// remove notes that a file is remembered no more.
func (l *ledger) remove(id tailer.FileID) {
	l.removed = append(l.removed, uint64(id))
	if l.committed != nil {
		l.gone = append(l.gone, id)
	}
}
