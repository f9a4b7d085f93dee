package tailer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"
)

// ErrUnknownFile says that the tailer follows no such file.
var ErrUnknownFile = errors.New("no such file is followed")

// ErrStopped says that the tailer no longer runs.
var ErrStopped = errors.New("reading has ended")

// request asks the tailer's owner to do something with a file between its turns.
type request struct {
	id    FileID
	do    func(t *Tailer, f *file) error
	reply chan error // has room for one
}

// request has the owner carry do out between two turns of the file, and waits.
func (t *Tailer) request(ctx context.Context, id FileID, do func(*Tailer, *file) error) error {
	r := request{id, do, make(chan error, 1)}
	select {
	case t.requests <- r:
	case <-t.stopped:
		return ErrStopped
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-r.reply:
		return err
	case <-t.stopped:
		return ErrStopped
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Rewind sets the file back to offset, where a line begins and before which
// tail is the fingerprint of its bytes (see Proof.TailAt): what follows is read
// and handed over again. Blocks of before have an older epoch. The event
// Rewound comes before the first block. It may be called from anywhere while
// Run runs.
func (t *Tailer) Rewind(ctx context.Context, id FileID, offset int64, tail Mark) error {
	return t.request(ctx, id, func(t *Tailer, f *file) error {
		if offset > f.src.off {
			return fmt.Errorf("offset %d is beyond what was read (%d)", offset, f.src.off)
		}
		t.endLoans(f)
		f.src.rewind(offset, tail)
		if f.packed { // its decoder is beyond that
			t.shut(f)
		}
		f.finished, f.final, f.keeps = false, false, false
		if f.displaced {
			f.moved, f.stale = time.Now(), false
			t.watched[f] = true
		}
		t.tell(Rewound, f, 0, nil)
		if f.here {
			t.wakeNow(f)
		}
		t.post(f)
		return nil
	})
}

// Drop takes a file out of the books, as if it had never been seen: what lies
// under a name that a pattern matches is met anew, from its beginning. The event
// is Dropped.
func (t *Tailer) Drop(ctx context.Context, id FileID) error {
	return t.request(ctx, id, func(t *Tailer, f *file) error {
		t.endLoans(f)
		t.tell(Dropped, f, 0, nil)
		t.remove(f)
		t.rescan = true
		return nil
	})
}

// remove closes a file and takes it out of the books.
func (t *Tailer) remove(f *file) {
	t.shut(f)
	t.unplace(f)
	delete(t.byID, f.src.id)
	delete(t.watched, f)
	delete(t.sought, f)
	delete(t.undecided, f)
	delete(t.stray, f)
	f.here, f.finished = false, true
	t.dequeue(f)
	t.leaveStream(f)
	t.unpost(f.src.id)
}

// endLoans has nothing of f go on in its successor, nor in it what its
// predecessor leaves open.
func (t *Tailer) endLoans(f *file) {
	if f.borrower != nil {
		t.revoke(f, true)
	}
	if f.lender != nil {
		t.revoke(f.lender, true)
	}
}

// dequeue takes a file out of all that waits.
func (t *Tailer) dequeue(f *file) {
	is := func(g *file) bool { return g == f }
	t.ready, t.held = slices.DeleteFunc(t.ready, is), slices.DeleteFunc(t.held, is)
	t.blocked, t.woken = slices.DeleteFunc(t.blocked, is), slices.DeleteFunc(t.woken, is)
	t.last = slices.DeleteFunc(t.last, is)
	f.queued, f.last, f.wake = false, false, false
}

// Descriptor returns a descriptor of its own for a file that is open here, so
// that one without a name can still be copied. The caller closes it.
func (t *Tailer) Descriptor(ctx context.Context, id FileID) (*os.File, error) {
	got := make(chan *os.File, 1) // one that nobody takes any more is closed by its finalizer
	err := t.request(ctx, id, func(_ *Tailer, f *file) error {
		if f.src.f == nil {
			return fmt.Errorf("%s is not open", f.src.path)
		}
		p, ok := f.src.f.(plain)
		if !ok {
			return fmt.Errorf("%s is compressed", f.src.path)
		}
		d, err := duplicate(p.File)
		if err == nil {
			got <- d
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return <-got, nil
}

// requested carries a request out, or keeps it until the file's turn is over.
func (t *Tailer) requested(r request) {
	f := t.byID[r.id]
	switch {
	case f == nil:
		r.reply <- ErrUnknownFile
	case f.busy:
		f.requests = append(f.requests, r)
	case f.borrower != nil && f.borrower.busy: // an entry divides into both
		f.borrower.requests = append(f.borrower.requests, r)
	case f.lender != nil && f.lender.busy:
		f.lender.requests = append(f.lender.requests, r)
	default:
		r.reply <- r.do(t, f)
	}
}

// carryOut does what was asked for while the file had its turn.
func (t *Tailer) carryOut(f *file) {
	rs := f.requests
	f.requests = nil
	for _, r := range rs {
		t.requested(r)
	}
}

// rewind moves the source back. What was known of the file's beginning stays:
// it is true wherever the offset is.
func (s *source) rewind(offset int64, tail Mark) {
	s.off = offset
	s.restart()
	s.trail = slices.DeleteFunc(s.trail, func(w waymark) bool { return w.off > offset })
	s.gathering.flush, s.gathering.lend = false, false
	s.tail, s.tailMark = s.tail[:0], tail
	s.proved = time.Time{}
	s.epoch++
}
