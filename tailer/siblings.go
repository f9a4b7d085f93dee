package tailer

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// traces is what a file is known by: enough to find it, and to tell what is a
// copy of it.
type traces struct {
	id       FileID
	origin   string
	path     string // where it was
	key      fileKey
	off      int64
	head     Mark
	tail     Mark
	sealed   Seal
	proved   Seal      // of one that was found just now: size and time with which it agreed
	trail    []waymark // of a missing one
	finished bool      // rotated, and read to its end
	held     bool      // no name leads to it: it is read on through its descriptor
}

// missing is a file that is no longer where it was.
type missing struct {
	traces
	seen      time.Time // when it was there for certain
	found     time.Time // when it was met first
	impatient bool      // what is incomplete is no longer waited for
	truncated bool      // its inode holds something else now: its bytes can only be in a copy
	others    []traces  // the other files of its stream
}

// found is the answer to a missing file.
type found struct {
	id FileID
	place
	// finished says that it was read to its end when it was asked for.
	finished bool
	// undecided says that a compressed file which may be it is not complete yet;
	// again, that it was so with what may have taken its name after it.
	undecided, again bool
	// reused says that the file was not truncated: its inode was used again.
	reused bool
	// short is a copy that was made before all was read that had been read when
	// the file was truncated: there is nothing in it that was not read.
	short *copied
	// later are files that took its name after it and have been renamed in
	// their turn, unseen.
	later []generation
	// deferred are files, of its stream, that have to be read to their end before
	// it can be told of another whether that is a copy of them.
	deferred []FileID
}

// place is where a file was found; the zero place is nowhere.
type place struct {
	path   string
	key    fileKey
	size   int64 // on disk
	mtime  time.Time
	packed bool
}

// copied is a copy of a file that is known, and what it takes to know it again.
type copied struct {
	place
	length     int64 // of the uncompressed stream
	head, tail Mark
}

// sibling is a regular file in the folder of a missing one.
type sibling struct {
	path string
	key  fileKey
	info fs.FileInfo
}

func (s *sibling) place(packed bool) place {
	return place{s.path, s.key, s.info.Size(), s.info.ModTime(), packed}
}

// clockSlack is how much a file system's times may lag behind the clock.
const clockSlack = 2 * time.Second

// look searches the folders of the missing files for them, by inode and
// content, then for generations between them and today's file.
func (f *finder) look(lost []missing) []found {
	read := f.siblings
	if read == nil {
		read = siblingsIn
	}
	dirs, still := map[string][]sibling{}, map[string]bool{}
	list := func(dir string) ([]sibling, bool) {
		if _, ok := dirs[dir]; !ok {
			dirs[dir], still[dir] = read(dir)
		}
		return dirs[dir], still[dir]
	}
	taken := map[fileKey]bool{}   // one file on disk is one file of ours
	pending := map[fileKey]bool{} // may be one of them, and is not complete
	out := make([]found, len(lost))
	siblings := make([][]sibling, len(lost))
	moving := make([]bool, len(lost)) // more may lie in the folder than was seen
	at := map[FileID]place{}
	for i := range lost {
		l, r := &lost[i], &out[i]
		ss, quiet := list(filepath.Dir(l.path))
		if od := filepath.Dir(l.origin); od != filepath.Dir(l.path) {
			more, too := list(od)
			ss, quiet = slices.Concat(ss, more), quiet && too
		}
		siblings[i], moving[i] = ss, !quiet && !l.impatient
		r.id, r.finished = l.id, l.finished
		l.truncated, r.reused = l.wasTruncated(ss)
		var unclear []fileKey
		if r.place, unclear = l.among(ss, taken); r.path != "" {
			taken[r.key] = true
			at[l.id] = r.place
			continue
		}
		if r.place = f.pinned(l); r.path != "" {
			taken[r.key] = true
			continue
		}
		r.undecided = moving[i]
		for _, key := range unclear {
			r.undecided, pending[key] = true, true
		}
		if l.truncated {
			if r.short = l.shortCopy(ss, taken); r.short != nil {
				taken[r.short.key] = true
			}
		}
	}
	for i := range lost {
		l, r := &lost[i], &out[i]
		known := l.others
		if r.path != "" {
			known = append(slices.Clip(known), l.traces)
		}
		for k := range known {
			if p, ok := at[known[k].id]; ok {
				known[k].path, known[k].key = p.path, p.key
				known[k].proved = Seal{Size: p.size, ModTime: p.mtime}
			}
		}
		r.later, r.deferred, r.again = f.generations(*l, known, taken, pending, siblings[i])
		r.again = r.again || moving[i]
	}
	return out
}

// wasTruncated reports whether the file was truncated, as it seems to have been:
// unless what has its inode now was made since.
func (l *missing) wasTruncated(ss []sibling) (truncated, reused bool) {
	if !l.truncated {
		return false, false
	}
	for i := range ss {
		if s := &ss[i]; s.key == l.key {
			born, told := birth(s.path)
			reused = told && born.After(l.seen)
			return !reused, reused
		}
	}
	return true, false
}

// relists bounds how often a folder is listed until it stands still.
const relists = 8

// siblingsIn returns the regular files in dir. Listing a folder and looking at
// its files takes two steps, and a file that is renamed between them shows under
// neither name: so the folder is listed until two listings in a row are whole and
// agree. Otherwise still is false, and files may be missing.
func siblingsIn(dir string) (out []sibling, still bool) {
	last, whole := listSiblings(dir)
	for range relists {
		next, ok := listSiblings(dir)
		if whole && ok && slices.EqualFunc(last, next, func(a, b sibling) bool { return a.path == b.path && a.key == b.key }) {
			return next, true
		}
		last, whole = next, ok
	}
	return last, false
}

// listSiblings is siblingsIn at one go. whole says that no file was gone when it
// was looked at.
func listSiblings(dir string) (out []sibling, whole bool) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, true // as good as empty: the file is not to be found there now
	}
	whole = true
	for _, e := range entries {
		if !e.Type().IsRegular() {
			continue
		}
		fi, err := e.Info()
		if err != nil {
			whole = false
			continue
		}
		path := filepath.Join(dir, e.Name())
		if key, err := keyAt(path, fi); err == nil {
			out = append(out, sibling{path, key, fi})
		}
	}
	return out, whole
}

// among finds the missing file: by device and inode, else by inode (device
// numbers change with a reboot), else by content alone (moved between file
// systems, compressed, or copied before it was truncated). Content has to agree
// each time. Where it is not found, unclear are files that may be it, and cannot
// be compared yet.
func (l *missing) among(ss []sibling, taken map[fileKey]bool) (at place, unclear []fileKey) {
	tests := []func(*sibling) bool{
		func(s *sibling) bool { return s.key == l.key && l.maybe(s) },
		func(s *sibling) bool { return s.key.ino == l.key.ino && l.key.ino != 0 && l.maybe(s) },
		func(s *sibling) bool { return l.provable(s) && madeSince(s, l.seen.Add(-clockSlack)) },
	}
	for _, possible := range tests {
		for i := range ss {
			s := &ss[i]
			if taken[s.key] || !possible(s) {
				continue
			}
			switch answer, packed := l.agrees(s); answer {
			case yes:
				return s.place(packed), nil
			case notYet:
				if !l.impatient {
					unclear = append(unclear, s.key)
				}
			}
		}
	}
	return place{}, unclear
}

// maybe reports whether an inode is hint enough. Of a file of which nothing was
// read only the inode is known, and that may be used for a new file by now: its
// name has to be one that ours can have, and it must not be younger.
func (l *missing) maybe(s *sibling) bool {
	if l.off > 0 || l.head.Len > 0 {
		return true
	}
	if born, told := birth(s.path); told && born.After(l.found) {
		return false
	}
	return s.path == l.path || s.path == l.origin || rotatedAs(l.origin, s.path)
}

// provable reports whether the marks are proof without an inode. That two logs
// begin with the same short banner must not be enough, unless the name says as
// well that s is a rotated form of ours.
func (l *missing) provable(s *sibling) bool {
	switch {
	case l.head.Len == 0:
		return false
	case l.off == 0: // all of it will be read, whichever it is
		return rotatedAs(l.origin, s.path)
	}
	return l.tail.Len > 0 && (l.off >= 4*tailMax || rotatedAs(l.origin, s.path))
}

// madeSince reports whether a file was made or written since then. Copies and
// compressed files may keep the time of the original's last write.
func madeSince(s *sibling, since time.Time) bool {
	if !s.info.ModTime().Before(since) {
		return true
	}
	born, known := birth(s.path)
	return !known || !born.Before(since)
}

// answer is what a comparison of contents came to.
type answer int

const (
	no     answer = iota
	yes           // as far as is known, the same
	notYet        // it cannot be told before a file is complete
)

// agrees compares the content of s with the marks.
func (f *traces) agrees(s *sibling) (a answer, packed bool) {
	c, err := openAt(s.path, s.key)
	if err != nil {
		return unopened(err), false
	}
	defer c.Close()
	p, packed := c.(*packedFile)
	if packed && s.key == f.key && f.sealed.End == f.off && f.sealed.fits(p.raw, p.mtime) {
		return yes, true
	}
	if a = f.agreesWith(c); a == no && !settledPlain(c) {
		a = notYet
	}
	return a, packed
}

// agreesWith is agrees for an open content.
func (f *traces) agreesWith(c content) answer {
	for _, m := range []waymark{{int64(f.head.Len), f.head}, {f.off, f.tail}} {
		if m.mark.Len == 0 {
			continue
		}
		if a := m.agreesWith(c); a != yes {
			return a
		}
	}
	switch l, err := c.look(); {
	case err != nil:
		return notYet
	case !l.packed && l.size < f.off:
		return no
	}
	return yes
}

// agreesWith compares the bytes before the waymark.
func (w *waymark) agreesWith(c content) answer {
	m, err := markAt(c, w.off-int64(w.mark.Len), w.mark.Len)
	if err != nil {
		return notYet
	}
	if m == w.mark {
		return yes
	}
	if p, ok := c.(*packedFile); ok && m.Len == 0 && (p.err == errIncomplete || p.in.err != nil) {
		return notYet
	}
	return no
}

// shortCopy finds a copy of a truncated file that ends before what was read of
// the file: what was written after the copying was read, and lies nowhere.
func (l *missing) shortCopy(ss []sibling, taken map[fileKey]bool) *copied {
	for i := range ss {
		s := &ss[i]
		if taken[s.key] || s.key == l.key || !rotatedAs(l.origin, s.path) || !madeSince(s, l.seen.Add(-clockSlack)) {
			continue
		}
		c, err := openAt(s.path, s.key)
		if err != nil {
			continue
		}
		out := l.shortOf(s, c)
		c.Close()
		if out != nil {
			return out
		}
	}
	return nil
}

func (l *missing) shortOf(s *sibling, c content) *copied {
	head := waymark{int64(l.head.Len), l.head}
	if headAgrees := head.agreesWith(c) == yes; !headAgrees && contentLonger(c, head.off) {
		return nil
	}
	length, err := lengthOf(c)
	if err != nil || length == 0 || length >= l.off {
		return nil
	}
	for _, w := range slices.Backward(l.trail) {
		if w.off > length {
			continue
		}
		out := &copied{place: s.place(isPacked(c)), length: length}
		if w.agreesWith(c) != yes || out.marks(c) != nil {
			return nil
		}
		return out
	}
	return nil
}

// contentLonger reports whether the content has more than n bytes.
func contentLonger(c content, n int64) bool {
	var b [1]byte
	k, _ := c.ReadAt(b[:], n)
	return k == 1
}

// marks fills in what the copy is known by.
func (c *copied) marks(from content) (err error) {
	if c.head, err = markAt(from, 0, int(min(c.length, headMax))); err != nil {
		return err
	}
	n := min(c.length, tailMax)
	c.tail, err = markAt(from, c.length-n, int(n))
	return err
}
