package tailer

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// input is an Input in use. All but what is marked does not change.
type input struct {
	Input
	form form

	// Of the tailer's owner: whether all that was there when the input was asked
	// for has been met, and what was asked for before that; nil: nothing.
	scanned bool
	before  *matcher
}

// newInput takes an input into use, whose defaults are filled in.
func newInput(in *Input, before *matcher) (*input, error) {
	f, err := newForm(in)
	if err != nil {
		return nil, fmt.Errorf("input %s: %w", in.Name, err)
	}
	return &input{Input: *in, form: f, before: before}, nil
}

// fromEnd reports whether a file that is met under name now begins at its end:
// it was there when the input was asked for, and nothing had asked for it before.
func (in *input) fromEnd(name string) bool {
	if !in.FromEnd || in.scanned {
		return false
	}
	if in.before == nil {
		return true
	}
	_, wanted := in.before.input(name)
	return !wanted
}

// Inputs are what Reconfigure puts in the place of what Options said.
type Inputs struct {
	// Inputs are all of them, in order. One whose Tag is that of an input in use
	// is that input, unchanged; the rest of it is not looked at then. A Tag that
	// is nil is no input's.
	Inputs         []Input
	RescanInterval time.Duration // as in Options
	MaxOpenFiles   int           // as in Options
}

// reconfiguration is a checked request.
type reconfiguration struct {
	Inputs
	done chan error // has room for one
}

// Reconfigure has files found and read as now said, without a file being read
// again. It may be called from anywhere while Run runs. What is handed over
// after it has returned is read by the new inputs, except for blocks that were
// on their way: a file that is having its turn takes its new input up after it.
//
// A file whose input has changed goes on at its offset. Its open entry begins
// there, and so is looked at anew, by the new input. A file that no input asks
// for any more is closed and kept in mind (the event is Retired): when it is
// asked for again, or at another path, it goes on where it was. Its error is of
// an input that is not valid; then nothing has changed.
func (t *Tailer) Reconfigure(ctx context.Context, to Inputs) error {
	if t.o.Once {
		return errors.New("a tailer that reads once keeps its inputs")
	}
	o := Options{Inputs: to.Inputs, RescanInterval: to.RescanInterval, MaxOpenFiles: to.MaxOpenFiles}
	o.fill()
	for i := range o.Inputs {
		if _, err := newInput(&o.Inputs[i], nil); err != nil {
			return err
		}
	}
	if _, err := newMatcher(o.Inputs); err != nil {
		return err
	}
	r := reconfiguration{Inputs{o.Inputs, o.RescanInterval, o.MaxOpenFiles}, make(chan error, 1)}
	select {
	case t.reconfigurations <- r:
	case <-t.stopped:
		return ErrStopped
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-r.done:
		return err
	case <-t.stopped:
		return ErrStopped
	}
}

// reconfigure is Reconfigure, by the owner.
func (t *Tailer) reconfigure(to *Inputs, scan *time.Ticker) error {
	m, err := newMatcher(to.Inputs)
	if err != nil {
		return err
	}
	inputs := make([]*input, len(to.Inputs))
	for i := range to.Inputs {
		if inputs[i] = t.inUse(to.Inputs[i].Tag); inputs[i] != nil {
			continue
		}
		if inputs[i], err = newInput(&to.Inputs[i], t.matcher); err != nil {
			return err
		}
	}
	t.inputs, t.matcher = inputs, m
	t.o.RescanInterval, t.o.MaxOpenFiles = to.RescanInterval, to.MaxOpenFiles
	scan.Reset(t.o.RescanInterval)
	for _, f := range t.byID {
		t.readdress(f)
	}
	t.readdressPipes()
	for id, r := range t.retired {
		if in := t.wanting(r.Origin, r.Path); in != nil {
			delete(t.retired, id)
			t.unretire(r, in)
		}
	}
	clear(t.doubtful)
	t.limitOpen()
	// As at the start: what is there is met, and what is not is looked for.
	t.scanned, t.rescan, t.scanNotBefore = false, true, time.Time{}
	return nil
}

// inUse returns the input that has the tag.
func (t *Tailer) inUse(tag any) *input {
	for _, in := range t.inputs {
		if tag != nil && in.Tag == tag {
			return in
		}
	}
	return nil
}

// wanting returns the input that asks for a file: by the name under which it was
// found first, else by where it is now; nil where none does.
func (t *Tailer) wanting(origin, path string) *input {
	for _, name := range []string{origin, path} {
		if i, wanted := t.matcher.input(name); wanted {
			return t.inputs[i]
		}
	}
	return nil
}

// readdress gives a file to the input that asks for it now. During a turn of it,
// or of one that shares an entry with it, that has to wait.
func (t *Tailer) readdress(f *file) {
	in := t.wanting(f.src.origin, f.src.path)
	switch {
	case in == f.src.in:
		delete(t.stray, f)
	case f.busy || f.borrower != nil && f.borrower.busy || f.lender != nil && f.lender.busy:
		t.stray[f] = true
	case in == nil:
		t.retire(f)
	default:
		t.reread(f, in)
	}
}

// readdressStray tries again what had to wait for a turn.
func (t *Tailer) readdressStray() {
	for f := range t.stray {
		t.readdress(f)
	}
}

// reread has what follows the file's offset read by another input.
func (t *Tailer) reread(f *file, in *input) {
	delete(t.stray, f)
	if f.borrower != nil {
		t.revoke(f, false)
	}
	if f.lender != nil {
		t.revoke(f.lender, false)
	}
	s := &f.src
	if f.packed && f.links > 0 && s.limit != in.MaxLineBytes { // what is kept of the stream depends on it
		t.shut(f)
	}
	s.in, s.limit, s.gathering = in, in.MaxLineBytes, gathering{}
	s.fromEnd = s.fromEnd && in.FromEnd
	s.restart()
	f.final, f.keeps = false, false
	if f.here {
		t.wakeNow(f)
	}
	t.post(f)
}

// retired is a file that no input asks for.
type retired struct {
	State
	epoch uint32
}

// retire closes a file that no input asks for any more.
func (t *Tailer) retire(f *file) {
	delete(t.stray, f)
	t.endLoans(f)
	unread := int64(0)
	if f.here {
		unread = max(0, f.size-f.src.off)
	}
	t.retired[f.src.id] = retired{f.state(), f.src.epoch}
	t.tell(Retired, f, unread, nil)
	t.remove(f)
}

// unretire takes a file up again where it was. It is read once it is found.
func (t *Tailer) unretire(r retired, in *input) *file {
	f := t.takeUp(r.State, in)
	f.src.epoch = r.epoch
	t.post(f)
	return f
}

// adopt takes a retired file up again that lies at c now, a path at which nothing
// was known. Whether it is that file, its first turn proves.
func (t *Tailer) adopt(c *candidate, now time.Time) bool {
	for id, r := range t.retired {
		if (fileKey{r.Dev, r.Ino}) != c.key || r.Offset == 0 || c.info.Size() < r.Offset {
			continue
		}
		delete(t.retired, id)
		r.Origin, r.Path, r.Stream, r.Rotated, r.Gone = c.name, c.path, streamOf(c.name), false, false
		f := t.unretire(r, t.inputs[c.input])
		t.observe(f, c, now)
		return true
	}
	return false
}
