package shipper

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// transactor sends the batches of a Producer in transactions, one after the
// other. It takes the place of the lanes' dispatch and recovery: a batch is sent
// and committed as a whole, and each stream's batches in their order, so that
// what a transaction commits of a stream follows what was committed before.
//
// # A transaction
//
//	open       batches go to kgo as they come, from whoever brings them
//	closing    after Interval, or when half of the memory is in it: batches queue,
//	           the checkpoint's records follow, all is waited for
//	ending     EndTxn; then the batches are reported, and the next one opens
//
// # When something fails
//
// A record that fails, or a commit that may have failed, ends the client. A new
// one takes the transactional.id over: Kafka then ends what the old one had begun,
// for good, before it answers. If a commit was asked for, the checkpoint topic
// tells what became of it: its newest record has the transaction's number, or
// that of the one before. So the batches were committed, or are queued again, in
// front. Nothing is ever decided by a time-out.
//
// A stream whose own record or topic was at fault is held: it is looked at by
// itself, in transactions that are always aborted, until its records are found to
// be acceptable, or are dead letters. All others go on.
type transactor struct {
	p     *Producer
	o     Transaction
	topic checkpointTopic
	wake  chan struct{} // has a token when there is something to look at

	instance  uint64        // of this process
	committed atomic.Uint64 // see Producer.Committed

	// The loop's:
	number  uint64     // of the last transaction that was committed
	pending *commit    // asked for, outcome not known
	known   Checkpoint // what Resume read
	last    head       // the newest in the topic
	// producer and epoch are those that the present transaction began with.
	producer int64
	epoch    int16

	headIn  int32 // the partition and the offset of the present transaction's head
	headAt  int64
	letters map[letterID]uint64
	resumed bool // what was committed before us is known
	claimed bool // the newest in the topic is ours
	lost    *FencedError
	careful bool // the client takes records of any size, and is flushed by hand
	singly  bool // each record goes in a batch of its own

	limit   atomic.Int64  // bytes of memory in a transaction
	closing chan struct{} // closed by Close: no batch comes any more
	gone    chan struct{} // closed when lost is set: nothing is committed any more

	mu       sync.Mutex // guards what follows; never held while calling kgo or the Producer
	client   *kgo.Client
	open     bool    // batches may enter the transaction
	broken   error   // what the transaction died of
	current  []*unit // in the transaction, in the order of their entry
	bytes    int64
	began    time.Time // when the first of them entered
	handing  int       // of them are being handed over
	unlanded int       // of them have records without outcome
	queued   int       // units in queues
	streams  map[uint64]*transactStream
	stale    bool // the client makes batches of a wrong size
	trouble  string
}

// commit is one whose outcome is not known.
type commit struct {
	number uint64
	units  []*unit
}

// transactStream is the queue of one stream.
type transactStream struct {
	context.Context // of its records: how the partitioner finds the stream
	id              uint64
	hash            uint64  // of id: it chooses the partition
	queue           []*unit // in order
	busy            bool    // its queue is being handed over, or looked at
	// While held:
	held     bool
	blocked  bool // the Producer's stream counts it as failing
	failures int
	next     time.Time // when it is looked at again
	err      error
	restamp  bool // its records have a time that the topic refuses
}

func newTransactStream(id uint64) *transactStream {
	return &transactStream{Context: context.Background(), id: id, hash: streamHash(id)}
}

func newTransactor(p *Producer, o Transaction) *transactor {
	if o.Interval == 0 {
		o.Interval = DefaultCommitInterval
	}
	t := &transactor{
		p: p, o: o, topic: checkpointTopic{p: p, id: o.ID, name: o.Topic}, wake: make(chan struct{}, 1),
		instance: rand.Uint64(), streams: make(map[uint64]*transactStream), closing: make(chan struct{}), gone: make(chan struct{}),
	}
	t.limit.Store(p.opts.MemoryLimit / 2)
	return t
}

// enter takes b over, of which all spans are in the books.
func (t *transactor) enter(b *Batch, more []*span) {
	u := &unit{t: t, batch: b, spans: append([]*span{&b.first}, more...)}
	for i := range b.Records {
		u.refused = u.refused || b.Records[i].Refuse != nil
	}
	t.mu.Lock()
	st := t.streams[b.Stream]
	if st == nil {
		st = newTransactStream(b.Stream)
		t.streams[b.Stream] = st
	}
	u.stream = st
	if !t.open || st.busy || st.held || u.refused || len(st.queue) > 0 {
		st.queue = append(st.queue, u)
		t.queued++
		t.mu.Unlock()
		t.poke()
		return
	}
	first := len(t.current) == 0
	t.takeLocked(u)
	client := t.client
	full := t.bytes >= t.limit.Load()
	t.open = !full
	t.mu.Unlock()
	u.handOver(client)
	t.handedOver()
	if first || full {
		t.poke()
	}
}

// takeLocked makes u a part of the transaction.
func (t *transactor) takeLocked(u *unit) {
	if len(t.current) == 0 {
		t.began = time.Now()
	}
	t.current = append(t.current, u)
	t.bytes += u.batch.charge
	t.handing++
	t.unlanded++
}

func (t *transactor) handedOver() {
	t.mu.Lock()
	t.handing--
	last := t.handing == 0 && !t.open
	t.mu.Unlock()
	if last {
		t.poke()
	}
}

func (t *transactor) poke() {
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// fail lets nothing more into the transaction, which is going to be given up.
func (t *transactor) fail(err error) {
	t.mu.Lock()
	first := t.broken == nil
	if first {
		t.broken, t.open = err, false
	}
	t.mu.Unlock()
	if first {
		t.poke()
	}
}

// run makes transactions until the Producer is closed, or another process has
// taken the transactional.id over.
func (t *transactor) run() {
	defer t.closeClient() // no promise comes any more after that
	for t.p.ctx.Err() == nil {
		if t.client == nil && t.connect(t.p.ctx, t.setTrouble) != nil {
			return
		}
		if err := t.begin(); err != nil {
			t.drop(err)
			continue
		}
		t.admit()
		if !t.collect() {
			return
		}
		if err := t.finish(); err != nil {
			t.drop(err)
			continue
		}
		t.lookAtHeld()
	}
}

// begin begins a transaction. Kafka learns of it with the first record.
func (t *transactor) begin() error {
	err := t.client.BeginTransaction()
	if err == nil {
		t.producer, t.epoch, err = t.client.ProducerID(t.p.ctx)
	}
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.current, t.bytes, t.broken = nil, 0, nil
	return nil
}

// admit hands over what has queued up, as far as it fits in, and opens the
// transaction for the rest.
func (t *transactor) admit() {
	t.mu.Lock()
	defer t.mu.Unlock()
	room := func() bool { return t.broken == nil && (t.bytes < t.limit.Load() || len(t.current) == 0) }
	for waiting := t.waitingLocked(); len(waiting) > 0 && room(); waiting = t.waitingLocked() {
		for _, st := range waiting {
			st.busy = true
			for len(st.queue) > 0 && !st.held && room() {
				u := st.queue[0]
				if u.refused { // its letters come first
					st.held, st.next = true, time.Time{}
					break
				}
				st.queue = slices.Delete(st.queue, 0, 1)
				t.queued--
				t.takeLocked(u)
				t.mu.Unlock()
				u.handOver(t.client)
				t.mu.Lock()
				t.handing--
			}
			st.busy = false
		}
	}
	t.open = t.broken == nil && t.bytes < t.limit.Load()
}

// waitingLocked returns the streams that have something queued and are not held,
// that which has waited longest first.
func (t *transactor) waitingLocked() []*transactStream {
	if t.queued == 0 {
		return nil
	}
	var out []*transactStream
	for id, st := range t.streams {
		switch {
		case len(st.queue) == 0 && !st.held && !st.busy:
			if len(t.streams) > 1024 { // it is made again when it is needed
				delete(t.streams, id)
			}
		case len(st.queue) > 0 && !st.held:
			out = append(out, st)
		}
	}
	slices.SortFunc(out, func(a, b *transactStream) int { return a.queue[0].batch.accepted.Compare(b.queue[0].batch.accepted) })
	return out
}

// collect waits until the transaction is to be ended, or a held stream is due. It
// reports false when the Producer is closed.
func (t *transactor) collect() bool {
	for {
		wait := t.untilDue()
		if wait <= 0 {
			return true
		}
		timer := time.NewTimer(wait)
		select {
		case <-t.wake:
		case <-timer.C:
		case <-t.closing:
			timer.Stop()
			return t.lastOnes()
		case <-t.p.ctx.Done():
			timer.Stop()
			return false
		}
		timer.Stop()
	}
}

// lastOnes reports, while the Producer closes, whether there is something left to
// send. It waits for more as long as there are open batches that are not here yet.
func (t *transactor) lastOnes() bool {
	select {
	case <-t.p.drained:
		return false
	case <-t.p.ctx.Done():
		return false
	default:
	}
	if t.untilDue() <= 0 {
		return true
	}
	t.mu.Lock()
	some := len(t.current) > 0
	t.mu.Unlock()
	if some {
		return true
	}
	return sleep(t.p.ctx, 10*time.Millisecond)
}

// untilDue returns how long there is nothing to do but to wait.
func (t *transactor) untilDue() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	wait := time.Hour
	switch {
	case t.broken != nil, t.bytes >= t.limit.Load(), t.stale:
		return 0
	case len(t.current) > 0:
		wait = time.Until(t.began.Add(t.o.Interval))
	}
	for _, st := range t.streams {
		if st.held {
			wait = min(wait, time.Until(st.next))
		} else if len(st.queue) > 0 && (!t.open || st.queue[0].refused) {
			return 0
		}
	}
	return wait
}
