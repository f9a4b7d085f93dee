package tailer

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// apply brings the books up to what a scan found: known files that grew or
// moved, names that went to another file, and files never seen before.
func (t *Tailer) apply(ctx context.Context, s scan) {
	now := time.Now()
	if s.newDirs && s.dirs != nil {
		t.rescan = true // a folder that has to be walked, not only listed
	}
	names := make(map[string]fileKey, len(s.candidates))
	seen := make(map[fileKey]bool, len(s.candidates))
	var fresh []candidate
	errs := map[string]string{}
	for dir, err := range s.errs {
		errs[dir] = err.Error()
	}
	for i := range s.candidates {
		c := &s.candidates[i]
		switch {
		case c.err != nil:
			errs[c.name] = c.err.Error()
			if f := t.byName[c.name]; f != nil {
				names[c.name] = f.src.key // not to be seen is not gone
			}
		case c.info.Mode()&fs.ModeNamedPipe != 0:
			t.followPipe(ctx, c)
		case !c.info.Mode().IsRegular():
			errs[c.name] = errNotRegular.Error()
		case seen[c.key]:
			// A second name of a file that is read already.
			names[c.name] = c.key
		default:
			seen[c.key] = true
			names[c.name] = c.key
			if f := t.byKey[c.key]; f != nil {
				t.observe(f, c, now)
			} else {
				fresh = append(fresh, *c)
			}
		}
	}
	t.missNames(s, names, now)
	if s.dirs == nil {
		t.postErrors(errs)
		t.missResumed(now)
	}
	for i := range fresh {
		t.meet(&fresh[i], now)
	}
	if s.dirs == nil && !t.looking && len(t.lost) == 0 {
		t.scanned = true
	}
}

// observe notes that a known file lies at c.
func (t *Tailer) observe(f *file, c *candidate, now time.Time) {
	if f.busy {
		n := *c
		f.noted = &n
		return
	}
	changed := c.info.Size() != f.size || !c.info.ModTime().Equal(f.mtime)
	if !f.here {
		t.arrive(f, c.name, c.path, c.key, now)
	} else if f.name != c.name || f.src.path != c.path {
		t.unplace(f)
		f.name, f.src.path = c.name, c.path
		t.place(f)
		t.tell(Moved, f, 0, nil)
	}
	f.size = c.info.Size()
	if !f.displaced || f.name == f.src.origin {
		f.src.seen = now.UnixNano()
	}
	// A rotated file under a name of its own is finished all the same, so that
	// its successor can start.
	if f.name != f.src.origin && !f.displaced {
		t.displace(f, now)
	}
	if changed && (f.fault == nil || now.After(f.nextLook)) {
		t.wakeNow(f)
	} else {
		t.post(f)
	}
}

// arrive takes a file of an earlier run, or one that was missing, up again.
func (t *Tailer) arrive(f *file, name, path string, key fileKey, now time.Time) {
	t.unplace(f)
	f.name, f.src.path, f.src.key = name, path, key
	f.here, f.missed, f.fault, f.grown = true, false, nil, now
	f.displaced = name != f.src.origin
	if f.displaced {
		f.moved, f.stale = now, true
		t.watched[f] = true
	}
	t.place(f)
	t.enterStream(f)
	t.liveLast(f.src.stream)
	t.tell(Resumed, f, 0, nil)
}

// missNames displaces the files whose names lead nowhere, or to another file.
func (t *Tailer) missNames(s scan, names map[string]fileKey, now time.Time) {
	for name, f := range t.byName {
		if s.dirs != nil && !s.dirs[filepath.Dir(name)] || s.blind(name) {
			continue
		}
		if key, ok := names[name]; ok && key == f.src.key {
			continue
		}
		if f.busy {
			f.lostName = true
			continue
		}
		t.loseName(f, now)
	}
	for _, f := range t.ousted {
		switch {
		case f.name == "" || t.byName[f.name] == f:
		case f.busy:
			f.lostName = true
		default:
			t.loseName(f, now)
		}
	}
	t.ousted = t.ousted[:0]
}

// blind reports whether name could not be seen by the scan, whether it is there
// or not.
func (s *scan) blind(name string) bool {
	for dir, err := range s.errs {
		if !errors.Is(err, fs.ErrNotExist) && strings.HasPrefix(name, dir+string(filepath.Separator)) {
			return true
		}
	}
	return false
}

// loseName deals with a file that is no longer under its name: it is looked
// for beside it, and read on meanwhile where it is open.
func (t *Tailer) loseName(f *file, now time.Time) {
	t.unplace(f)
	f.name = ""
	t.byKey[f.src.key] = f
	t.displace(f, now)
	t.lookFor(f)
}

// displace makes a file one that is read to its end and then watched.
func (t *Tailer) displace(f *file, now time.Time) {
	t.watched[f] = true
	if !f.displaced {
		f.displaced, f.moved = true, now
		t.tell(Rotated, f, 0, nil)
	}
	t.wakeNow(f)
}

// lookFor asks the finder where the file is.
func (t *Tailer) lookFor(f *file) {
	if !f.looking {
		f.looking = true
		t.sought[f] = true
		t.lost = append(t.lost, f.missing())
	}
}

// missResumed looks for the files of earlier runs that the first scan did not
// meet.
func (t *Tailer) missResumed(time.Time) {
	if t.scanned {
		return
	}
	for _, f := range t.byID {
		if !f.here && !f.missed {
			t.lookFor(f)
		}
	}
}

// unsettled reports whether a file that may turn out to be the one at name is
// still being looked for.
func (t *Tailer) unsettled(name string) bool {
	dir := filepath.Dir(name)
	for f := range t.sought {
		if f.src.origin == name || !f.here && filepath.Dir(f.src.path) == dir {
			return true
		}
	}
	return false
}

// meet takes up a file that was never seen before, unless it may be one that
// is being looked for: then the next scan will meet it again.
func (t *Tailer) meet(c *candidate, now time.Time) {
	if t.unsettled(c.name) {
		t.rescan = true
		return
	}
	if t.byKey[c.key] != nil { // met as a later generation in the meantime
		return
	}
	if fs := t.streams[streamOf(c.name)]; len(fs) > 0 {
		// Others may have had the name between the last that was seen and this.
		if last := fs[len(fs)-1]; last.checkedFor != c.key {
			if !last.busy { // else at the next scan
				last.checkedFor = c.key
				t.lookFor(last)
				t.rescan = true
			} else if t.o.Once { // which would end before that
				t.rescan = true
			}
			return
		}
	}
	f := t.register(c.name, c.name, c.path, c.input, c.key, c.info.Size(), now)
	first := !t.scanned && len(t.streams[f.src.stream]) == 1
	f.src.fromEnd = first && t.o.Inputs[c.input].FromEnd
	if !f.src.fromEnd {
		t.tell(Found, f, 0, nil)
	}
	t.wakeNow(f)
	t.post(f)
}

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
		if f.here && !f.displaced && f.name != "" {
			continue // it was asked about for its successor's sake
		}
		if f.busy { // it is open, so only its name is of interest: ask again
			f.lostName = true
			continue
		}
		t.settle(f, r, now)
	}
	var later []generation
	for _, r := range fs {
		later = append(later, r.later...)
	}
	slices.SortStableFunc(later, older)
	for _, g := range later { // now that all that were missing have their places
		t.meetLater(g, now)
	}
}

// meetLater takes up a rotated file that was never seen under its own name. A
// missing file that had the same inode once does not count: if this were it,
// it would have been found.
func (t *Tailer) meetLater(g generation, now time.Time) {
	if other := t.byKey[g.key]; other != nil && (other.here || other.looking) {
		return
	}
	f := t.register(g.origin, g.name, g.path, g.input, g.key, g.size, now)
	if f.displaced {
		f.moved, f.stale = now, true
		t.watched[f] = true
	}
	t.liveLast(f.src.stream)
	t.tell(Found, f, 0, nil)
	t.wakeNow(f)
}

// settle decides where a missing file is.
func (t *Tailer) settle(f *file, r found, now time.Time) {
	switch {
	case r.path != "" && f.src.f != nil && r.key != f.src.key:
		// A copy: the open file is the truth.
	case r.path != "":
		if other := t.byKey[r.key]; other != nil && other != f && other.here {
			if f.src.f == nil {
				t.vanish(f)
			}
			return
		}
		if !f.here {
			t.arrive(f, "", r.path, r.key, now)
		} else {
			t.unplace(f)
			f.src.path, f.src.key = r.path, r.key
			t.place(f)
			t.tell(Moved, f, 0, nil)
		}
		f.size = r.size
		t.wakeNow(f)
	case f.src.f != nil:
		// Deleted, or moved elsewhere: read on while it is open.
	default:
		t.vanish(f)
	}
}

// vanish gives a file up that is nowhere. It is kept in mind, closed: a folder
// may have been unmounted, and may come back.
func (t *Tailer) vanish(f *file) {
	lost := int64(0)
	if f.here {
		lost = max(0, f.size-f.src.off)
	}
	t.shut(f)
	if t.byPath[f.src.path] == f {
		delete(t.byPath, f.src.path)
	}
	f.here, f.missed, f.finished = false, true, false
	delete(t.watched, f)
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
	f.finished = true
	t.tell(Forgotten, f, 0, nil)
	t.leaveStream(f)
	t.unpost(f.src.id)
}

// replace deals with a file that no longer holds the bytes it held: they may
// be in a copy beside it; what is there now is another file, met by the next
// scan.
func (t *Tailer) replace(f *file) {
	unread := max(0, f.size-f.src.off)
	t.shut(f)
	t.unplace(f)
	t.lookFor(f) // with its key: what took its place may have been renamed since
	f.name, f.src.key, f.size = "", fileKey{}, f.src.off
	f.displaced, f.here = true, false
	t.tell(Replaced, f, unread, nil)
	t.rescan = true
}

// shut closes the file's descriptor.
func (t *Tailer) shut(f *file) {
	t.open.remove(f)
	if err := f.src.close(); err != nil {
		t.log.Debug("close", "path", f.src.path, "error", err)
	}
}

// closeAll closes what is open at the end of the run.
func (t *Tailer) closeAll() error {
	for f := range maps.Values(t.byID) {
		t.shut(f)
	}
	return nil
}
