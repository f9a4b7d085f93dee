package tailer

import (
	"cmp"
	"io"
	"strings"
	"time"
)

// generation is a rotated file that was never seen under its own name.
type generation struct {
	place
	origin string    // the name that it had
	name   string    // the path, if it is the missing file's own name
	head   Mark      // of its first bytes, so that it is known before it is read
	born   time.Time // creation, where the file system tells, else last change
}

// generations returns the files that had the missing file's name after it and
// that no pattern finds: they carry its name with something added, were made and
// written after it was last seen, and are no copy of a file that is known. What is
// taken is a missing file itself, this one or another, and pending may be one.
// deferred are known files without a name of which one may be a copy: it is not
// waited for, since they wait for the missing file. When they are read to their end
// they ask for it themselves. again says that one could not be told yet.
func (f *finder) generations(l missing, known []traces, taken, pending map[fileKey]bool, ss []sibling) (out []generation, deferred []FileID, again bool) {
	since := l.seen.Add(-clockSlack)
	for i := range ss {
		s := &ss[i]
		if taken[s.key] || !rotatedAs(l.origin, s.path) && s.path != l.origin || s.info.ModTime().Before(since) {
			continue
		}
		live := s.key == l.key && s.path == l.origin
		if _, wanted := f.matcher.input(s.path); wanted && !live {
			continue // found by its own name
		}
		born, told := birth(s.path)
		if !told || s.key == l.key && born.Before(since) { // the missing file's own inode, written anew and renamed
			born = s.info.ModTime()
		}
		if born.Before(since) {
			continue // it was there before, under its own name: not a rotated file
		}
		empty := s.info.Size() == 0 && !live && !l.impatient && time.Since(s.info.ModTime()) < staleAfter
		if pending[s.key] || empty { // it may yet turn out to be a file that is known
			again = true
			continue
		}
		g := generation{origin: l.origin, place: s.place(false), born: born}
		if live {
			g.name = s.path
		}
		j := copyOfAny(s, known)
		switch {
		case j.answer == yes:
			continue
		case j.held:
			deferred = append(deferred, j.of)
			continue
		case j.answer == notYet && !l.impatient && (j.packed || s.info.Size() > 0):
			again = true
			continue
		}
		var there bool
		if g.head, there = headOf(s); !there && !l.impatient { // renamed or compressed just now
			again = true
			continue
		}
		g.packed = j.packed
		out = append(out, g)
	}
	return out, deferred, again
}

// headOf returns the fingerprint of the first bytes of s, the zero Mark if they
// cannot be read. It is not there if its path leads elsewhere by now: taken up
// with nothing that it is known by, it would not be found again, and what was
// found later would come before it.
func headOf(s *sibling) (head Mark, there bool) {
	c, err := openAt(s.path, s.key)
	if err != nil {
		return Mark{}, unopened(err) != notYet
	}
	defer c.Close()
	b := make([]byte, headMax)
	n, err := c.ReadAt(b, 0)
	if err != nil && err != io.EOF {
		return Mark{}, true
	}
	return markOf(b[:n]), true
}

// copyOfAny reports whether s holds nothing but bytes of one file that is known.
func copyOfAny(s *sibling, known []traces) (out judgement) {
	switch c, err := openAt(s.path, s.key); {
	case err == nil:
		out.packed = isPacked(c)
		c.Close()
	case unopened(err) == notYet:
		out.answer = notYet
		return out
	}
	for i := range known {
		if known[i].key == s.key {
			continue
		}
		switch j := known[i].judge(s.path, s.key); {
		case j.answer == no || j.truncated && !j.like:
		case j.truncated: // where what is left of it will be found
			out.answer = yes
			return out
		default:
			out.answer, out.of, out.held = j.answer, j.of, j.held
			return out
		}
	}
	return out
}

// older orders generations of one name as they were written; those of different
// names have nothing to do with each other.
func older(a, b generation) int {
	if a.origin != b.origin {
		return strings.Compare(a.origin, b.origin)
	}
	if a.name != b.name { // the one that has the name now is the youngest
		return strings.Compare(a.name, b.name)
	}
	na, nb := rotationNumber(a.path), rotationNumber(b.path)
	numbered := na > 0 && nb > 0
	switch {
	case !a.packed && !b.packed:
		if c := a.born.Compare(b.born); c != 0 {
			return c
		}
	case a.clocked() && b.clocked():
		if c := a.mtime.Compare(b.mtime); c != 0 {
			return c
		}
	case !numbered && len(unpackedName(a.path)) != len(unpackedName(b.path)): // neither numbers nor dates
		if c := a.mtime.Compare(b.mtime); c != 0 {
			return c
		}
	}
	// A coarse clock, or one that tells of the compression: their names have to
	// tell.
	if numbered {
		return cmp.Compare(nb, na) // app.log.2 is older than app.log.1
	}
	return strings.Compare(unpackedName(a.path), unpackedName(b.path)) // dates grow
}

// clocked reports whether the generation's time is that of its last line: that
// of a compressed file may be the time of the compression.
func (g *generation) clocked() bool {
	return !g.packed || g.mtime.Before(g.born.Add(-clockSlack))
}
