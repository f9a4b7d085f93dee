package agent

import (
	"slices"
	"sync"
	"time"

	"shiplog/agent/checkpoint"
	"shiplog/shipper"
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
	horizon horizon
	moved   []checkpoint.Horizon // what belongs to the last take; nil if they are as before
	over    chan struct{}        // closed when the next save is over
	// committed returns the number of the last transaction; nil where records are
	// not sent in transactions. gone are then the files that were removed since the
	// last call of after.
	committed func() uint64
	gone      []tailer.FileID
}

// account is one file in the ledger.
type account struct {
	entry     checkpoint.Entry
	prefix    checkpoint.Prefix
	read      int64 // end of what was handed over
	lastAck   time.Time
	acked     meter           // raw bytes
	ends      map[int64]proof // of blocks acknowledged before their predecessors
	handed    []handedBlock   // not covered by the prefix, in order
	forgotten bool            // to be removed once all of it is acknowledged
	saved     bool            // an entry of it is on disk, or could not be written
	// sent is what earlier runs are known to have sent beyond the prefix, in
	// order. It is replaced, never changed.
	sent    []checkpoint.Sent
	rewound uint32 // Block.Epoch of those that count: what was read before a rewind does not
	dropped bool   // nothing of it counts any more
}

// handedBlock is a block on its way, or acknowledged before its predecessors.
type handedBlock struct {
	end   int64
	epoch *epoch   // that it holds
	more  []*epoch // of further topics; nil for nearly all
}

// proof is what identifies a file at the end of a block.
type proof struct {
	head, tail checkpoint.Mark
	seen       time.Time
	parser     []byte // the parser's state there; nil: as it was before the block
	sent       []checkpoint.Sent
}

func newLedger(entries []checkpoint.Entry, now func() time.Time) *ledger {
	l := &ledger{now: now, files: map[tailer.FileID]*account{}, dirty: map[tailer.FileID]bool{}, horizon: newHorizon(), over: make(chan struct{})}
	for _, e := range entries {
		id := tailer.FileID(e.ID)
		if !e.Gone.IsZero() && now().Sub(e.Gone) > forgetAfter {
			l.removed = append(l.removed, e.ID)
			continue
		}
		l.files[id] = &account{entry: e, prefix: checkpoint.NewPrefix(e.Offset), read: e.Offset, saved: true, sent: e.Ahead}
	}
	return l
}

// resume returns what the tailer has to know of the files of earlier runs.
func (l *ledger) resume() []tailer.State {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make([]tailer.State, 0, len(l.files))
	for _, a := range l.files {
		out = append(out, tailerState(&a.entry))
	}
	return out
}

// size returns how many files there are.
func (l *ledger) size() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.files)
}

// handed notes that a block is about to be handed over, for these topics; none
// where nothing of it is sent. It reports whether its file and they were saved.
func (l *ledger) handed(b *tailer.Block, topics ...string) (saved bool) {
	if b.Volatile {
		return true // there is nothing to save
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.account(b)
	if a.stale(b) {
		return true
	}
	a.read = b.End
	if c := carried(b, b.End); c != nil && l.files[c.File] != nil {
		l.files[c.File].read = c.End
	}
	saved = a.saved
	for i, topic := range topics {
		e, ok := l.horizon.enter(topic, l.now())
		saved = saved && ok
		if i == 0 {
			a.handed = append(a.handed, handedBlock{end: b.End, epoch: e})
			continue
		}
		last := &a.handed[len(a.handed)-1]
		last.more = append(last.more, e)
	}
	return saved || l.committed != nil // Kafka gets the entry with the records
}

// carried returns what of the file before is settled with the block's bytes up
// to end; nil for nearly all.
func carried(b *tailer.Block, end int64) *tailer.Carry {
	if len(b.Entries) == 0 || b.Entries[0].End > end {
		return nil
	}
	return b.Entries[0].Carry
}

// stale reports whether b was read before the file was set back, or forgotten:
// what became of it says nothing about what is to be read now.
func (a *account) stale(b *tailer.Block) bool { return a.dropped || b.Epoch != a.rewound }

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

// resumed returns what earlier runs leave for who goes on with the file: what its
// parser has to know at the end of the acknowledged prefix, and what was sent
// beyond that.
func (l *ledger) resumed(id tailer.FileID) (parser []byte, sent []checkpoint.Sent) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if a := l.files[id]; a != nil {
		return a.entry.Parser, a.sent
	}
	return nil, nil
}

// begin notes what the run before this one sent, as Kafka has it, and where the
// topics end, before anything of this run is sent. One take has both. since is
// from when on a topic of an earlier run is looked at that was not used since.
func (l *ledger) begin(sent map[tailer.FileID][]checkpoint.Sent, ends shipper.Offsets, since map[string]time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, more := range sent {
		if a := l.files[id]; a != nil && len(more) > 0 {
			a.sent = sortSent(slices.Concat(a.sent, more))
			l.dirty[id] = true
		}
	}
	for topic, ps := range ends {
		at, ok := since[topic]
		if !ok {
			at = l.now()
		}
		l.horizon.begin(topic, ps, at)
	}
}

// meet notes topics that something is sent to from now on, with their ends, where
// these are known.
func (l *ledger) meet(topics []string, ends shipper.Offsets) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, topic := range topics {
		if l.horizon.topics[topic] == nil { // still
			l.horizon.begin(topic, ends[topic], l.now())
		}
	}
}

// unbegun returns those of the topics that begin was not told of.
func (l *ledger) unbegun(topics []string) (fresh []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, topic := range topics {
		if l.horizon.topics[topic] == nil {
			fresh = append(fresh, topic)
		}
	}
	return fresh
}

// learned notes where the topics end now.
func (l *ledger) learned(ends shipper.Offsets) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.horizon.learned(ends)
}

// landed notes where records of a batch were acknowledged.
func (l *ledger) landed(landings []shipper.Landing) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, at := range landings {
		l.horizon.landed(at)
	}
}

// settled notes that the block's bytes up to end are acknowledged, dead-lettered
// or nothing to ship. parser is the parser's new state at end, nil if it has not
// changed in the block. It reports whether these bytes lie beyond the prefix. An
// entry that began in the file before settles that file's part at the same
// instant, so that no save divides them.
func (l *ledger) settled(b *tailer.Block, end int64, parser []byte) (ahead bool) {
	if b.Volatile || end <= b.Start {
		return false
	}
	at := proof{head: checkpoint.Mark(b.Head), tail: checkpoint.Mark(b.Tail(end)), seen: time.Unix(0, b.Seen), parser: parser}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.account(b).stale(b) {
		return false
	}
	if c := carried(b, end); c != nil && l.files[c.File] != nil {
		l.settle(c.File, c.Start, c.End, proof{head: checkpoint.Mark(c.Head), tail: checkpoint.Mark(c.Tail), seen: time.Unix(0, c.Seen)})
	}
	return l.settle(b.File, b.Start, end, at)
}

// settle is settled for a range of a file that has an account, whose content at
// end is at.
func (l *ledger) settle(id tailer.FileID, start, end int64, at proof) (ahead bool) {
	a, parser := l.files[id], at.parser
	if a.dropped { // in between: what went on from it into its successor
		return false
	}
	before := a.prefix.End()
	if !a.prefix.Ack(start, end) {
		if end > a.prefix.End() {
			if a.ends == nil {
				a.ends = map[int64]proof{}
			}
			a.ends[end] = at
			return true
		}
		return false
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
	a.acked.add(a.prefix.End()-before, a.lastAck)
	a.release()
	l.dirty[id] = true
	l.dropForgotten(id, a)
	return false
}

// release lets go of the epochs of blocks that the prefix covers.
func (a *account) release() {
	n := 0
	for n < len(a.handed) && a.handed[n].end <= a.prefix.End() {
		a.handed[n].epoch.open--
		for _, e := range a.handed[n].more {
			e.open--
		}
		n++
	}
	// In place: slicing the front off would have each block allocate anew.
	a.handed = slices.Delete(a.handed, 0, n)
}

// keep holds on to records that are acknowledged but beyond the prefix, which
// end at offset end or before, until the prefix reaches there.
func (l *ledger) keep(id tailer.FileID, end int64, sent []checkpoint.Sent) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.files[id]
	if a == nil || end <= a.prefix.End() {
		return
	}
	if a.ends == nil {
		a.ends = map[int64]proof{}
	}
	at := a.ends[end]
	at.sent = sent
	a.ends[end] = at
}
