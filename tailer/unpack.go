package tailer

import (
	"fmt"
	"time"
)

const (
	// incompleteWait is how long a compressed file that ends too early may be
	// left alone by its writer before that is said to be a fault.
	incompleteWait = 30 * time.Second
	// unpackRest is how long an open compressed file may go without a turn
	// before its decoder is given to another: to go on later it has to be
	// unpacked from its beginning.
	unpackRest = 10 * time.Second
)

// mayUnpack reports whether the file may have its turn as far as decoders go:
// they take memory, so that there are no more of them than workers.
func (t *Tailer) mayUnpack(f *file) bool {
	if !f.packed || f.src.f != nil || len(t.unpacking) < t.o.Workers {
		return true
	}
	now := time.Now()
	for g := range t.unpacking {
		if !g.busy && now.Sub(g.lastTurn) > unpackRest {
			t.shut(g)
			return true
		}
	}
	return false
}

// tookUnpacking counts the decoder of a file after its turn. It closes one that
// has done its work, or is too many: what is compressed is known after the first
// turn only.
func (t *Tailer) tookUnpacking(f *file, done bool) {
	switch {
	case f.src.f == nil:
		delete(t.unpacking, f)
	case done:
		t.shut(f)
	case f.src.resting():
		delete(t.unpacking, f)
	case t.unpacking[f] || len(t.unpacking) < t.o.Workers:
		t.unpacking[f] = true
		f.lastTurn = time.Now()
	default:
		t.shut(f)
	}
}

// breaksOff parks a compressed file that was read as far as it can be unpacked.
// One that is still being written is looked at again; only one that nobody
// completes, or that is damaged, has a fault.
func (t *Tailer) breaksOff(f *file, r result, now time.Time) {
	t.note(f, r, now)
	t.shut(f)
	if r.damaged() || t.o.Once || f.fault != nil || now.Sub(f.mtime) > incompleteWait {
		t.failed(f, fmt.Errorf("%s, read up to byte %d of its uncompressed text: %w", f.src.path, f.src.off, r.broken), now)
		return
	}
	f.retry = min(max(2*f.retry, watchInterval), retryMax)
	f.nextLook = now.Add(f.retry)
	t.watched[f] = true
}

// rest takes a compressed file that is finished out of the hot set: nobody looks
// at it again unless a scan finds it changed.
func (t *Tailer) rest(f *file) {
	t.shut(f)
	delete(t.watched, f)
	if f.sealed != f.src.sealed { // for the next run
		f.sealed = f.src.sealed
		t.tell(Finished, f, 0, nil)
	}
}
