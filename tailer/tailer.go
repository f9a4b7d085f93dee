package tailer

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	// wakeDelay gathers the events of a file into one turn, and busyDelay those of
	// files that are written to all the time: a wake-up within busyFor of another.
	// Where that brings less than sparseBytes, most of it is the price of waking up,
	// and sparseDelay gathers more.
	wakeDelay   = 5 * time.Millisecond
	busyDelay   = 12 * time.Millisecond
	sparseDelay = 30 * time.Millisecond
	busyFor     = 50 * time.Millisecond
	sparseBytes = 8 << 10
	// scanRest is how long folders are left alone after they were listed, as a
	// multiple of the time that took: a folder in which files come and go all
	// the time must not be listed all the time.
	scanRest = 4
	// watchInterval is how often rotated files are looked at while they are new,
	// and calmInterval how often the loop goes round while no file waits for time
	// to pass: each wake-up of an idle process costs.
	watchInterval = 200 * time.Millisecond
	calmInterval  = time.Second
	// heldInterval is how often a stream that was not admitted is asked for
	// again, beside Tailer.Nudge.
	heldInterval = 20 * time.Millisecond
)

// Tailer follows files. Everything in it except the mutex-guarded status
// belongs to the goroutine that runs Run.
type Tailer struct {
	o       Options
	log     *slog.Logger
	matcher *matcher
	waker   *waker
	reader  *reader
	inputs  []*input // as the matcher counts them

	byKey   map[fileKey]*file
	byName  map[string]*file // the file that has the name now
	byPath  map[string]*file // where it lies, for events
	ousted  []*file          // their names have gone to others; dealt with at the end of a scan
	byID    map[FileID]*file
	streams map[uint64][]*file // the files of a name, the oldest first

	ready   []*file          // wait for a worker, in turn
	last    []*file          // wait for a worker that no other file wants
	turns   uint             // begun so far
	held    []*file          // not admitted by Options.Admit
	reading map[uint64]bool  // streams of which a file has its turn: one at a time, so that order holds
	blocked []*file          // wait for another file of their stream to end its turn
	woken   []*file          // something happened to them; ready at the next wake-up
	watched map[*file]bool   // rotated, or waiting for time to pass
	running int              // turns under way
	open    openFiles        // parked files with a descriptor
	pipes   map[string]*pipe // by name

	unpacking map[*file]bool     // compressed files that are open
	retired   map[FileID]retired // no input asks for them
	stray     map[*file]bool     // have to be given to another input after a turn

	scanning, looking bool
	rescan            bool             // look everywhere
	due               bool             // the periodic scan
	unmet             bool             // a file that was found waits to be met by another scan
	recent            map[*file]bool   // grew not long ago
	dirty             map[string]bool  // folders to list
	births            map[fileKey]bool // of which files the next scan asks when they were made
	lost              []missing        // to look for next
	doubts            []doubt          // to judge next
	doubtful          map[fileKey]*doubtful
	undecided         map[*file]bool // to look for again: what was found was not complete
	sought            map[*file]bool // to look for, or being looked for
	scanStarted       time.Time
	scanNotBefore     time.Time
	scanned           bool // the first scan is in
	lastFound         int64

	jobs             chan job
	outcomes         chan result
	scans            chan scanRequest
	scanDone         chan scan
	looks            chan lookRequest
	lookDone         chan lookReply
	nudged           chan struct{}
	holding          atomic.Bool // somebody waits to be admitted
	requests         chan request
	stopped          chan struct{} // closed when Run has ended
	reconfigurations chan reconfiguration
	rounds           atomic.Uint64 // of loop

	status statusBoard
}

type job struct {
	f       *file
	final   bool
	glimpse bool // only what the file is known by
}

type result struct {
	job
	outcome
}

type scanRequest struct {
	dirs    map[string]bool  // nil: everywhere
	sweep   *sweep           // if everywhere: nil for all there is
	births  map[fileKey]bool // of which files it is asked when they were made
	matcher *matcher
}

// lookRequest asks for missing files, and what files are that may be copies.
type lookRequest struct {
	lost    []missing
	doubts  []doubt
	matcher *matcher
}

type lookReply struct {
	found  []found
	judged []judgement
}

// New returns a tailer. It touches no file before Run.
func New(o Options) (*Tailer, error) {
	o.fill()
	m, err := newMatcher(o.Inputs)
	if err != nil {
		return nil, err
	}
	t := &Tailer{
		o: o, log: o.Log, matcher: m,
		byKey: map[fileKey]*file{}, byName: map[string]*file{}, byPath: map[string]*file{}, byID: map[FileID]*file{},
		streams: map[uint64][]*file{}, reading: map[uint64]bool{}, watched: map[*file]bool{}, sought: map[*file]bool{}, dirty: map[string]bool{}, pipes: map[string]*pipe{}, unpacking: map[*file]bool{}, doubtful: map[fileKey]*doubtful{}, undecided: map[*file]bool{}, recent: map[*file]bool{},
		retired: map[FileID]retired{}, stray: map[*file]bool{}, reconfigurations: make(chan reconfiguration),
		// A worker need not wait for the loop, nor the loop for a worker: waking
		// the other costs more than many a turn.
		jobs: make(chan job, o.Workers), outcomes: make(chan result, 2*o.Workers),
		scans: make(chan scanRequest, 1), scanDone: make(chan scan, 1),
		looks: make(chan lookRequest, 1), lookDone: make(chan lookReply, 1), nudged: make(chan struct{}, 1),
		requests: make(chan request), stopped: make(chan struct{}),
	}
	t.status.init()
	for i := range o.Inputs {
		in, err := newInput(&o.Inputs[i], nil)
		if err != nil {
			return nil, err
		}
		t.inputs = append(t.inputs, in)
	}
	for _, s := range o.Resume {
		t.resume(s)
	}
	t.o.Resume = nil // of very many files it is large
	return t, nil
}

// Run follows the files until ctx ends, or with Options.Once until all is read.
// When it returns, everything it started has ended. Blocks that h has taken
// over are the receiver's.
func (t *Tailer) Run(ctx context.Context, h Handler) (err error) {
	ctx, cancel := context.WithCancel(ctx)
	t.reader = &reader{pool: newBlockPool(t.o.BlockBytes), handle: h, through: t.o.ReadThrough}
	t.waker = newWaker(t.o.NoEvents || t.o.Once, t.log)
	var wg sync.WaitGroup
	for range t.o.Workers {
		wg.Go(func() { t.work(ctx) })
	}
	wg.Go(func() { t.find() })
	defer close(t.stopped)
	defer func() { // no worker or finder is left behind, and no descriptor
		cancel()
		close(t.jobs)
		close(t.scans)
		close(t.looks)
		t.stopPipes()
		for t.running > 0 {
			r := <-t.outcomes
			t.running--
			r.f.busy = false
		}
		wg.Wait()
		err = errors.Join(err, t.waker.close(), t.closeAll())
	}()
	return t.loop(ctx)
}

// Turns returns how often the loop that owns all files has gone round, 0 before
// Run. Whatever the files, the disks and the Handler do, it goes round at least
// once in two seconds; if it does not, it hangs.
func (t *Tailer) Turns() uint64 { return t.rounds.Load() }

// Nudge tells that a stream which Options.Admit refused may be admitted now. It
// may be called at any time from anywhere, and does not block.
func (t *Tailer) Nudge() {
	if !t.holding.Load() { // who begins to wait at this instant asks again soon
		return
	}
	select {
	case t.nudged <- struct{}{}:
	default:
	}
}

// work reads files, one turn at a time.
func (t *Tailer) work(ctx context.Context) {
	for j := range t.jobs {
		if j.glimpse {
			t.outcomes <- result{j, t.reader.glimpse(&j.f.src)}
			continue
		}
		t.outcomes <- result{j, t.reader.turn(ctx, &j.f.src, j.final)}
	}
}

// find answers the questions that list folders, which can take long.
func (t *Tailer) find() {
	f := &finder{pins: t.o.PinDir, watch: t.waker.watch, unwatch: t.waker.unwatch, known: map[string]bool{}}
	scans, looks := t.scans, t.looks
	for scans != nil || looks != nil {
		select {
		case r, ok := <-scans:
			f.use(r.matcher)
			f.births = r.births
			switch {
			case !ok:
				scans = nil
			case r.dirs == nil:
				t.scanDone <- f.all(r.sweep)
			default:
				t.scanDone <- f.some(r.dirs)
			}
		case r, ok := <-looks:
			if !ok {
				looks = nil
				continue
			}
			f.use(r.matcher)
			t.lookDone <- lookReply{f.look(r.lost), judge(r.doubts)}
		}
	}
}

// loop is the owner of all files. It never waits for a disk.
func (t *Tailer) loop(ctx context.Context) error {
	scan := time.NewTicker(t.o.RescanInterval)
	defer scan.Stop()
	watch, watching := time.NewTicker(calmInterval), false
	defer watch.Stop()
	wake := time.NewTimer(time.Hour)
	wake.Stop()
	armed := false
	var woke time.Time
	gathered := int64(0) // bytes read since
	t.rescan = true
	for {
		t.rounds.Add(1)
		t.ask()
		var jobs chan job
		var next job
		if f, glimpse := t.nextReady(); f != nil {
			jobs, next = t.jobs, job{f, f.final, glimpse}
			before := f.traces() // now: once it is sent, the worker has it
			f.before = &before
		}
		if holding := len(t.held) > 0; holding != t.holding.Load() {
			t.holding.Store(holding)
		}
		select {
		case <-ctx.Done():
			return nil
		case jobs <- next:
			t.started(next)
		case r := <-t.outcomes:
			t.running--
			gathered += r.read
			if r.ended {
				r.f.busy = false
				return endOf(ctx, r.err)
			}
			if r.glimpse {
				t.glimpsed(r)
			} else {
				t.turned(r)
			}
			r.f.before = nil
			t.carryOut(r.f)
			t.readdressStray()
		case s := <-t.scanDone:
			t.scanning = false
			t.scanNotBefore = time.Now().Add(min(scanRest*time.Since(t.scanStarted), t.o.RescanInterval))
			if s.matcher == t.matcher {
				t.apply(ctx, s)
			} else { // it was found by patterns that are no more
				t.rescan = true
			}
		case r := <-t.lookDone:
			t.looking = false
			t.answered(r.found)
			t.judged(r.judged)
		case e := <-t.waker.events():
			t.event(e)
		case r := <-t.requests:
			t.requested(r)
		case r := <-t.reconfigurations:
			r.done <- t.reconfigure(&r.Inputs, scan)
		case <-t.nudged:
			t.retryHeld()
		case err := <-t.waker.errors():
			t.watchFailed(err)
		case <-wake.C:
			if armed = false; len(t.woken) > 0 {
				woke, gathered = time.Now(), 0
			}
			t.wakeAll()
		case <-scan.C:
			t.due = true
		case <-watch.C:
			now := time.Now()
			t.status.turned.Store(now.UnixNano())
			if t.tend(now); watching && len(t.watched) == 0 {
				watching = false // only after a tick, so that the next one always comes
				watch.Reset(calmInterval)
			}
		}
		if !armed && (len(t.woken)+len(t.held)+len(t.dirty) > 0 || t.rescan || t.due) {
			armed = true
			switch {
			case len(t.woken) == 0:
				wake.Reset(heldInterval)
			case time.Since(woke) < busyFor && gathered < sparseBytes:
				wake.Reset(sparseDelay)
			case time.Since(woke) < busyFor:
				wake.Reset(busyDelay)
			default:
				wake.Reset(wakeDelay)
			}
		}
		if !watching && len(t.watched) > 0 {
			watching = true
			watch.Reset(watchInterval)
		}
		if t.o.Once && t.exhausted() {
			return nil
		}
	}
}

// endOf returns the error of a run that its handler ended: none if that is
// because the run was to end anyway.
func endOf(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// ask hands the finder its next question, one at a time: of two answers the one
// about an earlier moment must not come after the other.
func (t *Tailer) ask() {
	if t.scanning || t.looking {
		return
	}
	if len(t.lost)+len(t.doubts) > 0 {
		t.looks <- lookRequest{t.lost, t.doubts, t.matcher}
		t.lost, t.doubts, t.looking = nil, nil, true
		return
	}
	if !t.rescan && !t.due && len(t.dirty) == 0 {
		return
	}
	now := time.Now()
	if now.Before(t.scanNotBefore) {
		return
	}
	t.scanStarted = now
	r := scanRequest{matcher: t.matcher, births: t.births}
	t.births = nil
	switch {
	case t.rescan:
	case t.due:
		r.sweep = t.sweepNext(now)
	default:
		r.dirs = t.dirty
	}
	t.scans <- r
	t.scanning, t.rescan, t.due, t.dirty = true, false, false, map[string]bool{}
}

// event notes what a file system event is about.
func (t *Tailer) event(e fsnotify.Event) {
	if !contentOnly(e) {
		t.dirty[eventDir(e)] = true
	} else if f := t.byPath[e.Name]; f != nil {
		t.wakeLater(f)
	}
}

// watchFailed falls back to looking everywhere: events have been lost.
func (t *Tailer) watchFailed(err error) {
	t.rescan = true
	if !errors.Is(err, fsnotify.ErrEventOverflow) {
		t.log.Warn("file system events failed; the periodic scan goes on [watch-none]", "error", limitHint(err))
	}
}
