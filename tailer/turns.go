package tailer

import (
	"container/list"
	"errors"
	"io/fs"
	"syscall"
	"time"
)

// openFiles holds the parked files that have a descriptor, the one longest
// unused first.
type openFiles struct {
	order list.List // of *file
	at    map[*file]*list.Element
}

func (o *openFiles) touch(f *file) {
	if o.at == nil {
		o.at = map[*file]*list.Element{}
	}
	if e := o.at[f]; e != nil {
		o.order.MoveToBack(e)
		return
	}
	o.at[f] = o.order.PushBack(f)
}

func (o *openFiles) remove(f *file) {
	if e := o.at[f]; e != nil {
		o.order.Remove(e)
		delete(o.at, f)
	}
}

// started notes that a worker has taken the first file of the queue.
func (t *Tailer) started(j job) {
	f := j.f
	t.popReady()
	t.turns++
	f.queued, f.busy = false, true
	if !j.glimpse {
		t.reading[f.src.stream] = true
	}
	t.running++
	t.open.remove(f)
}

// turned takes a file back after its turn and decides what becomes of it.
func (t *Tailer) turned(r result) {
	f, now := r.f, time.Now()
	f.busy = false
	delete(t.reading, f.src.stream)
	t.ready = append(t.ready, t.blocked...)
	t.blocked = t.blocked[:0]
	if heldNames && r.err == nil && r.raw > 0 && r.links == 0 && f.name != "" {
		f.links = 0
		t.loseName(f, now) // its folder still shows the name, and nothing can be asked of it
	}
	if f.src.f != nil {
		t.open.touch(f)
		t.limitOpen()
	}
	t.settleLoan(f, &r, now)
	if r.packed {
		t.tookUnpacking(f, r.whole && r.size == f.src.off)
	}
	switch {
	case r.verdict == replaced:
		t.replace(f, now)
		return
	case r.err != nil && isGone(r.err) && f.displaced && f.name == "" && !t.o.Once:
		t.shut(f) // renamed once more, compressed or removed
		t.lookFor(f)
	case r.err != nil:
		t.failed(f, r.err, now)
	case r.verdict == swapped:
		t.strayed(f, now)
	case r.broken != nil && !r.more:
		t.breaksOff(f, r, now)
	default:
		t.read(f, r, now)
	}
	t.catchUp(f, now)
	if f.wake && f.here {
		t.again(f)
	}
	t.post(f)
}

// again gives a file that was woken during its turn another one: at once if it
// has much to read, else together with what comes next.
func (t *Tailer) again(f *file) {
	f.wake = false
	t.wakeLater(f)
}

// catchUp carries out what a scan found while the file had its turn.
func (t *Tailer) catchUp(f *file, now time.Time) {
	noted, lostName := f.noted, f.lostName
	f.noted, f.lostName = nil, false
	if noted != nil && noted.key == f.src.key {
		t.observe(f, noted, now)
	} else if lostName {
		t.loseName(f, now)
	}
}

// read is turned for a turn without a fault.
func (t *Tailer) read(f *file, r result, now time.Time) {
	if f.fault != nil {
		f.fault = nil
		t.tell(Readable, f, 0, nil)
	}
	f.retry = 0
	t.note(f, r, now)
	if r.placed {
		t.tell(Found, f, 0, nil)
		r.more = true
	}
	f.final = false
	if f.borrower != nil {
		if t.overdue(f, now) {
			t.revoke(f, true)
		}
		return
	}
	switch {
	case r.lent != nil:
		t.lendTo(f, r.lent, now)
	case r.more:
		f.final = r.final
		t.wakeNow(f)
	case t.o.Once:
		t.finishOnce(f, r.final)
	case f.displaced:
		t.watch(f, r.final, now)
	case f.src.off < f.size && (f.src.gathering.open.lines > 0 || f.src.in.FlushPartialAfter > 0):
		t.watched[f] = true // until its time has come
	}
}

// note enters what a turn found into the books.
func (t *Tailer) note(f *file, r result, now time.Time) {
	f.size, f.raw, f.mtime, f.links, f.packed = r.size, r.raw, r.mtime, r.links, r.packed
	t.proved(f)
	f.wasSeen()
	if f.packed && !f.displaced { // what was compressed is written to no more
		f.displaced, f.moved, f.stale = true, now, true
		t.watched[f] = true
	}
	if r.read > 0 {
		f.grown, f.keeps, f.sweepAge = now, false, 0
		t.recent[f] = true
	}
	if r.cut > 0 {
		if f.cuts == 0 {
			t.tell(Cut, f, 0, nil)
		}
		f.cuts += int64(r.cut)
	}
	f.invalid += int64(r.invalid)
}

// finishOnce ends a file that is read once: what follows its last newline is a
// line too.
func (t *Tailer) finishOnce(f *file, final bool) {
	if f.src.off < f.size && !final {
		if !t.lends(f, 0) {
			f.final = true
			t.wakeNow(f)
		}
		return
	}
	if f.lender != nil { // there is nothing in it
		t.revoke(f.lender, true)
	}
	f.finished = true
	t.startSuccessor(t.streams[f.src.stream])
}

// watch decides on a rotated file that is at its end: whether its last line is
// waited for, its successor may start, it may be closed.
func (t *Tailer) watch(f *file, final bool, now time.Time) {
	quiet := now.Sub(later(f.grown, f.moved))
	if f.stale && now.Sub(f.mtime) > staleAfter {
		quiet = now.Sub(f.mtime) // nobody has written to it for long
	}
	wait := f.src.in.RotateWait
	unread := f.src.off < f.size
	if unread {
		quiet = min(quiet, now.Sub(time.Unix(0, f.src.gathering.heard)))
	}
	f.nextLook = now.Add(min(max(quiet/4, watchInterval), watchMax))
	due := wait
	if unread && !f.src.wholeLines(f.size) {
		due = max(wait, partialWait)
	}
	switch {
	case unread && !final && quiet >= due && !t.lends(f, quiet):
		f.final = true
		t.wakeNow(f)
	case unread && !final:
	case !f.finished && (quiet >= wait || final): // the last turn comes after the wait
		t.finish(f)
		if f.packed && f.links > 0 {
			t.rest(f)
		}
	case f.finished && f.links == 0 && quiet >= deletedWait:
		f.leaving = true
		t.lookFor(f)
	case f.finished && f.askedFrom != 0:
		t.lookFor(f) // now that it can be told what is a copy of it
	case f.finished && f.packed && f.links > 0:
		t.rest(f)
	}
}

// finish lets the file's successor start.
func (t *Tailer) finish(f *file) {
	f.finished, f.sealed = true, f.src.sealed
	t.tell(Finished, f, 0, nil)
	t.startSuccessor(t.streams[f.src.stream])
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// failed parks a file that cannot be read; it is tried again, ever less often.
func (t *Tailer) failed(f *file, err error, now time.Time) {
	f.failures++
	f.retry = min(max(2*f.retry, t.o.RescanInterval), retryMax)
	f.nextLook = now.Add(f.retry)
	t.watched[f] = true
	if f.fault == nil {
		f.moved = later(f.moved, now)
		t.tell(Unreadable, f, 0, err)
	}
	f.fault = err
	if _, packed := f.src.f.(*packedFile); packed {
		t.shut(f) // a decoder does not go on after an error
	}
	switch {
	case t.o.Once:
		f.finished = true
		t.startSuccessor(t.streams[f.src.stream])
	case isGone(err):
		t.shut(f) // a stale handle of a network file system never comes to life again
		t.rescan = true
		if f.name == "" {
			t.lookFor(f)
		}
	case f.displaced && !f.finished && now.Sub(f.moved) > unreadableWait:
		t.finish(f)
	}
}

// isGone reports whether err says that the file is no longer where it was.
func isGone(err error) bool { return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESTALE) }

// tend looks after the files for which time has to pass.
func (t *Tailer) tend(now time.Time) {
	for f := range t.watched {
		if f.busy || f.queued || !f.here {
			continue
		}
		switch {
		case f.fault != nil || f.displaced:
			if now.After(f.nextLook) {
				t.wakeNow(f)
			}
		case f.src.off < f.size && t.tendOpen(f, now):
		default:
			delete(t.watched, f)
		}
	}
}

// tendOpen has what is open at the end of a file handed over when its time has
// come. It is false where there is nothing to wait for.
func (t *Tailer) tendOpen(f *file, now time.Time) bool {
	in, g := f.src.in, &f.src.gathering
	quiet := now.Sub(time.Unix(0, g.heard))
	wait := in.JoinWait
	if !f.src.wholeLines(f.size) { // its writer is in the middle of a line
		wait = max(wait, partialWait)
	}
	switch {
	case in.FlushPartialAfter > 0 && min(quiet, now.Sub(f.grown)) >= in.FlushPartialAfter:
		f.final = true
		t.wakeNow(f)
	case g.open.lines > 0 && quiet >= wait:
		g.flush = true
		t.wakeNow(f)
	}
	return g.open.lines > 0 || in.FlushPartialAfter > 0
}

// wholeLines reports whether what is open ends with the end of a line.
func (s *source) wholeLines(size int64) bool {
	return s.gathering.open.lines > 0 && s.gathering.open.seen >= size
}

// limitOpen closes the files longest unused while too many are open. Rotated
// files stay open until they are finished, and deleted ones always: they have no
// name to be opened by again.
func (t *Tailer) limitOpen() {
	e := t.open.order.Front()
	for e != nil && t.open.order.Len() > t.o.MaxOpenFiles {
		f := e.Value.(*file)
		e = e.Next()
		if !f.busy && (!f.displaced || f.finished && f.links > 0) {
			t.shut(f)
			t.post(f)
		}
	}
}

// exhausted reports whether a run with Options.Once has read all there is.
func (t *Tailer) exhausted() bool {
	if !t.scanned || t.running > 0 || len(t.ready)+len(t.last)+len(t.held)+len(t.woken)+len(t.lost)+len(t.doubts) > 0 || t.looking || t.scanning || t.rescan || t.due {
		return false
	}
	for _, f := range t.byID {
		if f.here && !f.finished {
			return false
		}
	}
	return true
}
