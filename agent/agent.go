// Package agent is the running agent: it joins the tailer, which reads files,
// to the shipper, which speaks Kafka, and keeps the checkpoint between them.
//
// # Order of start and stop
//
// Start: the checkpoint (and with it the lock), the producer (which dials
// nothing yet), the saver, the admin server, the tailer, which finds files at
// once. Their blocks wait until it is known where the topics end, and, after a
// crash, what the run before has sent.
//
// Stop, in the direction of the data: reading ends; what is in flight may still
// be acknowledged, at most for shutdown_timeout; the saver writes the
// last acknowledged prefixes; the checkpoint is closed, and marked as clean if
// everything that was read has been acknowledged. What was not is read again
// at the next start.
//
// With delivery: exactly-once what the run before has committed is asked for before
// the tailer begins: see [exactlyOnce].
//
// # Pins
//
// Where an input says pin, a rotated file that is not acknowledged to its end
// has a hard link, or a copy of the rest of it, under state_dir/pins. It goes
// when a save of the checkpoint that began after the last acknowledgement has
// ended. The checkpoint may be lost: a pin is described beside it, and its file
// is then read from where it was when it was pinned.
//
// # What moves the checkpoint
//
// Only [ledger.settled], for ranges whose records Kafka has acknowledged, that
// are in the dead letter file, or that hold nothing to ship; and a user, who can
// set a file back, or have it forgotten: what is in flight then counts no more.
//
// # After a crash
//
// What was acknowledged after the last save, or was on its way, is in Kafka and
// beyond the saved prefixes. The next run reads it back before it sends anything,
// from where the saved horizons say (see [horizon]) to the ends of the
// partitions, and finds its own records by the headers src, off and len. What it
// found is saved with the entries, and left out when the file is read again from
// the saved offset on.
//
// A range alone would not do: while the agent was down, the file may have been
// truncated and written anew, and begin as it did. An entry is left out only if
// it becomes the very value that Kafka has for its range, else it is sent. What
// too_large: cut has shortened is told by the beginning of its message, what is in
// the dead letter file by its own bytes: see sent.go.
//
// For that each record in Kafka must name a source that the checkpoint knows, so
// the first block of a file waits until the file is in the checkpoint on disk.
package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"shiplog/agent/checkpoint"
	"shiplog/agent/config"
	"shiplog/shipper"
	"shiplog/tailer"
)

// Options say how to run.
type Options struct {
	// Once reads what is there, ships it, and returns.
	Once bool
	Log  *slog.Logger // default: discard
	// Load reads and checks the configuration again, for a reload. Its error is
	// told to who asked. nil: this run cannot be reloaded.
	Load func() (*config.Config, error)
	// Hangup asks for a reload, each time; nil: only the admin server does.
	Hangup <-chan os.Signal
	// Level, if set, is that of Log, so that a reload can change it.
	Level *slog.LevelVar
	// Reloading, if set, is told when a reload begins and when it is over, by one
	// goroutine at a time.
	Reloading func(begins bool)
	// Version is that of the program, and ConfigPath where the configuration was
	// read from; for Status.
	Version, ConfigPath string
	// Listening, if set, is told the address of the admin server.
	Listening func(net.Addr)
	// Needs, if set, is told how many bytes of memory the run has use for, at its
	// start and when that has changed: a collector that knows it need not let
	// garbage pile up as high as what is in flight.
	Needs func(bytes int64)
	// Progress, if set, is told a few times a second how many bytes of the files
	// are acknowledged since the start, and how many these and those to come are.
	Progress func(done, all int64)

	readThrough func(*os.File) io.ReaderAt // tailer.Options.ReadThrough
}

// Agent is one run of the agent.
type Agent struct {
	conf    atomic.Pointer[config.Config] // what applies now; replaced by a reload
	o       Options
	log     *slog.Logger
	started time.Time

	saving   sync.Mutex // guards store and ledger.moved, once the parts run
	store    *checkpoint.Store
	skips    *checkpoint.Skips // Flush and Close are guarded by saving too
	before   before
	exact    *exactlyOnce // nil: not in transactions
	giveUp   func(error)  // ends a run with Once
	ledger   *ledger
	producer *shipper.Producer
	tailer   *tailer.Tailer
	pipeline *pipeline
	letters  letterDesk
	routes   atomic.Pointer[[]*route] // in the order of the inputs

	reloads   sync.Mutex // held during a reload
	reloading sync.Mutex // guards begun, and routes while topics are begun
	begun     bool       // blocks may be handed over

	lastReload atomic.Pointer[ReloadState]
	pins       *pinner
	names      *topicSet     // that templates lead to, over reloads
	kick       chan struct{} // asks the saver to save now
	counts     counts
	metrics    *metrics
	followers  followers
	needs      int64 // as told to Options.Needs; the saver's

	damaged   []string
	recent    recentErrors
	seen      observer
	saver     saverState
	waiting   atomic.Pointer[string] // what keeps the reading back from beginning
	saves     atomic.Int64           // of the checkpoint, that went well
	phase     atomic.Int32           // of type phase
	adminAddr atomic.Pointer[string]
}

// Run follows the files of the configuration until ctx ends. When it returns,
// everything it started has ended, and the checkpoint on disk is the
// acknowledged prefix. No broker has to be there.
func Run(ctx context.Context, c *config.Config, o Options) error {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	a := &Agent{o: o, started: time.Now(), kick: make(chan struct{}, 1)}
	a.log = slog.New(a.recent.handler(o.Log.Handler()))
	a.conf.Store(c)
	a.followers.came = make(chan struct{}, 1)
	for _, w := range Warnings(c) {
		a.log.Warn(w)
	}
	store, err := checkpoint.Open(c.StateDir, checkpoint.Options{Log: a.log})
	if err != nil {
		return err
	}
	a.store, a.damaged = store, store.Damaged()
	if a.skips, err = checkpoint.OpenSkips(c.StateDir, checkpoint.SkipsOptions{Log: a.log}); err != nil {
		return errors.Join(err, store.Release())
	}
	a.before = before{entries: store.Entries(), horizons: store.Horizons()}
	a.before.crashed = !store.Clean() && len(a.before.entries) > 0
	if err := a.build(); err != nil {
		return errors.Join(err, a.skips.Close(), store.Release()) // nothing was sent, but what the run before left unclean still is
	}
	return a.run(ctx)
}

// build makes the parts; none of them does anything yet.
func (a *Agent) build() error {
	a.ledger = newLedger(a.store.Entries(), time.Now)
	a.names = newTopicSet(a.config(), a.log)
	rs, err := routes(a.config(), a.names)
	if err != nil {
		return err
	}
	a.count(rs)
	a.routes.Store(&rs)
	host, err := os.Hostname()
	if err != nil {
		return fmt.Errorf("name of this host: %w", err)
	}
	po, err := producerOptions(a.config(), a.log)
	if err != nil {
		return err
	}
	if a.exact, err = newExactlyOnce(a); err != nil {
		return err
	}
	if a.exact != nil {
		po.Transaction = a.exact.transaction()
		if c := a.store.Committed(); c.ID != "" && !c.Left {
			a.before.crashed = false // what counts was committed, and Kafka tells it
		}
		a.ledger.committed = func() uint64 { return a.producer.Committed() }
	}
	if po.Cut != nil {
		po.Cut = func(r *shipper.Record, bytes int) bool {
			cut := cutRecord(r, bytes)
			if cut {
				a.counts.shortened.Add(1)
			}
			return cut
		}
	}
	letters, err := newLetterReader(a.config())
	if err != nil {
		return err
	}
	a.letters.renew(letters)
	if po.Disclose != nil {
		po.Disclose = a.letters.disclose
	}
	pipe := &pipeline{host: []byte(host), saveSoon: a.saveSoon, ledger: a.ledger, skips: a.skips, ready: make(chan struct{})}
	a.metrics = newMetrics(func() Status { return a.Status(StatusQuery{Limit: -1}) })
	pipe.acknowledged = func(d time.Duration) { a.metrics.acknowledged.Observe(d.Seconds()) }
	if a.producer, err = shipper.NewProducer(po, pipe.settled); err != nil {
		return err
	}
	pipe.producer = a.producer
	pipe.ends = a.endsOf
	to, err := tailerOptions(a.config(), a.log)
	if err != nil {
		return errors.Join(err, a.producer.Close(context.Background()))
	}
	if to.Inputs, err = routedInputs(rs); err != nil {
		return errors.Join(err, a.producer.Close(context.Background()))
	}
	a.pins = newPinner(a.config().StateDir, a.config().Pins.Quota, a.ledger, a.log)
	a.pins.asked.Store(anyPinned(rs))
	a.pins.sayUnasked(to.Inputs)
	to.Once, to.Admit, to.OnEvent, to.ReadThrough = a.o.Once, a.producer.Admit, a.fileEvent, a.o.readThrough
	if a.exact == nil {
		to.Resume = a.ledger.resume()
	}
	if a.tailer, err = tailer.New(to); err != nil {
		return errors.Join(err, a.producer.Close(context.Background()))
	}
	pipe.nudge, a.pins.tailer = a.tailer.Nudge, a.tailer
	a.pipeline = pipe
	return nil
}

// run starts the parts and stops them in the order of the package comment.
func (a *Agent) run(ctx context.Context) error {
	ctx, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	a.giveUp = giveUp
	background, stopBackground := context.WithCancel(context.WithoutCancel(ctx))
	defer stopBackground()
	var saver, server, starter, supervisor sync.WaitGroup
	saver.Go(func() { a.save(background) })
	saver.Go(func() { a.observe(background) })
	saver.Go(func() { a.broadcast(background) })
	if a.o.Progress != nil {
		saver.Go(func() { a.tellProgress(background) })
	}
	serving, stopServing := context.WithCancel(background)
	server.Go(func() { a.serve(serving) })
	a.log.Info("started", "inputs", len(a.config().Inputs), "brokers", a.config().Kafka.Brokers, "topic", a.config().Kafka.Topic, "state_dir", a.config().StateDir)

	reading, stopReading := context.WithCancel(ctx)
	defer stopReading()
	supervisor.Go(func() { a.supervise(background, reading) })
	var unresumed error
	if a.exact != nil {
		if unresumed = a.exact.resume(reading); unresumed != nil {
			stopReading()
		}
	}
	begun, fault := false, error(nil) // the starter's, until it ends
	saver.Go(func() {
		a.pins.run(background, func() time.Duration { return a.config().CheckpointInterval }, a.saves.Load)
	})
	starter.Go(func() {
		if begun, fault = a.begin(reading); begun {
			close(a.pipeline.ready)
			a.phase.CompareAndSwap(int32(starting), int32(running)) // it may be stopping already
			a.followEnds(serving)
		} else {
			stopReading() // at fault, or to end anyway
		}
	})
	reloader := sync.WaitGroup{}
	if a.o.Hangup != nil {
		reloader.Go(func() { a.followReloads(serving) })
	}
	err := a.tailer.Run(reading, a.pipeline.handle)
	a.phase.Store(int32(stopping))
	stopReading()

	if ctx.Err() != nil {
		a.log.Info("stopping: reading has ended, waiting for acknowledgements", "at_most", a.config().ShutdownTimeout)
	}
	drained := a.drain(ctx)
	stopServing()
	starter.Wait()
	reloader.Wait()
	stopBackground()
	saver.Wait()
	server.Wait()
	supervisor.Wait()
	err = errors.Join(err, unresumed, fault, a.close(begun, drained))
	if a.o.Once && err == nil {
		err = a.onceResult(ctx, drained)
	}
	a.log.Info("stopped", "lines", a.counts.total().Lines, "acknowledged", a.counts.total().Acknowledged, "all_acknowledged", drained)
	return err
}
