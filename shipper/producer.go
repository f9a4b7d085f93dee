package shipper

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
)

// Producer sends batches to Kafka until each record is acknowledged by all
// in-sync replicas, or is a dead letter. All methods may be called
// concurrently.
type Producer struct {
	opts   Options
	done   func(*Batch)
	budget *semaphore.Weighted
	tune   tuning

	brokers     brokers
	limits      limits
	letters     *deadLetters
	letterTopic *letterTopic // nil: there is none
	faults      faults
	solo        solo
	missing     missing
	brake       brake
	rescues     rescues     // owned by the watch
	txn         *transactor // nil: not in transactions

	ctx    context.Context // ends what waits: back-offs, probes
	cancel context.CancelFunc
	wg     sync.WaitGroup // recoveries, the watch, closing clients

	// mu guards what follows, and all streams, lanes and open batches. It is
	// never held while calling kgo or done: the gate waits, under kgo's locks,
	// for promises, and these take mu.
	mu       sync.Mutex
	quiet    *sync.Cond // inFlight has become 0
	streams  map[uint64]*stream
	sessions map[*session]struct{}
	current  *session
	open     batchList
	spans    uint64 // numbers given
	inFlight int    // spans
	records  int    // of open batches
	charged  int64  // bytes of open batches
	lastAck  time.Time
	failures map[string]int64 // attempts that failed, by reason
	closing  bool             // no Produce any more
	stopped  bool             // no goroutine is started any more
	drained  chan struct{}    // closed when closing and no batch is open
}

// tuning is what tests make faster.
type tuning struct {
	tick    time.Duration // between two looks of the watch
	stalled time.Duration // without progress that long, the watch asks why
	ask     time.Duration // bounds that question
	backoff func(failures int) time.Duration
}

// NewProducer makes a Producer. It dials nothing: brokers may be down when a
// host boots. It fails only for options that can never work.
//
// done is called exactly once for each batch that Produce took over, from any
// goroutine, possibly before that Produce has returned. No lock is held, but
// all other acknowledgements, and calls of Produce, wait for it: it must not
// block, must not call Produce or Close, and must not need a lock that is held
// while calling them.
func NewProducer(o Options, done func(*Batch)) (*Producer, error) {
	return newProducer(o, done, tuning{tick: time.Second, stalled: 3 * time.Second, ask: askTimeout, backoff: backoff})
}

func newProducer(o Options, done func(*Batch), tune tuning) (*Producer, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("kafka producer: %w", err)
	}
	p := &Producer{
		opts:     o,
		done:     done,
		budget:   semaphore.NewWeighted(o.MemoryLimit),
		tune:     tune,
		brokers:  brokers{log: o.Log, tls: o.TLS, sasl: o.SASL},
		letters:  newDeadLetters(o),
		faults:   faults{log: o.Log},
		solo:     solo{turn: make(chan struct{}, 1)},
		missing:  newMissing(),
		brake:    brake{max: int64(o.DeadLettersInARow)},
		streams:  make(map[uint64]*stream),
		sessions: make(map[*session]struct{}),
		failures: make(map[string]int64),
		drained:  make(chan struct{}),
	}
	if o.Refused != nil {
		p.brake.max = 0
	}
	p.quiet = sync.NewCond(&p.mu)
	if o.Transaction != nil {
		p.txn = newTransactor(p, *o.Transaction)
	}
	if p.current, err = p.newSession(); err != nil {
		return nil, fmt.Errorf("kafka producer: %w", err)
	}
	p.sessions[p.current] = struct{}{}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	if o.DeadLetterTopic != "" {
		p.letterTopic = newLetterTopic(p)
		p.wg.Go(p.letterTopic.run)
	}
	p.wg.Go(p.watch)
	return p, nil
}

// Produce takes b over. It blocks while the memory budget is used up, and
// fails only if ctx ends first, or after Close; then b is untouched and the
// caller's. For one stream, calls must follow one another. A batch without
// records is done at once.
func (p *Producer) Produce(ctx context.Context, b *Batch) error {
	// A batch larger than the whole budget goes when nothing else does.
	charge := min(max(b.Bytes, 0), p.opts.MemoryLimit)
	if err := p.budget.Acquire(ctx, charge); err != nil {
		return fmt.Errorf("wait for memory to send %d records of %s: %w", len(b.Records), b.Path, err)
	}
	more, ok := p.accept(b, charge)
	if !ok {
		p.budget.Release(charge)
		return ErrClosed
	}
	if len(b.Records) == 0 {
		p.report(b)
		return nil
	}
	if p.txn != nil {
		p.txn.enter(b, more)
		return nil
	}
	// After the last dispatch b may be settled, and the caller's again.
	p.dispatch(&b.first)
	for _, s := range more {
		p.dispatch(s)
	}
	return nil
}

// accept enters b into the books and divides it into spans, the first of
// which is b.first.
func (p *Producer) accept(b *Batch, charge int64) (more []*span, ok bool) {
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closing {
		return nil, false
	}
	b.charge, b.accepted, b.settled, b.spans = charge, now, 0, 0
	if len(b.Records) == 0 {
		return nil, true
	}
	b.first.picked = nil
	if !p.oneTopic(b.Records) {
		more = b.divide()
	}
	p.enterLocked(b, &b.first, now)
	for _, s := range more {
		p.enterLocked(b, s, now)
	}
	st := p.streams[b.Stream]
	st.held += b.charge
	st.batches++
	p.records += len(b.Records)
	p.charged += b.charge
	p.open.push(b)
	return more, true
}

// enterLocked enters a span of b, which has its records, into the books.
func (p *Producer) enterLocked(b *Batch, s *span, now time.Time) {
	s.records = b.Records
	l := p.laneLocked(b.Stream, s.at(0).Topic, now)
	if l.session == nil {
		l.progress = now
	}
	if p.opts.CreateTopics != nil && !l.met && s.sends() {
		l.met = true
		p.missing.meet(l.topic)
	}
	p.spans++
	b.spans++
	if p.txn != nil {
		l.inFlight++
		l.session = p.current
	}
	s.batch, s.lane, s.number = b, l, p.spans
	s.hint, s.clean = 0, 0
	s.failed.Store(false)
}

// oneTopic tells whether all records go to one topic. It also clears what an
// earlier use of the records left in them.
func (p *Producer) oneTopic(records []Record) bool {
	one := true
	for i := range records {
		r := &records[i]
		if r.Topic == "" {
			r.Topic = p.opts.Topic
		}
		one = one && r.Topic == records[0].Topic
		r.err = nil
	}
	return one
}

// divide divides the records into spans by their topics. The first is b.first,
// the others are returned.
func (b *Batch) divide() (more []*span) {
	byTopic := map[string]*span{b.Records[0].Topic: &b.first}
	var last *span // of the record before
	for i := range b.Records {
		r := &b.Records[i]
		if last == nil || last.picked[0].Topic != r.Topic {
			if last = byTopic[r.Topic]; last == nil {
				last = new(span)
				byTopic[r.Topic] = last
				more = append(more, last)
			}
		}
		last.picked = append(last.picked, r)
	}
	return more
}

// settleLocked settles s and returns its batch if that was the last span.
func (p *Producer) settleLocked(s *span, now time.Time) *Batch {
	s.lane.progress, s.lane.proven = now, true
	p.lastAck = now
	b := s.batch
	if b.spans--; b.spans > 0 {
		return nil
	}
	b.settled = len(b.Records)
	p.removeLocked(b)
	return b
}

// removeLocked takes b out of the books. It must then be reported.
func (p *Producer) removeLocked(b *Batch) {
	st := p.streams[b.Stream]
	st.held -= b.charge
	st.batches--
	p.records -= len(b.Records)
	p.charged -= b.charge
	p.open.remove(b)
	if p.closing && p.open.first == nil {
		close(p.drained)
	}
}

// report gives b, if there is one, back to the caller.
func (p *Producer) report(b *Batch) {
	if b == nil {
		return
	}
	charge := b.charge // b may be used again as soon as done was called
	p.done(b)
	p.budget.Release(charge)
}

// Admit reports whether the stream should read on. It is false while one of
// its lanes is failing, and while it holds more of the budget than is free: the
// memory is for the others then. One of which a topic may be missing gets less:
// many of them must not use the budget up. It is cheap; ask once per block.
func (p *Producer) Admit(stream uint64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	st := p.streams[stream]
	switch {
	case st == nil:
		return true
	case st.failing > 0:
		return false
	case st.unproven():
		return st.held <= p.opts.MemoryLimit/unprovenShare
	}
	return st.held <= p.opts.MemoryLimit-p.charged
}

// batchList is a list of batches in the order of their acceptance.
type batchList struct{ first, last *Batch }

func (l *batchList) push(b *Batch) {
	b.prev, b.next = l.last, nil
	if l.last == nil {
		l.first = b
	} else {
		l.last.next = b
	}
	l.last = b
}

func (l *batchList) remove(b *Batch) {
	if b.prev == nil {
		l.first = b.next
	} else {
		b.prev.next = b.next
	}
	if b.next == nil {
		l.last = b.prev
	} else {
		b.next.prev = b.prev
	}
	b.prev, b.next = nil, nil
}
