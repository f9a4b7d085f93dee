package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"

	"shiplog/agent/admin"
	"shiplog/agent/checkpoint"
	"shiplog/agent/config"
	"shiplog/tailer"
)

// Rewound is what a rewind did.
type Rewound struct {
	ID    string `json:"id"`
	Path  string `json:"path"`
	From  int64  `json:"from"`  // the offset of before
	To    int64  `json:"to"`    // the offset of now
	Bytes int64  `json:"bytes"` // that are sent again
}

// Forgotten is what was forgotten.
type Forgotten struct {
	ID     string `json:"id"`
	Path   string `json:"path"`
	Offset int64  `json:"offset"`             // up to which it had been acknowledged
	Unpin  bool   `json:"unpinned,omitempty"` // its pin was removed
}

// Rewind sets a file back: in its state, or through the agent that has that. c
// may be nil: the encoding of the file is then recognised.
func Rewind(ctx context.Context, dir string, c *config.Config, q admin.RewindRequest, log *slog.Logger) (Rewound, error) {
	out, err := rewindState(dir, c, q, log)
	if locked, ok := errors.AsType[*checkpoint.LockedError](err); ok {
		err = throughAgent(ctx, locked, "/state/rewind", q, &out)
	}
	return out, err
}

// Forget forgets a file: in its state, or through the agent that has that.
func Forget(ctx context.Context, dir string, q admin.FileRequest, log *slog.Logger) (Forgotten, error) {
	out, err := forgetState(dir, q, log)
	if locked, ok := errors.AsType[*checkpoint.LockedError](err); ok {
		err = throughAgent(ctx, locked, "/state/forget", q, &out)
	}
	return out, err
}

// throughAgent has the agent that holds the lock carry a change out.
func throughAgent(ctx context.Context, locked *checkpoint.LockedError, path string, q, out any) error {
	who := "another process"
	if locked.PID > 0 {
		who = fmt.Sprintf("process %d", locked.PID)
	}
	access, err := admin.ReadAccess(locked.Dir)
	if err == nil {
		err = access.Call(ctx, path, q, out)
	}
	if _, ok := errors.AsType[*admin.RefusedError](err); err == nil || ok {
		return err
	}
	return fmt.Errorf("%s is in use by %s, which cannot be asked: %w; stop it first, or give it an admin address [state-in-use]", locked.Dir, who, err)
}

// rewindState sets a file back in the state of an agent that does not run. Its
// error is a *checkpoint.LockedError where one runs.
func rewindState(dir string, c *config.Config, q admin.RewindRequest, log *slog.Logger) (Rewound, error) {
	var out Rewound
	err := changeState(dir, q.Name(), log, func(s *checkpoint.Store, e checkpoint.Entry) error {
		to, tail, err := rewindTarget(c, &e, q)
		if err != nil {
			return err
		}
		out = newRewound(&e, to)
		if p, err := readPin(pinPath(dir, e.ID)); err == nil && p.short(to) {
			if err := p.remove(); err != nil {
				return err
			}
		}
		e.Offset, e.Tail, e.Amended = to, checkpoint.Mark(tail), math.MaxUint64
		if to == 0 {
			e.Parser = nil
		}
		return s.Save([]checkpoint.Entry{e}, nil)
	})
	return out, err
}

// forgetState takes a file out of the state of an agent that does not run, and
// removes its pin. Its error is a *checkpoint.LockedError where one runs.
func forgetState(dir string, q admin.FileRequest, log *slog.Logger) (Forgotten, error) {
	var out Forgotten
	err := changeState(dir, q.Name(), log, func(s *checkpoint.Store, e checkpoint.Entry) error {
		out = Forgotten{ID: tailer.FileID(e.ID).String(), Path: e.Path, Offset: e.Offset}
		if err := s.Save(nil, []uint64{e.ID}); err != nil {
			return err
		}
		var err error
		out.Unpin, err = removePin(dir, e.ID) // after: a pin without an entry is read
		return err
	})
	return out, err
}

// changeState opens the state, changes one file in it, and leaves the mark of a
// clean end as it was.
func changeState(dir, name string, log *slog.Logger, change func(*checkpoint.Store, checkpoint.Entry) error) error {
	if _, err := checkpoint.ReadOnly(dir); err != nil { // Open would make it
		return err
	}
	s, err := checkpoint.Open(dir, checkpoint.Options{Log: log})
	if err != nil {
		return err
	}
	e, err := selectEntry(s.Entries(), name)
	if err != nil {
		err = fmt.Errorf("state in %s: %w", dir, err)
	} else {
		err = change(s, e)
	}
	return errors.Join(err, s.Release())
}

func newRewound(e *checkpoint.Entry, to int64) Rewound {
	return Rewound{ID: tailer.FileID(e.ID).String(), Path: e.Path, From: e.Offset, To: to, Bytes: e.Offset - to}
}

// rewindTarget returns the offset that a file is to be set back to, and the
// fingerprint of the bytes before it. The file is read for that, and has to be
// the one that the entry tells of.
func rewindTarget(c *config.Config, e *checkpoint.Entry, q admin.RewindRequest) (int64, tailer.Mark, error) {
	path := Printable(e.Path)
	none := tailer.Mark{}
	given := 0
	for _, is := range []bool{q.To != nil, q.Line != 0, q.Beginning} {
		if is {
			given++
		}
	}
	switch {
	case given != 1:
		return 0, none, errors.New("say where to: an offset, a line, or the beginning; one of them [wrong-usage]")
	case !e.Gone.IsZero():
		return 0, none, fmt.Errorf("%s is nowhere to be found: there is nothing to read again [file-gone]", path)
	}
	p, err := tailer.Prove(e.Path, tailerState(e))
	switch {
	case errors.Is(err, tailer.ErrOtherFile):
		return 0, none, fmt.Errorf("what lies at %s is not the content that is known as %s: it was rotated, truncated or written anew; start the agent, so that it finds the file again [file-changed]", path, tailer.FileID(e.ID))
	case errors.Is(err, fs.ErrNotExist):
		return 0, none, fmt.Errorf("%w; start the agent, so that it finds the file again where it is now [file-changed]", err)
	case err != nil:
		return 0, none, err
	}
	defer p.Close()
	if err := decodeAsRead(p, c, e.Origin); err != nil {
		return 0, none, err
	}
	offset, err := targetOffset(p, e, q)
	if err != nil {
		return 0, none, err
	}
	if pinned, err := readPin(e.Path); err == nil && pinned.short(offset) {
		return 0, none, fmt.Errorf("only the pin of %s is left, and that holds what follows offset %d [file-gone]", Printable(e.Origin), pinned.record.Offset)
	}
	tail, err := p.TailAt(offset)
	if errors.Is(err, tailer.ErrNotALine) {
		return 0, none, notALine(p, e, offset)
	}
	return offset, tail, err
}

// decodeAsRead has the lines of a file looked for as the input reads it that
// asks for origin.
func decodeAsRead(p *tailer.Proof, c *config.Config, origin string) error {
	if c == nil {
		return nil
	}
	inputs, err := tailerInputs(c)
	if err != nil {
		return err
	}
	m, err := tailer.Explain(inputs, origin)
	if err != nil || !m.Wanted {
		return err
	}
	return p.Decode(inputs[m.Input])
}

func targetOffset(p *tailer.Proof, e *checkpoint.Entry, q admin.RewindRequest) (int64, error) {
	path := Printable(e.Path)
	if q.Beginning {
		return 0, nil
	}
	if q.To != nil {
		switch {
		case *q.To < 0:
			return 0, fmt.Errorf("offset %d is below 0", *q.To)
		case *q.To > e.Offset:
			return 0, fmt.Errorf("offset %d is beyond %d, up to which %s is acknowledged: a rewind goes back only, and nothing is skipped", *q.To, e.Offset, path)
		}
		return *q.To, nil
	}
	if q.Line < 1 {
		return 0, fmt.Errorf("line %d: the first is 1", q.Line)
	}
	offset, lines, err := p.LineAt(q.Line, e.Offset)
	if err != nil {
		return 0, err
	}
	if offset < 0 {
		return 0, fmt.Errorf("line %d is not among those of %s that are acknowledged: the last begins as line %d", q.Line, path, lines)
	}
	return offset, nil
}

// notALine says where the next beginnings of lines are.
func notALine(p *tailer.Proof, e *checkpoint.Entry, offset int64) error {
	before, after, err := p.Around(offset, e.Offset)
	if err != nil {
		return err
	}
	return fmt.Errorf("offset %d of %s is not the beginning of a line; the next ones are %d and %d", offset, Printable(e.Path), before, after)
}

// rewind sets a file back while the agent runs.
func (a *Agent) rewind(ctx context.Context, q admin.RewindRequest) (Rewound, error) {
	e, err := selectEntry(a.ledger.entries(), q.Name())
	if err != nil {
		return Rewound{}, err
	}
	to, tail, err := rewindTarget(a.config(), &e, q)
	if err != nil {
		return Rewound{}, err
	}
	if err := a.tailer.Rewind(ctx, tailer.FileID(e.ID), to, tail); err != nil {
		return Rewound{}, fmt.Errorf("set %s back: %w", Printable(e.Path), err)
	}
	if err := a.pins.renew(e.ID, to); err != nil {
		a.log.Warn("a pin that no longer holds enough cannot be removed [pin-stuck]", "error", err)
	}
	return newRewound(&e, to), nil
}

// forgetFile takes a file out of the books while the agent runs.
func (a *Agent) forgetFile(ctx context.Context, q admin.FileRequest) (Forgotten, error) {
	e, err := selectEntry(a.ledger.entries(), q.Name())
	if err != nil {
		return Forgotten{}, err
	}
	err = a.tailer.Drop(ctx, tailer.FileID(e.ID))
	if errors.Is(err, tailer.ErrUnknownFile) { // no input asks for it any more
		a.ledger.event(tailer.Event{Kind: tailer.Dropped, File: tailerState(&e)})
		err = nil
	}
	if err != nil {
		return Forgotten{}, fmt.Errorf("forget %s: %w", Printable(e.Path), err)
	}
	a.saveSoon()
	out := Forgotten{ID: tailer.FileID(e.ID).String(), Path: e.Path, Offset: e.Offset}
	out.Unpin, err = a.pins.forget(e.ID)
	return out, err
}

// AfterForget says what becomes of a file at path that has been forgotten.
func AfterForget(c *config.Config, path string) (string, error) {
	inputs, err := tailerInputs(c)
	if err != nil {
		return "", err
	}
	m, err := tailer.Explain(inputs, path)
	switch {
	case err != nil:
		return "", err
	case !m.Wanted:
		return "no pattern matches its path: it is not read again", nil
	case c.Inputs[m.Input].Start == "end":
		return "it is found again with a new id, and sent from its beginning; if no agent runs now, from its end (start: end)", nil
	}
	return "it is found again with a new id, and sent from its beginning", nil
}
