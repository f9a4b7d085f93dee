package tailer

import "slices"

// wakeLater gives the file a turn at the next wake-up: its writer is likely to
// write more until then.
func (t *Tailer) wakeLater(f *file) {
	if f.queued && !f.last || f.wake {
		return
	}
	f.wake = true
	if !f.busy {
		t.woken = append(t.woken, f)
	}
}

// wakeAll makes the woken files ready, and the held ones try again.
func (t *Tailer) wakeAll() {
	woken := t.woken
	t.woken = t.woken[:0]
	for _, f := range woken {
		if f.wake {
			t.wakeNow(f)
		}
	}
	t.retryHeld()
}

// retryHeld puts the files that were not admitted back into the queue.
func (t *Tailer) retryHeld() {
	t.ready = append(t.ready, t.held...)
	t.held = t.held[:0]
}

// wakeNow puts the file at the end of the queue for a turn.
func (t *Tailer) wakeNow(f *file) {
	if f.busy {
		f.wake = true
		return
	}
	f.wake = false
	if !f.queued || f.last {
		f.queued, f.last = true, false
		t.ready = append(t.ready, f)
	}
}

// wakeLast gives a file a turn in which nothing is to be read, as far as is known,
// when no other wants one: a start with many files first ships what is new.
func (t *Tailer) wakeLast(f *file) {
	if !f.busy && !f.queued {
		f.queued, f.last = true, true
		t.last = append(t.last, f)
	}
}

// lastEvery is how many turns of others one that was put last waits at most, if
// they never end.
const lastEvery = 8

// takeLast moves a file that was put last to the others, if it is its turn.
func (t *Tailer) takeLast() {
	for len(t.last) > 0 && (len(t.ready) == 0 || t.turns%lastEvery == 0) {
		f := t.last[0]
		t.last[0] = nil
		if t.last = t.last[1:]; f.last { // else it was woken meanwhile
			f.last = false
			t.ready = slices.Insert(t.ready, 0, f)
			t.turns++
			return
		}
	}
}

// nextReady returns the file whose turn it is, or one that is to be glimpsed at.
// Files that may not go on leave the queue.
func (t *Tailer) nextReady() (f *file, glimpse bool) {
	for t.takeLast(); len(t.ready) > 0; t.takeLast() {
		f := t.ready[0]
		switch {
		case !f.here:
			t.popReady()
			f.queued = false // woken when it is found
		case t.predecessor(f) != nil:
			if f.unglimpsed() {
				return f, true
			}
			t.popReady()
			f.queued = false // woken when its predecessor is finished
			t.post(f)
		case t.reading[f.src.stream]:
			t.popReady()
			t.blocked = append(t.blocked, f)
		case !t.o.Admit(f.src.stream):
			if f.unglimpsed() {
				return f, true
			}
			fallthrough
		case !t.mayUnpack(f):
			t.popReady()
			t.held = append(t.held, f)
		default:
			return f, false
		}
	}
	return nil, false
}

func (t *Tailer) popReady() {
	t.ready[0] = nil
	t.ready = t.ready[1:]
}
