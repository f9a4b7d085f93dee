package tailer

import (
	"path/filepath"
	"slices"
	"time"
)

// doubtful is a file that was not taken up yet, since it may be a copy of one
// that is known, or is one.
type doubtful struct {
	asked bool
	judgement
	raw   int64 // size and time when it was judged
	mtime time.Time
	since time.Time // of the first judgement
}

// copyWait is how long a small file is held to be a copy of another that is not
// truncated: so few bytes can be the same by chance.
const copyWait = time.Minute

// sortRotatedLast puts files last whose names say that they may be rotated forms
// of others in the same scan.
func sortRotatedLast(fresh []candidate, names map[string]fileKey) {
	rotated := func(c candidate) int {
		for _, o := range originsOf(c.name) {
			if _, there := names[o]; there {
				return 1
			}
		}
		return 0
	}
	slices.SortStableFunc(fresh, func(a, b candidate) int { return rotated(a) - rotated(b) })
}

// originsOf returns the paths beside path that a file may have had before it got
// this one by a rotation.
func originsOf(path string) []string {
	dir, name := filepath.Split(path)
	unpacked := unpackedName(name)
	var out []string
	if unpacked != name {
		out = append(out, dir+unpacked)
	}
	for _, o := range rotatedFrom(unpacked) {
		out = append(out, dir+o)
	}
	return out
}

// doubt reports whether c may be a copy of a file that is known, or is one, so
// that it is not taken up. It has the finder compare them where that is not
// known.
func (t *Tailer) doubt(c *candidate, now time.Time) bool {
	of := t.originalsOf(c)
	if len(of) == 0 {
		delete(t.doubtful, c.key)
		return false
	}
	d := t.doubtful[c.key]
	if d == nil {
		d = &doubtful{}
		t.doubtful[c.key] = d
	}
	switch judged := !d.since.IsZero() && d.raw == c.info.Size() && d.mtime.Equal(c.info.ModTime()); {
	case d.asked:
		t.rescan = true
		return true
	case !judged || d.moving:
	case d.answer == no:
		delete(t.doubtful, c.key)
		return false
	case d.answer == yes && !d.packed && d.length < 4*tailMax && now.Sub(d.since) > copyWait:
		delete(t.doubtful, c.key)
		return false
	case d.answer == notYet && d.packed && now.Sub(c.info.ModTime()) > incompleteWait: // nobody completes it: that has to be said
		delete(t.doubtful, c.key)
		return false
	default:
		return true
	}
	d.asked, t.rescan = true, true
	t.doubts = append(t.doubts, doubt{c.key, c.path, of, c.info.Size(), c.info.ModTime()})
	return true
}

// originalsOf returns the known files that c may be a copy of, by its name.
func (t *Tailer) originalsOf(c *candidate) []traces {
	var out []traces
	for _, o := range originsOf(c.name) {
		for _, f := range t.streams[streamOf(o)] {
			if f.src.key != c.key {
				out = append(out, f.known())
			}
		}
	}
	return out
}

// judged takes the answers to doubts in.
func (t *Tailer) judged(js []judgement) {
	now := time.Now()
	for _, j := range js {
		d := t.doubtful[j.key]
		if d == nil {
			continue
		}
		if d.answer == no && j.answer == yes {
			t.log.Info("file is a copy of another: it is not read", "path", j.path, "file", j.of.String(), "bytes", j.length)
		}
		d.asked, d.judgement, d.raw, d.mtime = false, j, j.size, j.copied.mtime
		if d.since.IsZero() {
			d.since = now
		}
		if f := t.byID[j.of]; f != nil && j.moving && f.here {
			t.wakeNow(f) // what has become of it is not noticed yet
		}
		t.rescan = t.rescan || j.answer == no || j.moving
	}
}

// meetCopy takes a copy up as a file that is read to its end: all that is in it
// was read from the file that it was made of.
func (t *Tailer) meetCopy(of *file, c *copied, now time.Time) {
	if other := t.byKey[c.key]; other != nil && other.here && t.holds(other, c.path, c.head) != no {
		return
	}
	delete(t.doubtful, c.key)
	f := t.register(of.src.origin, "", c.path, of.src.in, c.key, c.size, now)
	f.src.off, f.src.searched, f.src.head, f.src.tailMark = c.length, c.length, c.head, c.tail
	f.packed, f.moved, f.stale, f.size, f.how = c.packed, now, true, c.length, CopiedTruncated
	t.watched[f] = true
	t.liveLast(f.src.stream)
	t.tell(Found, f, 0, nil)
	t.tellCopied(of, c.place, c.length, now)
	t.wakeNow(f)
}

// tellCopied reports that f was truncated after length bytes of it had been
// copied to at.
func (t *Tailer) tellCopied(f *file, at place, length int64, now time.Time) {
	lost := int64(0)
	if !at.packed {
		lost = max(0, f.size-max(length, f.src.off))
	}
	to := f.truncated
	if to.IsZero() {
		to = now
	}
	t.tellHow(CopiedTruncated, f, lost, at.mtime, to)
}

// shortDoubt returns a copy of f, which was truncated, that was compared with it
// before and ends before what was read of it.
func (t *Tailer) shortDoubt(f *file) *copied {
	for _, d := range t.doubtful {
		if d.of == f.src.id && d.answer == yes && d.length > 0 && d.length < f.src.off {
			return &d.copied
		}
	}
	return nil
}
