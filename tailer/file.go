package tailer

import (
	"cmp"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/cespare/xxhash/v2"
)

// file is what the tailer's owner knows of one file. Its src belongs to a
// worker while busy is set.
type file struct {
	src  source
	name string // the path that a pattern matched; "" when no pattern finds it any more

	busy, queued, wake bool      // has a turn, waits for one, has to have another
	last               bool      // is queued behind all others
	final              bool      // its next turn takes what follows the last newline as a line
	here               bool      // it is known where it lies
	displaced          bool      // its name is another's now, or nobody's
	finished           bool      // displaced, at its end and quiet: its successor may start
	unproved           bool      // taken up by its inode; its content was not compared yet
	returned           bool      // the same, under its first name, after another had that: perhaps its inode was used again
	looking            bool      // it is being looked for
	askedFrom          int64     // what was made since is to be asked about when it is finished, unix nanoseconds; 0: nothing
	sought             bool      // it was looked for once, and not found
	missed             bool      // it was looked for in vain
	stale              bool      // it was rotated already when it was met first in this run
	checkedFor         fileKey   // the successor before which no unseen one was found
	before             *traces   // what it was known by when its turn began; nil between turns
	formerKey          fileKey   // of the inode that holds something else since
	truncated          time.Time // when it was noticed that its inode holds something else
	leaving            bool      // deleted and read to its end: forgotten unless a compressed form is found
	undecided          time.Time // since when a file that may be it, or come after it, is not complete
	how                Rotation  // how it lost its name, as told last
	nextSeek           time.Time // for what took its name after it
	seekRest           time.Duration
	requests           []request  // what was asked for while the file had its turn
	noted              *candidate // what a scan found while the file had its turn
	notedAt            time.Time  // when that scan began
	sighted            time.Time  // when the last scan began that found its inode under its name
	lostName           bool       // a scan missed its name while it had its turn

	glimpsedAt int64 // size at the last glimpse
	found      int64 // when it was found first, unix nanoseconds; no two are equal
	size       int64 // bytes to be read, as far as known
	raw        int64 // bytes on disk
	packed     bool  // compressed, as its last turn found
	sealed     Seal  // as told last
	mtime      time.Time
	links      int
	grown      time.Time     // when bytes were last read
	sweepAge   time.Duration // since then, before which no periodic scan looks at it
	moved      time.Time     // when it was displaced
	nextLook   time.Time
	lastTurn   time.Time // of an open compressed file
	fault      error     // why it cannot be read
	retry      time.Duration
	failures   int64
	cuts       int64
	invalid    int64

	borrower *file // the successor that goes on with its open entry, as long as that is not settled
	lentAt   int64 // since when, unix nanoseconds
	lentUpTo int64 // where the file ended then
	lender   *file // the other way round
	keeps    bool  // its open entry does not go on in the successor
}

// partialWait is how long the last line of a rotated file, not ended by a
// newline, is waited for: its writer may still hold the file.
const partialWait = 5 * time.Second

// unreadableWait is how long a rotated file that cannot be read holds up its
// successor.
const unreadableWait = 30 * time.Second

// retryMax bounds the time between two attempts at a file that cannot be read.
const retryMax = 10 * time.Second

// staleAfter is how old the last write to a file has to be that was rotated
// before this run, so that nobody is waited for who might still hold it.
const staleAfter = 10 * time.Second

// watchMax bounds the time between two looks at a rotated file.
const watchMax = 10 * time.Second

// streamOf returns the stream of the files that were first found at path.
func streamOf(path string) uint64 { return xxhash.Sum64String(path) }

// newID returns an id that no other file has.
func (t *Tailer) newID() FileID {
	for {
		if id := FileID(rand.Uint64()); id != 0 && t.byID[id] == nil {
			return id
		}
	}
}

// Resume tells of the files of earlier runs, as Options.Resume does, where they
// are not known at New. Call it before Run.
func (t *Tailer) Resume(states []State) {
	for _, s := range states {
		t.resume(s)
	}
}

// resume takes a file of an earlier run into the books. It is read once it is
// found.
func (t *Tailer) resume(s State) {
	in := t.wanting(s.Origin, s.Path)
	if in == nil { // the configuration no longer asks for it; its state is kept
		t.retired[s.ID] = retired{State: s}
		return
	}
	t.takeUp(s, in)
}

// takeUp is resume for a file that an input asks for.
func (t *Tailer) takeUp(s State, in *input) *file {
	f := &file{src: source{
		id: s.ID, stream: s.Stream, in: in, origin: s.Origin, path: s.Path, limit: in.MaxLineBytes,
		key: fileKey{s.Dev, s.Ino}, off: s.Offset, searched: s.Offset, head: s.Head, tailMark: s.Tail, seen: s.Seen.UnixNano(), sealed: s.Sealed,
	}, size: s.Offset, displaced: s.Rotated}
	t.byID[s.ID] = f
	f.found = s.Found.UnixNano()
	t.lastFound = max(t.lastFound, f.found)
	if f.missed = s.Gone; !s.Gone { // a file that is gone may come back, but holds nobody up
		t.enterStream(f)
	}
	if f.src.key != (fileKey{}) && t.byKey[f.src.key] == nil { // else its inode is another's
		t.byKey[f.src.key] = f
	}
	return f
}

// register takes a file into the books that was never seen before.
func (t *Tailer) register(origin, name, path string, in *input, key fileKey, size int64, now time.Time) *file {
	f := &file{src: source{
		id: t.newID(), stream: streamOf(origin), in: in, origin: origin, path: path, limit: in.MaxLineBytes,
		key: key, seen: now.UnixNano(),
	}, name: name, size: size, raw: size, here: true, grown: now, displaced: name == ""}
	t.lastFound = max(now.UnixNano(), t.lastFound+1)
	f.found = t.lastFound
	t.byID[f.src.id] = f
	t.place(f)
	t.enterStream(f)
	return f
}

// place enters the file's key and paths into the books.
func (t *Tailer) place(f *file) {
	t.byKey[f.src.key] = f
	t.byPath[f.src.path] = f
	if f.name == "" {
		return
	}
	if g := t.byName[f.name]; g != nil && g != f {
		t.ousted = append(t.ousted, g)
	}
	t.byName[f.name] = f
}

// unplace is the opposite.
func (t *Tailer) unplace(f *file) {
	if t.byKey[f.src.key] == f {
		delete(t.byKey, f.src.key)
	}
	if t.byPath[f.src.path] == f {
		delete(t.byPath, f.src.path)
	}
	if f.name != "" && t.byName[f.name] == f {
		delete(t.byName, f.name)
	}
}

// enterStream puts a file where it belongs among those of its name: the order
// in which they were found is the order in which they were written.
func (t *Tailer) enterStream(f *file) {
	fs := t.streams[f.src.stream]
	if slices.Contains(fs, f) {
		return
	}
	i, _ := slices.BinarySearchFunc(fs, f.found, func(g *file, at int64) int { return cmp.Compare(g.found, at) })
	t.streams[f.src.stream] = slices.Insert(fs, i, f)
}

// liveLast makes the file that has the name the last of its stream: all others
// have had it before.
func (t *Tailer) liveLast(stream uint64) {
	fs := t.streams[stream]
	for i, f := range fs {
		if t.live(f) && !f.returned && i < len(fs)-1 {
			t.lastFound++
			f.found = t.lastFound
			t.streams[stream] = append(slices.Delete(fs, i, i+1), f)
			return
		}
	}
}

// proved notes that the file's content was compared, and is what it was.
func (t *Tailer) proved(f *file) {
	f.unproved = false
	if f.returned {
		f.returned = false
		t.liveLast(f.src.stream)
	}
}

// leaveStream takes a file out of its stream, so that those behind it may go on.
func (t *Tailer) leaveStream(f *file) {
	fs := t.streams[f.src.stream]
	for i, g := range fs {
		if g == f {
			fs = append(fs[:i:i], fs[i+1:]...)
			break
		}
	}
	if len(fs) == 0 {
		delete(t.streams, f.src.stream)
		return
	}
	t.streams[f.src.stream] = fs
	t.startSuccessor(fs)
}

// live reports whether the file has its name now.
func (t *Tailer) live(f *file) bool { return f.here && !f.displaced && t.byName[f.name] == f }

// predecessor returns the file that has to be finished before f starts, if any.
// A rotated file never waits for the one that has the name: that may go on for
// ever.
func (t *Tailer) predecessor(f *file) *file {
	for _, g := range t.streams[f.src.stream] {
		if g == f {
			return nil
		}
		if !g.finished && g.borrower != f && !(f.displaced && t.live(g)) {
			return g
		}
	}
	return nil
}

// startSuccessor wakes the first file of a stream that is not finished.
func (t *Tailer) startSuccessor(fs []*file) {
	for _, f := range fs {
		if !f.finished {
			t.wakeNow(f)
			return
		}
	}
}

// state returns what is to be remembered of the file. Only between turns.
func (f *file) state() State {
	tail := f.src.tailMark
	if len(f.src.tail) > 0 {
		tail = markOf(f.src.tail)
	}
	return State{
		ID: f.src.id, Stream: f.src.stream, Origin: f.src.origin, Path: f.src.path, Dev: f.src.key.dev, Ino: f.src.key.ino,
		Head: f.src.head, Offset: f.src.off, Tail: tail, Rotated: f.displaced, Seen: time.Unix(0, f.src.seen), Gone: !f.here && f.missed, Found: time.Unix(0, f.found), Sealed: f.src.sealed,
	}
}

// traces returns what the file is known by. Only between turns.
func (f *file) traces() traces {
	s := f.state()
	return traces{
		id: s.ID, origin: s.Origin, path: s.Path, key: f.src.key, off: s.Offset, head: s.Head, tail: s.Tail,
		sealed: f.src.sealed, finished: f.finished, held: f.here && f.name == "" && f.src.f != nil,
	}
}

// known is traces at any time: during a turn as the file was before it.
func (f *file) known() traces {
	if f.busy {
		return *f.before
	}
	return f.traces()
}

// missing returns what it takes to look for the file. Only between turns.
func (t *Tailer) missing(f *file) missing {
	m := missing{traces: f.traces(), seen: time.Unix(0, f.src.seen), found: time.Unix(0, f.found), truncated: !f.truncated.IsZero()}
	if m.key == (fileKey{}) {
		m.key = f.formerKey // what it holds now may have been renamed
	}
	if f.askedFrom != 0 {
		m.seen = time.Unix(0, min(f.src.seen, f.askedFrom))
	}
	m.trail = slices.Clone(f.src.trail)
	m.impatient = f.tired(time.Now())
	for _, g := range t.streams[f.src.stream] {
		if g != f {
			m.others = append(m.others, g.known())
		}
	}
	return m
}

// String names the file in messages.
func (id FileID) String() string {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(id))
	const hex = "0123456789abcdef"
	var s [16]byte
	for i, c := range b {
		s[2*i], s[2*i+1] = hex[c>>4], hex[c&15]
	}
	return string(s[:])
}
