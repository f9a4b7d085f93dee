package tailer

import (
	"slices"
	"time"
)

// answered brings the books up to what the finder found beside the missing
// files.
func (t *Tailer) answered(fs []found) {
	now := time.Now()
	t.rescan = true
	for _, r := range fs {
		f := t.byID[r.id]
		if f == nil {
			continue
		}
		f.looking = false
		delete(t.sought, f)
		if r.undecided || r.again {
			t.postpone(f, now)
		} else if r.finished {
			f.askedFrom = 0
		}
		t.deferTo(f, r.deferred)
		if f.here && !f.displaced && f.name != "" {
			continue // it was asked about for its successor's sake
		}
		if f.busy { // it is open, so only its name is of interest: ask again
			f.lostName = true
			continue
		}
		t.settle(f, r, now)
	}
	t.meetAll(fs, now) // now that all that were missing have their places
	for _, r := range fs {
		if f := t.byID[r.id]; f != nil && !t.undecided[f] {
			f.undecided = time.Time{}
		}
	}
}

// deferTo has files that are read through their descriptors ask for what came
// after f, when they are finished.
func (t *Tailer) deferTo(f *file, to []FileID) {
	for _, id := range to {
		if g := t.byID[id]; g != nil && (g.askedFrom == 0 || f.src.seen < g.askedFrom) {
			g.askedFrom = f.src.seen
		}
	}
}

// meetAll takes up the generations that came after missing files, in their order.
// Of a name of which not all are known yet none is taken up: all are asked for
// again.
func (t *Tailer) meetAll(fs []found, now time.Time) {
	var later []generation
	var early []*file
	for _, r := range fs {
		switch f := t.byID[r.id]; {
		case len(r.later) == 0:
		case f != nil && !t.o.Once && t.awaited(f.src.origin): // what comes before them may be there, and not be told yet
			early = append(early, f)
		default:
			later = append(later, r.later...)
		}
	}
	for _, f := range early {
		t.undecided[f] = true
	}
	slices.SortStableFunc(later, older)
	unclear, tired := map[string]bool{}, map[string]bool{}
	for _, r := range fs {
		if f := t.byID[r.id]; f != nil && f.tired(now) {
			tired[f.src.origin] = true
		}
	}
	for _, g := range later {
		if !unclear[g.origin] {
			unclear[g.origin] = !t.meetLater(g, now) && !tired[g.origin]
		}
	}
	for _, r := range fs {
		if f := t.byID[r.id]; f != nil && len(r.later) > 0 && unclear[f.src.origin] {
			t.postpone(f, now)
		}
	}
}

// meetLater takes up a rotated file that was never seen under its own name,
// unless it is one that is known. It is false if that cannot be told yet: then
// what came after it must not be taken up either. A missing file that had its
// inode once does not count: if this were it, it would have been found.
func (t *Tailer) meetLater(g generation, now time.Time) bool {
	if other := t.byKey[g.key]; other != nil && (other.here || other.looking) {
		switch t.holds(other, g.path, g.head) {
		case yes:
			return true
		case notYet:
			return false
		}
	}
	in := t.wanting(g.origin, g.path)
	if in == nil {
		return true
	}
	delete(t.doubtful, g.key)
	f := t.register(g.origin, g.name, g.path, in, g.key, g.size, now)
	f.packed, f.src.head = g.packed, g.head
	// It had its name when it was made, or last written, and perhaps no longer:
	// what took the name after it may be as old as that, and be renamed too
	// before it is met.
	f.src.seen = min(f.src.seen, g.born.UnixNano(), g.mtime.UnixNano())
	if f.displaced {
		f.moved, f.stale = now, true
		t.watched[f] = true
	}
	t.liveLast(f.src.stream)
	t.tell(Found, f, 0, nil)
	t.wakeNow(f)
	return true
}

// holds reports whether f is what lies at path and begins with head. It has the
// inode in the books, which is not enough: f may have been compressed or removed
// just now, and its inode used again. Where f may not be it, it is looked for.
func (t *Tailer) holds(f *file, path string, head Mark) answer {
	k := f.known()
	comparable := k.head.Len > 0 && k.head.Len == head.Len
	if t.o.Once || comparable && k.head == head || !comparable && k.path == path && !f.looking {
		return yes
	}
	if !f.busy {
		t.lookFor(f)
	}
	if comparable {
		return no
	}
	return notYet
}

// postpone has the file looked for once more: the answer was no answer yet.
func (t *Tailer) postpone(f *file, now time.Time) {
	if t.o.Once {
		return
	}
	if f.undecided.IsZero() {
		f.undecided = now
	}
	t.undecided[f] = true
}

// tired reports whether an answer about the file has been waited for long enough.
func (f *file) tired(now time.Time) bool {
	return !f.undecided.IsZero() && now.Sub(f.undecided) > unreadableWait
}

// settle decides where a missing file is.
func (t *Tailer) settle(f *file, r found, now time.Time) {
	other, taken := t.byKey[r.key], no
	if r.path != "" && other != nil && other != f && other.here {
		taken = t.holds(other, r.path, f.src.head)
	}
	if r.reused {
		f.truncated = time.Time{}
	}
	if r.path == "" && r.short == nil && !f.truncated.IsZero() {
		r.short = t.shortDoubt(f)
	}
	switch {
	case r.path != "" && f.src.f != nil && r.key != f.src.key && !f.leaving:
		// A copy: the open file is the truth.
	case taken == yes || taken == notYet && f.tired(now):
		t.settleTaken(f, other, now)
	case taken == notYet:
		t.postpone(f, now)
	case r.path != "":
		t.settleAt(f, r.place, now)
	case r.short != nil:
		t.meetCopy(f, r.short, now)
		t.vanish(f, now)
	case f.leaving:
		t.tellHow(Deleted, f, 0, time.Time{}, time.Time{})
		t.forget(f)
	case f.src.f != nil:
		// Deleted, or moved elsewhere: read on while it is open.
	case (r.undecided || r.again) && !t.o.Once:
		// Its successors wait for the answer, and so does what came after it.
	case !f.sought && !t.o.Once && !f.missed:
		// A folder in which files are being renamed is listed with gaps.
		f.sought = true
		t.undecided[f] = true
	default:
		t.vanish(f, now)
	}
	f.leaving = false
}

// settleTaken decides on a missing file that was found where another is known to
// lie. That one may have been written over: a copy is often made into the file
// that holds the last one.
func (t *Tailer) settleTaken(f, other *file, now time.Time) {
	switch {
	case f.leaving:
		t.forget(f)
	case f.src.f != nil:
	case f.src.off == 0: // nothing of it was read, and the other reads all of it
		f.truncated = time.Time{}
		t.vanish(f, now)
	case t.o.Once || f.tired(now):
		t.vanish(f, now)
	default:
		t.postpone(f, now)
		t.wakeNow(other)
	}
}

// settleAt takes up a file where it was found.
func (t *Tailer) settleAt(f *file, at place, now time.Time) {
	delete(t.doubtful, at.key)
	f.sought = false
	if f.here && f.src.path == at.path && f.src.key == at.key {
		t.wakeNow(f)
		return
	}
	if f.src.key != at.key {
		t.shut(f)
	}
	if !f.here {
		t.arrive(f, "", at.path, at.key, now)
	} else {
		t.unplace(f)
		f.src.path, f.src.key = at.path, at.key
		t.place(f)
		t.watched[f] = true
		t.tell(Moved, f, 0, nil)
	}
	switch {
	case !f.truncated.IsZero():
		t.tellCopied(f, at, at.size, now)
		f.truncated = time.Time{}
	case at.packed:
		t.tellHow(Compressed, f, 0, time.Time{}, time.Time{})
	default:
		t.tellHow(Renamed, f, 0, time.Time{}, time.Time{})
	}
	f.packed, f.links = at.packed, 1
	if f.raw = at.size; !at.packed {
		f.size = at.size
	}
	t.wakeNow(f)
}

// vanish gives a file up that is nowhere. It is kept in mind, closed: a folder
// may have been unmounted, and may come back.
func (t *Tailer) vanish(f *file, now time.Time) {
	if f.missed && !f.here { // it was looked for once more, for what came after it
		delete(t.undecided, f)
		return
	}
	lost := int64(0)
	if f.here {
		lost = max(0, f.size-f.src.off)
	}
	t.shut(f)
	if t.byPath[f.src.path] == f {
		delete(t.byPath, f.src.path)
	}
	if f.name != "" && t.byName[f.name] == f {
		delete(t.byName, f.name)
	}
	f.name = ""
	switch {
	case f.how == CopiedTruncated:
	case !f.truncated.IsZero():
		t.tellHow(Overwritten, f, max(0, f.size-f.src.off), f.truncated, now)
	default:
		t.tellHow(Deleted, f, lost, time.Time{}, time.Time{})
	}
	f.here, f.missed, f.finished, f.sought = false, true, false, false
	f.fault = nil // it is nobody's trouble any more
	delete(t.watched, f)
	delete(t.undecided, f)
	t.tell(Vanished, f, lost, nil)
	t.leaveStream(f)
	t.post(f)
}

// forget drops a file that cannot come back: deleted, and read to its end.
func (t *Tailer) forget(f *file) {
	t.shut(f)
	t.unplace(f)
	delete(t.byID, f.src.id)
	delete(t.watched, f)
	delete(t.undecided, f)
	f.finished = true
	t.tell(Forgotten, f, 0, nil)
	t.leaveStream(f)
	t.unpost(f.src.id)
}

// replace deals with a file that no longer holds the bytes it held: they may
// be in a copy beside it; what is there now is another file, met by the next
// scan.
func (t *Tailer) replace(f *file, now time.Time) {
	unread := max(0, f.size-f.src.off)
	t.shut(f)
	t.unplace(f)
	f.truncated = now
	t.lookFor(f) // with its key: what took its place may have been renamed since
	f.name, f.formerKey, f.src.key = "", f.src.key, fileKey{}
	f.displaced, f.here, f.returned = true, false, false
	t.tell(Replaced, f, unread, nil)
	t.rescan = true
}
