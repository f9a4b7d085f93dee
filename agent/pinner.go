package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"shiplog/tailer"
)

// pinner keeps rotated files that are not yet acknowledged by pins, and gives
// them up when they are. Its run goroutine looks at all files now and then, so
// that it needs to be told of nothing; it is told all the same, to be quick.
type pinner struct {
	stateDir string
	quota    atomic.Int64 // bytes that all pins may hold
	asked    atomic.Bool  // an input wants pins
	tailer   *tailer.Tailer
	ledger   *ledger
	log      *slog.Logger
	now      func() time.Time
	kick     chan struct{}

	work sync.Mutex // held while pins change, on disk or in the maps

	mu      sync.Mutex // guards what follows, for those who only look
	pins    map[tailer.FileID]*keptPin
	refused map[tailer.FileID]refusal
	denials int64 // files that were refused, since the start
}

// keptPin is a pin of this run.
type keptPin struct {
	pin
	origin string
	// done is the number of the first save of the checkpoint that had not begun
	// when the file was seen to be acknowledged; 0 while it is not.
	done int64
}

// refusal is a file that should be pinned and is not.
type refusal struct {
	path   string
	bytes  int64 // that a pin would hold
	reason string
}

// pinInterval is the least time between two looks, unless something happens.
const pinInterval = 100 * time.Millisecond

// newPinner reads the pins of earlier runs. What a crash left half made goes.
// Nothing that is wrong with them keeps the agent from starting.
func newPinner(stateDir string, quota int64, l *ledger, log *slog.Logger) *pinner {
	p := &pinner{
		stateDir: stateDir, ledger: l, log: log, now: time.Now, kick: make(chan struct{}, 1),
		pins: map[tailer.FileID]*keptPin{}, refused: map[tailer.FileID]refusal{},
	}
	p.quota.Store(quota)
	strange, err := sweepPins(stateDir)
	if err != nil {
		log.Error("what a crash left of pins cannot be removed [pin-stuck]", "error", err)
	}
	for _, path := range strange {
		log.Warn("a file among the pins is none, and is left alone: nothing tells what it is [pin-foreign]", "path", path)
	}
	pins, err := readPins(stateDir)
	if err != nil {
		log.Error("pins cannot be read [pin-unreadable]", "error", err)
	}
	for id, pin := range pins {
		p.pins[tailer.FileID(id)] = &keptPin{pin: pin, origin: string(pin.record.Raw)}
		if l.adopt(pin.entry(id), pin.record.Copied) {
			log.Warn("a pinned file is not in the checkpoint: it is read from where it was when it was pinned, some lines may be sent again [pin-unknown]",
				"path", Printable(string(pin.record.Raw)), "file", tailer.FileID(id).String(), "from", pin.record.Offset, "pin", pin.path)
		}
	}
	return p
}

// run looks at the files, about as often as the checkpoint is saved, until ctx
// ends.
func (p *pinner) run(ctx context.Context, every func() time.Duration, saves func() int64) {
	for {
		p.look(ctx, saves())
		select {
		case <-ctx.Done():
			return
		case <-time.After(max(every(), pinInterval)):
		case <-p.kick:
		}
	}
}

// soon has run look at once.
func (p *pinner) soon() {
	select {
	case p.kick <- struct{}{}:
	default:
	}
}

// everSaved is a number of saves after which all is durable.
const everSaved = int64(1) << 62

// look pins what has to be pinned and gives up what need not be any more. saves
// is how many saves of the checkpoint have begun and ended well so far: a pin
// goes only when the disk says that its file is acknowledged.
func (p *pinner) look(ctx context.Context, saves int64) {
	p.work.Lock()
	defer p.work.Unlock()
	if n, _ := p.held(); n == 0 && !p.asked.Load() {
		return
	}
	files := p.tailer.Files()
	slices.SortFunc(files, func(a, b tailer.Status) int { return a.Found.Compare(b.Found) }) // the oldest first
	acked := p.ledger.allProgress()
	live := map[tailer.FileID]bool{}
	for i := range files {
		f := &files[i]
		live[f.ID] = true
		at, known := acked[f.ID]
		if !known {
			continue
		}
		open := f.Size > at.offset
		switch kept := p.pins[f.ID]; {
		case kept != nil && !open && (f.State == "finished" || !f.Rotated && f.Here):
			p.release(f.ID, kept, saves)
		case kept != nil:
			kept.done = 0
			p.refresh(ctx, f, kept)
		case f.Rotated && f.Here && open && f.Input.Tag.(*route).input.Pin:
			p.keep(ctx, f)
		}
		if !open {
			p.settled(f.ID)
		}
	}
	p.dropLost(acked, live)
}

// dropLost gives up what belongs to files that are no more. A file is taken out
// of the ledger when it is acknowledged to its end and deleted, or at the
// user's wish.
func (p *pinner) dropLost(acked map[tailer.FileID]progress, live map[tailer.FileID]bool) {
	for id, kept := range p.snapshot() {
		if _, known := acked[id]; !known {
			p.unpin(id, kept)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for id := range p.refused {
		if !live[id] {
			delete(p.refused, id)
		}
	}
}

// snapshot returns a copy of the map of pins.
func (p *pinner) snapshot() map[tailer.FileID]*keptPin {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := make(map[tailer.FileID]*keptPin, len(p.pins))
	for id, k := range p.pins {
		out[id] = k
	}
	return out
}

// release gives a pin up once a save that began after the file was acknowledged
// has ended.
func (p *pinner) release(id tailer.FileID, kept *keptPin, saves int64) {
	const whole = 2 // the save under way may have begun before
	if kept.done == 0 {
		kept.done = saves + whole
	}
	if saves >= kept.done || saves == everSaved {
		p.unpin(id, kept)
	}
}

func (p *pinner) unpin(id tailer.FileID, kept *keptPin) {
	if err := kept.remove(); err != nil {
		p.log.Warn("a pin cannot be removed; it is tried again [pin-stuck]", "pin", kept.path, "error", err)
		return
	}
	p.mu.Lock()
	delete(p.pins, id)
	p.mu.Unlock()
	p.log.Info("a pin is given up: its file is acknowledged", "path", Printable(kept.origin), "file", id.String(), "bytes", kept.size)
}

// refresh follows a pinned file that grows.
func (p *pinner) refresh(ctx context.Context, f *tailer.Status, kept *keptPin) {
	more := kept.held(f.Size) - kept.size
	if more <= 0 {
		return
	}
	if kept.record.Copied && f.Path != kept.path {
		if !p.room(more) {
			p.refuse(f, more, p.full())
			return
		}
		if err := p.withContent(ctx, f, func(r io.ReaderAt) error { return kept.extend(r, f.Size) }); err != nil {
			p.refuse(f, more, fmt.Sprintf("what was added to it cannot be copied: %v", err))
			return
		}
	}
	p.mu.Lock()
	kept.size += more
	delete(p.refused, f.ID)
	p.mu.Unlock()
}

// keep pins a file: by a hard link, or by a copy of what is not acknowledged
// where the link is refused or the quota has no room for all of the file.
func (p *pinner) keep(ctx context.Context, f *tailer.Status) {
	e, known := p.ledger.entry(f.ID)
	if !known {
		return
	}
	n := pin{record: newPinRecord(&e, p.now()), path: pinPath(p.stateDir, e.ID), size: f.Size}
	n.record.Dev, n.record.Ino = f.Dev, f.Ino
	refused := errNoRoom
	switch {
	case f.Deleted:
		refused = fs.ErrNotExist
	case p.room(n.size):
		refused = n.link(f.Path)
	}
	switch {
	case refused == nil:
		p.kept(f, n, "hard link")
		return
	case errors.Is(refused, fs.ErrNotExist) && !f.Deleted, errors.Is(refused, tailer.ErrOtherFile):
		return // renamed this moment: the tailer will say where to
	}
	if f.Packed { // its bytes on disk are not those that offsets count
		p.refuse(f, n.size, fmt.Sprintf("it is compressed, and cannot be linked: %v", refused))
		return
	}
	n.record.Copied, n.record.From = true, max(0, e.Offset-proofBytes)
	if n.size = n.held(f.Size); !p.room(n.size) {
		p.refuse(f, n.size, p.full())
		return
	}
	if err := p.withContent(ctx, f, func(r io.ReaderAt) error { return n.copy(r, f.Size) }); err != nil {
		p.refuse(f, n.size, fmt.Sprintf("it can be neither linked (%v) nor copied (%v)", refused, err))
		return
	}
	p.kept(f, n, "copy")
}

// errNoRoom says that the quota keeps a file from being linked.
var errNoRoom = errors.New("no room for all of it") //nolint:gochecknoglobals // a constant that Go cannot express

// kept enters a new pin.
func (p *pinner) kept(f *tailer.Status, n pin, how string) {
	p.mu.Lock()
	p.pins[f.ID] = &keptPin{pin: n, origin: f.Origin}
	delete(p.refused, f.ID)
	p.mu.Unlock()
	p.log.Info("a rotated file is pinned until it is acknowledged", "path", Printable(f.Path), "file", f.ID.String(), "as", how, "bytes", n.size)
}

// withContent gives do the content of a file: by the descriptor that the tailer
// has, or by its path.
func (p *pinner) withContent(ctx context.Context, f *tailer.Status, do func(io.ReaderAt) error) error {
	content, err := p.tailer.Descriptor(ctx, f.ID)
	if err != nil && !f.Deleted {
		if content, err = openShared(f.Path); err == nil {
			if dev, ino, ierr := tailer.Identity(f.Path); ierr != nil || dev != f.Dev || ino != f.Ino {
				err = errors.Join(tailer.ErrOtherFile, ierr, content.Close())
			}
		}
	}
	if err != nil {
		return err
	}
	return errors.Join(do(content), content.Close())
}

// room reports whether the quota has room for so many bytes more.
func (p *pinner) room(bytes int64) bool {
	_, held := p.held()
	return held+bytes <= p.quota.Load()
}

// full says that it has not.
func (p *pinner) full() string {
	return fmt.Sprintf("the quota of %d bytes is used up", p.quota.Load())
}

// settled takes a file off the list of those that should be pinned.
func (p *pinner) settled(id tailer.FileID) {
	p.mu.Lock()
	delete(p.refused, id)
	p.mu.Unlock()
}

// forget gives up the pin of a file that is forgotten, and reports whether it
// had one.
func (p *pinner) forget(id uint64) (bool, error) {
	p.work.Lock()
	defer p.work.Unlock()
	was, err := removePin(p.stateDir, id)
	if err == nil {
		p.mu.Lock()
		delete(p.pins, tailer.FileID(id))
		p.mu.Unlock()
	}
	return was, err
}

// renew gives up a pin that does not hold all that follows offset: the next
// look makes another.
func (p *pinner) renew(id uint64, offset int64) error {
	p.mu.Lock()
	kept := p.pins[tailer.FileID(id)]
	p.mu.Unlock()
	if kept == nil || !kept.short(offset) {
		return nil
	}
	_, err := p.forget(id)
	p.soon()
	return err
}
