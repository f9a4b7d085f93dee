package tailer

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// EventKind is what happened to a file.
type EventKind string

const (
	// Found: a file that was never seen before. Its State says where it begins.
	Found EventKind = "found"
	// Glimpsed: more of the first bytes is known of a file of which nothing was
	// read yet, so that it is found again whatever becomes of it.
	Glimpsed EventKind = "glimpsed"
	// Resumed: a file of an earlier run goes on where it was.
	Resumed EventKind = "resumed"
	// Moved: the file has another path, inode or device than before.
	Moved EventKind = "moved"
	// Rotated: the file has lost its name; its successor waits for it.
	Rotated EventKind = "rotated"
	// HowRotated: it is known how the file lost its name or its bytes; see
	// Event.Rotation. Told once for each way: a renamed file may be compressed
	// later.
	HowRotated EventKind = "how-rotated"
	// Replaced: truncated or written anew; what is there now is another file.
	Replaced EventKind = "replaced"
	// Finished: a rotated file is read to its end.
	Finished EventKind = "finished"
	// Vanished: the file is nowhere. Lost says how many bytes of it were seen
	// and never read.
	Vanished EventKind = "vanished"
	// Forgotten: the file was deleted, read to its end, and cannot come back.
	Forgotten EventKind = "forgotten"
	// Rewound: the file was set back to the State's offset, by Rewind.
	Rewound EventKind = "rewound"
	// Dropped: the file was taken out of the books, by Drop.
	Dropped EventKind = "dropped"
	// Retired: no input asks for the file any more. Lost says how many bytes of it
	// were seen and not read; they are read when one asks for it again.
	Retired EventKind = "retired"
	// Unreadable and Readable: the file cannot be read, for the reason Err, and
	// can again.
	Unreadable EventKind = "unreadable"
	Readable   EventKind = "readable"
	// Cut: a line was longer than Input.MaxLineBytes; said at the first of a file.
	Cut EventKind = "cut"
)

// Rotation is a way in which a file loses its name, or its bytes.
type Rotation string

const (
	// Renamed: it has another name, or lies in another folder.
	Renamed Rotation = "renamed"
	// CopiedTruncated: it was copied and then truncated (logrotate's
	// copytruncate). It is read on in the copy. Event.Lost are the bytes that
	// were seen and are in no copy; From and To, the time between copy and
	// truncation, in which more may have been written that nobody can read.
	CopiedTruncated Rotation = "copied-truncated"
	// Overwritten: truncated or written anew, and there is no copy. Event.Lost
	// are the bytes that were seen and not read.
	Overwritten Rotation = "truncated"
	// Compressed: there is only a compressed form of it.
	Compressed Rotation = "compressed"
	// Deleted: it is nowhere.
	Deleted Rotation = "deleted"
)

// Event tells of a change to a file.
type Event struct {
	Kind  EventKind
	File  State
	Input *Input // that the file is read by; not to be changed
	Lost  int64  // bytes
	Err   error
	// Of HowRotated:
	Rotation Rotation
	From, To time.Time
	// Epoch is that of the blocks that come after a Rewound.
	Epoch uint32
}

// Status is how one file stands.
type Status struct {
	ID       FileID
	Input    *Input // that it is read by; not to be changed
	Path     string
	Origin   string
	State    string // reading, idle, waiting, finished, unreadable, missing, pipe
	Reason   string // why it is not being read, if it is not
	Size     int64  // bytes, at the last look
	Disk     int64  // bytes that it takes on disk; of a compressed file, not those of Size
	Read     int64  // offset up to which it was handed over
	Pending  int64  // bytes at its end that make no complete entry yet, and wait for the rest
	Open     bool
	Deleted  bool
	LastRead time.Time // when bytes were last read
	CutLines int64     // lines cut to the limit
	Encoding string    // what it is encoded in, "" as long as that is not known
	Failed   int64     // how often reading it failed
	Invalid  int64     // how often bytes were no text in that encoding, and became U+FFFD; not counted in UTF-8
	Rotated  bool      // its name is another's now, or nobody's
	Here     bool      // it is known where it lies
	Packed   bool      // it is compressed; Size and Read are of the stream in it
	Dev, Ino uint64    // as in State
	Found    time.Time // when it was found first
}

// statusBoard is what others see of the tailer: written by its owner once a
// turn, read by anyone.
type statusBoard struct {
	mu    sync.Mutex
	files map[FileID]Status
	errs  map[string]string // paths and folders without a file behind them

	turned atomic.Int64  // when the owner last looked around, unix nanoseconds
	posts  atomic.Uint64 // how often a file was posted, or taken off
}

func (b *statusBoard) init() {
	b.files, b.errs = map[FileID]Status{}, map[string]string{}
}

// set enters how a file stands.
func (b *statusBoard) set(id FileID, s Status) {
	b.mu.Lock()
	b.files[id] = s
	b.mu.Unlock()
	b.posts.Add(1)
}

// Files returns how each file stands, sorted by path. It may be called at any
// time from anywhere.
func (t *Tailer) Files() []Status {
	t.status.mu.Lock()
	defer t.status.mu.Unlock()
	out := make([]Status, 0, len(t.status.files))
	for _, s := range t.status.files {
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b Status) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.ID, b.ID))
	})
	return out
}

// Each calls fn with the status of each file, in no order. It may be called at
// any time from anywhere; fn must neither block nor call the Tailer, and what it
// is given is its own only while it runs.
func (t *Tailer) Each(fn func(*Status)) {
	t.status.mu.Lock()
	defer t.status.mu.Unlock()
	var s Status // one for all: what escapes is allocated
	for _, s = range t.status.files {
		fn(&s)
	}
}

// Posts returns a number that is another one as soon as Each tells something new.
func (t *Tailer) Posts() uint64 { return t.status.posts.Load() }

// File returns how one file stands, and whether it is known.
func (t *Tailer) File(id FileID) (Status, bool) {
	t.status.mu.Lock()
	defer t.status.mu.Unlock()
	s, ok := t.status.files[id]
	return s, ok
}

// LastTurn returns when Run last looked after its files, which it does at least
// once in two seconds whatever the disks do; zero before it began.
func (t *Tailer) LastTurn() time.Time {
	if at := t.status.turned.Load(); at != 0 {
		return time.Unix(0, at)
	}
	return time.Time{}
}

// Unreadable returns the paths that were asked for and cannot be looked at at
// all, with the reason.
func (t *Tailer) Unreadable() map[string]string {
	t.status.mu.Lock()
	defer t.status.mu.Unlock()
	out := make(map[string]string, len(t.status.errs))
	for p, e := range t.status.errs {
		out[p] = e
	}
	return out
}

// post puts the file's status on the board. Only between turns.
func (t *Tailer) post(f *file) {
	s := Status{
		ID: f.src.id, Input: &f.src.in.Input, Path: f.src.path, Origin: f.src.origin, Size: f.size, Disk: f.raw, Read: f.src.off,
		Open: f.src.f != nil, Deleted: f.here && f.src.f != nil && f.links == 0 && !f.mtime.IsZero(), LastRead: f.grown, CutLines: f.cuts,
		Failed: f.failures, Invalid: f.invalid, Rotated: f.displaced, Here: f.here, Packed: f.packed, Dev: f.src.key.dev, Ino: f.src.key.ino, Found: time.Unix(0, f.found),
	}
	if d := f.src.gathering.decoder; d != nil {
		s.Encoding = d.name
	}
	switch {
	case f.fault != nil:
		s.State, s.Reason = "unreadable", f.fault.Error()
	case !f.here:
		s.State, s.Reason = "missing", "not found under its name or beside it"
	case f.finished:
		s.State = "finished"
	case f.queued || f.busy || f.src.off < f.size:
		s.State = "reading"
		if p := t.predecessor(f); p != nil {
			s.State, s.Reason = "waiting", "its predecessor "+p.src.path+" is not finished"
		}
	default:
		s.State = "idle"
	}
	if s.State == "reading" && !f.queued && !f.busy && !f.wake {
		s.State, s.Reason, s.Pending = "idle", "its last entry is not complete: it waits for the rest, or for a newline", f.size-f.src.off
	}
	t.status.set(f.src.id, s)
}

func (t *Tailer) unpost(id FileID) {
	t.status.mu.Lock()
	delete(t.status.files, id)
	t.status.mu.Unlock()
	t.status.posts.Add(1)
}

// postErrors replaces the list of paths without a file behind them, and logs what is
// new in it.
func (t *Tailer) postErrors(errs map[string]string) {
	t.status.mu.Lock()
	before := t.status.errs
	t.status.errs = errs
	t.status.mu.Unlock()
	bad, over := notIn(errs, before), notIn(before, errs)
	for _, path := range bad[:min(len(bad), errorsTold)] {
		t.log.Warn("it cannot be looked at; it is tried again [file-unreadable]", "path", path, "error", errs[path])
	}
	if more := len(bad) - errorsTold; more > 0 {
		t.log.Warn("others cannot be looked at either: the status has them [file-unreadable]", "paths", more)
	}
	for _, path := range over[:min(len(over), errorsTold)] {
		t.log.Info("it can be looked at again, or is gone", "path", path)
	}
}

// notIn returns the keys of a that b does not have, sorted.
func notIn(a, b map[string]string) (out []string) {
	for key := range a {
		if _, there := b[key]; !there {
			out = append(out, key)
		}
	}
	slices.Sort(out)
	return out
}

// errorsTold bounds how many paths one scan logs that it cannot look at: the status
// has all.
const errorsTold = 20

// tell reports an event of f. Only between turns.
func (t *Tailer) tell(kind EventKind, f *file, lost int64, err error) {
	t.o.OnEvent(Event{Kind: kind, File: f.state(), Input: &f.src.in.Input, Lost: lost, Epoch: f.src.epoch, Err: err})
}

// tellHow reports how f was rotated, unless that is what was told last.
func (t *Tailer) tellHow(how Rotation, f *file, lost int64, from, to time.Time) {
	if f.how != how {
		f.how = how
		t.o.OnEvent(Event{Kind: HowRotated, File: f.state(), Input: &f.src.in.Input, Lost: lost, Rotation: how, From: from, To: to})
	}
}
