package tailer

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"path/filepath"
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
				if heldNames && f.src.f != nil {
					t.wakeLater(f) // deleted, perhaps: the open file tells
				}
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
			switch f := t.byKey[c.key]; {
			case f != nil && !f.here && !c.dated:
				t.askBirth(c.key)
			case f != nil && !f.stranger(c):
				t.observe(f, c, now)
			default:
				fresh = append(fresh, *c)
			}
		}
	}
	t.missNames(s, names, now)
	t.seekNames(&s, names, now)
	if s.dirs == nil { // a folder that needs no listing had no errors
		t.postErrors(errs)
	}
	if s.whole() {
		t.unmet = false
		t.missResumed(now)
		t.seekAgain()
		maps.DeleteFunc(t.doubtful, func(key fileKey, _ *doubtful) bool { return !seen[key] })
	}
	sortRotatedLast(fresh, names)
	for i := range fresh {
		t.meet(&fresh[i], now)
	}
	// A run that reads what is there once has not met all of it as long as one waits.
	if s.whole() && !t.looking && len(t.lost)+len(t.doubts) == 0 && !(t.o.Once && t.unmet) {
		t.scanned = true
		for _, in := range t.inputs {
			in.scanned, in.before = true, nil
		}
	}
}

// askBirth has the next scan ask when a file was made that has the inode of one
// that is missing: it may be that one, or have been made since.
func (t *Tailer) askBirth(key fileKey) {
	if t.births == nil {
		t.births = map[fileKey]bool{}
	}
	t.births[key], t.rescan = true, true
}

// stranger reports whether c cannot be the file, though the key is its own: c was
// made since, or nothing is known of the file's content, and the name is not one
// that it can have by now. Its inode was used again. Where that is wrong, since a
// clock was, the file is found by its content.
func (f *file) stranger(c *candidate) bool {
	switch {
	case f.here:
		return false
	case f.found > 0 && c.born.After(time.Unix(0, f.found)):
		return true
	}
	return f.src.off == 0 && f.src.head.Len == 0 && c.name != f.src.origin && c.path != f.src.path && !rotatedAs(f.src.origin, c.name)
}

// observe notes that a known file lies at c.
func (t *Tailer) observe(f *file, c *candidate, now time.Time) {
	if f.busy {
		n := *c
		f.noted, f.notedAt, f.lostName = &n, t.scanStarted, false
		return
	}
	if at := f.notedAt; !at.IsZero() { // it is an old observation
		f.sighted, f.notedAt = at, time.Time{}
	} else {
		f.sighted = t.scanStarted
	}
	changed := c.info.Size() != f.raw || !c.info.ModTime().Equal(f.mtime)
	moved := !f.here || f.name != c.name || f.src.path != c.path
	if !f.here {
		t.arrive(f, c.name, c.path, c.key, now)
	} else if moved {
		t.unplace(f)
		f.name, f.src.path, f.unproved = c.name, c.path, true
		t.place(f)
		t.tell(Moved, f, 0, nil)
		t.tellHow(Renamed, f, 0, time.Time{}, time.Time{})
	}
	if f.raw = c.info.Size(); !f.packed {
		f.size = f.raw
	}
	if !changed && !f.unproved { // as at its last turn, when its content was compared
		f.wasSeen()
	}
	// A rotated file under a name of its own is finished all the same, so that
	// its successor can start.
	if f.name != f.src.origin && !f.displaced {
		t.displace(f, now)
	}
	switch {
	case changed && f.unproved && f.size == f.src.off && !f.displaced: // it grew not while nobody looked
		t.wakeLast(f)
	case changed && (f.fault == nil || now.After(f.nextLook)):
		t.wakeNow(f)
	case changed || moved:
		t.post(f)
	}
}

// wasSeen notes that the file was certainly under its name when a scan began that
// found its inode there, since its content was compared at that time or later:
// what took the name after it was made since. The time of a turn says nothing
// about the name, since the file is open then.
func (f *file) wasSeen() {
	if !f.sighted.IsZero() && (!f.displaced || f.name == f.src.origin) {
		f.src.seen = max(f.src.seen, f.sighted.UnixNano())
	}
}

// arrive takes a file of an earlier run, or one that was missing, up again.
func (t *Tailer) arrive(f *file, name, path string, key fileKey, now time.Time) {
	t.unplace(f)
	f.name, f.src.path, f.src.key = name, path, key
	f.sought = false
	f.here, f.missed, f.fault, f.grown, f.unproved = true, false, nil, now, true
	f.returned = f.displaced && name == f.src.origin
	f.displaced = name != f.src.origin
	if f.displaced {
		f.moved, f.stale = now, true
		t.watched[f] = true
	}
	t.place(f)
	t.enterStream(f)
	t.liveLast(f.src.stream)
	t.tell(Resumed, f, 0, nil)
	t.post(f) // its first turn may take long: nothing is sent before the agent is ready
}

// missNames displaces the files whose names lead nowhere, or to another file.
func (t *Tailer) missNames(s scan, names map[string]fileKey, now time.Time) {
	for name, f := range t.byName {
		if s.listed == 0 { // and none is missing
			break
		}
		if dir := filepath.Dir(name); s.unlisted[dir] || s.dirs != nil && !s.dirs[dir] || s.blind(name) {
			continue
		}
		if key, ok := names[name]; ok && key == f.src.key {
			continue
		}
		if f.busy {
			t.noteLost(f)
			continue
		}
		t.loseName(f, now)
	}
	for _, f := range t.ousted {
		switch {
		case !f.here || f.name == "" || t.byName[f.name] == f:
		case f.busy:
			t.noteLost(f)
		default:
			t.loseName(f, now)
		}
	}
	t.ousted = t.ousted[:0]
}

// noteLost notes for a file that has its turn that it was missed, and forgets
// where it was before that.
func (t *Tailer) noteLost(f *file) {
	if f.noted != nil && f.notedAt.Equal(t.scanStarted) {
		return // it was found under another name by the same scan
	}
	f.lostName, f.noted, f.notedAt = true, nil, time.Time{}
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
	f.name, f.returned = "", false
	if other := t.byKey[f.src.key]; other == nil || !other.here { // else its inode is another's by now
		t.byKey[f.src.key] = f
	}
	t.displace(f, now)
	t.lookFor(f)
}

// strayed deals with a file whose path leads to another by now. It has no turn
// again before it is found: that would come to the same, at once.
func (t *Tailer) strayed(f *file, now time.Time) {
	t.rescan = true
	if f.displaced && f.name == "" {
		t.lookFor(f)
		return
	}
	t.loseName(f, now)
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
		t.lost = append(t.lost, t.missing(f))
	}
}

// seekNames looks for files that took a name after the last one that was seen
// under it, and were rotated away in their turn, where nothing has the name now.
func (t *Tailer) seekNames(s *scan, names map[string]fileKey, now time.Time) {
	for f := range t.watched {
		_, taken := names[f.src.origin]
		if s.unlisted[filepath.Dir(f.src.origin)] {
			taken = t.byName[f.src.origin] != nil
		}
		if taken || f.busy || f.looking || !f.displaced || f.name != "" {
			continue
		}
		fs := t.streams[f.src.stream]
		if len(fs) == 0 || fs[len(fs)-1] != f {
			continue
		}
		switch { // an event in the folder says more than the time that has passed
		case s.dirs == nil && now.After(f.nextSeek):
			f.seekRest = min(max(2*f.seekRest, t.o.RescanInterval), watchMax)
		case s.dirs[filepath.Dir(f.src.origin)]:
			f.seekRest = 0
		default:
			continue
		}
		f.nextSeek = now.Add(f.seekRest)
		t.lookFor(f)
	}
}

// seekAgain repeats the questions that could not be answered.
func (t *Tailer) seekAgain() {
	for f := range t.undecided {
		if !f.busy {
			delete(t.undecided, f)
			t.lookFor(f)
		}
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
	for f := range t.undecided { // what comes before it may be there, and not be complete
		if f.src.origin == name {
			return true
		}
	}
	return false
}

// awaited reports whether a file of that name is still being looked for.
func (t *Tailer) awaited(origin string) bool {
	for f := range t.sought {
		if f.src.origin == origin {
			return true
		}
	}
	for f := range t.undecided {
		if f.src.origin == origin {
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
	if f := t.byKey[c.key]; f != nil && !f.stranger(c) { // met as a later generation in the meantime
		return
	}
	if t.adopt(c, now) || t.doubt(c, now) {
		return
	}
	if fs := t.streams[streamOf(c.name)]; len(fs) > 0 {
		// Others may have had the name between the last that was seen and this.
		if last := fs[len(fs)-1]; last.checkedFor != c.key {
			if !last.busy { // else at the next scan
				last.checkedFor = c.key
				t.lookFor(last)
				t.rescan = true
			} else {
				t.unmet = true
				t.rescan = t.rescan || t.o.Once // which would end before that
			}
			return
		}
	}
	in := t.inputs[c.input]
	f := t.register(c.name, c.name, c.path, in, c.key, c.info.Size(), now)
	f.sighted, f.src.seen = t.scanStarted, t.scanStarted.UnixNano() // it may be gone from there by now
	f.src.fromEnd = len(t.streams[f.src.stream]) == 1 && in.fromEnd(c.name)
	if !f.src.fromEnd {
		t.tell(Found, f, 0, nil)
	}
	t.wakeNow(f)
	t.post(f)
}

// shut closes the file's descriptor.
func (t *Tailer) shut(f *file) {
	t.open.remove(f)
	delete(t.unpacking, f)
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
