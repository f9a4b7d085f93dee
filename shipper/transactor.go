package shipper

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
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
	careful bool // the client takes records of any size, and is flushed by hand
	singly  bool // each record goes in a batch of its own

	limit   atomic.Int64  // bytes of memory in a transaction
	closing chan struct{} // closed by Close: no batch comes any more

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

// unit is a batch in the hands of the transactor.
type unit struct {
	t      *transactor
	batch  *Batch
	spans  []*span
	stream *transactStream
	// refused says that it has records that may not be sent, and that are no dead
	// letters yet.
	refused bool
	open    atomic.Int64 // records without outcome, and one for who hands over
	hint    int          // where the next failed record is looked for; owned by the promises
	// letters are what is sent in place of records that became dead letters, by
	// their index; nil where nothing is.
	letters map[int]*kgo.Record
}

func newTransactor(p *Producer, o Transaction) *transactor {
	if o.Interval == 0 {
		o.Interval = DefaultCommitInterval
	}
	t := &transactor{
		p: p, o: o, topic: checkpointTopic{p: p, id: o.ID, name: o.Topic}, wake: make(chan struct{}, 1),
		instance: rand.Uint64(), streams: make(map[uint64]*transactStream), closing: make(chan struct{}),
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
		st = &transactStream{Context: context.Background(), id: b.Stream}
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

// handOver gives the records to client.
func (u *unit) handOver(client *kgo.Client) {
	records := u.batch.Records
	u.open.Store(int64(len(records)) + 1)
	u.hint = 0
	promise := u.promise // one closure for all of them
	without := 0
	for i := range records {
		r := &records[i].Record
		records[i].err = errUncommitted
		if u.letters != nil {
			if letter, ok := u.letters[i]; ok {
				if letter == nil {
					without++
					continue
				}
				letter.Context = u.stream
				client.Produce(u.stream, letter, func(_ *kgo.Record, err error) {
					if err != nil {
						records[i].err = err
					}
					u.land(err)
				})
				continue
			}
		}
		r.Context = u.stream
		client.Produce(u.stream, r, promise)
	}
	u.release(int64(without) + 1)
}

// promise is called by kgo for each record, one after the other.
func (u *unit) promise(r *kgo.Record, err error) {
	if err != nil {
		u.find(r).err = err
	}
	u.land(err)
}

func (u *unit) land(err error) {
	if err != nil {
		u.t.fail(err)
	}
	u.release(1)
}

// find returns our record around r.
func (u *unit) find(r *kgo.Record) *Record {
	records := u.batch.Records
	for range records {
		mine := &records[u.hint]
		u.hint = (u.hint + 1) % len(records)
		if &mine.Record == r {
			return mine
		}
	}
	return &Record{} // not reached: kgo calls a promise with the record it was given
}

func (u *unit) release(n int64) {
	if u.open.Add(-n) > 0 {
		return
	}
	t := u.t
	t.mu.Lock()
	t.unlanded--
	last := t.unlanded == 0 && !t.open
	t.mu.Unlock()
	if last {
		t.poke()
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

// finish ends the transaction with a commit and reports its batches. After an
// error the client is of no use any more.
func (t *transactor) finish() error {
	units := t.shut()
	t.mu.Lock()
	err, stale := t.broken, t.stale
	t.stale = false
	t.mu.Unlock()
	switch {
	case err != nil:
		return err
	case len(units) > 0:
		if err := t.commit(units, nil); err != nil {
			return err
		}
		t.settle(units)
	default:
		if err := t.client.EndTransaction(t.p.ctx, kgo.TryCommit); err != nil { // of nothing
			return err
		}
	}
	if stale {
		return errStale
	}
	return nil
}

// commit adds the checkpoint to a transaction that has all of units, or the values
// that are claimed where there are none, waits until all of it is acknowledged,
// and asks for the commit.
func (t *transactor) commit(units []*unit, kept []Kept) error {
	if len(units) > 0 {
		batches := make([]*Batch, len(units))
		for i, u := range units {
			batches[i] = u.batch
		}
		kept = t.o.Checkpoint(batches)
	}
	t.produceCheckpoint(t.number+1, kept)
	if err := t.flush(); err != nil {
		return err
	}
	return t.end(&commit{t.number + 1, units})
}

var errStale = errors.New("a topic takes smaller batches")

// shut lets nothing more in, and waits for those who hand over just now.
func (t *transactor) shut() []*unit {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.open = false
	for t.handing > 0 {
		t.mu.Unlock()
		<-t.wake
		t.mu.Lock()
	}
	return t.current
}

// produceCheckpoint adds to the transaction what makes it a checkpoint.
func (t *transactor) produceCheckpoint(number uint64, kept []Kept) {
	h := head{number, t.instance, time.Now(), t.p.opts.Host}
	records := []*kgo.Record{{Key: []byte(headOf(t.o.ID)), Value: h.append(nil)}}
	for i := range kept {
		records = append(records, &kgo.Record{Key: []byte(keyOf(t.o.ID, kept[i].Key)), Value: kept[i].append(number)})
	}
	own := &transactStream{Context: context.Background(), id: t.topic.stream()}
	t.mu.Lock()
	t.unlanded++
	t.mu.Unlock()
	u := &unit{t: t}
	u.open.Store(int64(len(records)) + 1)
	for i, r := range records {
		r.Topic, r.Context, r.Timestamp = t.o.Topic, own, h.at
		t.client.Produce(own, r, func(r *kgo.Record, err error) {
			if err != nil {
				err = &checkpointError{err}
			} else if i == 0 {
				t.headIn, t.headAt = r.Partition, r.Offset
			}
			u.land(err)
		})
	}
	u.release(1)
}

// checkpointError is what a record of the checkpoint itself failed with.
type checkpointError struct{ err error }

func (e *checkpointError) Error() string { return "checkpoint: " + e.err.Error() }
func (e *checkpointError) Unwrap() error { return e.err }

// flush waits until all of the transaction is acknowledged. It fails if a record
// did, or if it takes too long.
func (t *transactor) flush() error {
	ctx, cancel := context.WithCancel(t.p.ctx)
	defer cancel()
	var flushing sync.WaitGroup
	defer flushing.Wait()
	flushing.Go(func() { _ = t.client.Flush(ctx) }) // ends the linger; what it waits for, we wait for below
	began := time.Now()
	look := time.NewTimer(t.p.tune.stalled)
	defer look.Stop()
	defer cancel()
	for {
		t.mu.Lock()
		err, left := t.broken, t.unlanded
		t.mu.Unlock()
		switch {
		case err != nil:
			return err
		case left == 0:
			return nil
		case time.Since(began) > sendLimit:
			t.limit.Store(max(t.limit.Load()/4, minTransaction))
			return fmt.Errorf("%w: not acknowledged within %s", context.DeadlineExceeded, sendLimit)
		}
		select {
		case <-t.wake:
		case <-look.C:
			if t.holdMissing() {
				return fmt.Errorf("waiting for topics: %w", kerr.UnknownTopicOrPartition)
			}
			look.Reset(t.p.tune.stalled)
		case <-t.p.ctx.Done():
			return t.p.ctx.Err()
		}
	}
}

// end asks for the commit c. Its outcome is known if that succeeds. It is not
// asked for if kgo has got itself another epoch since the transaction began: Kafka
// has then aborted what was sent before, and a commit would be of the rest only.
func (t *transactor) end(c *commit) error {
	producer, epoch, err := t.client.ProducerID(t.p.ctx)
	if err != nil {
		return err
	}
	if producer != t.producer || epoch != t.epoch {
		return fmt.Errorf("the producer id changed within a transaction: %w", kerr.TransactionAbortable)
	}
	t.pending = c
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.p.ctx), endLimit)
	defer cancel()
	defer context.AfterFunc(t.p.ctx, cancel)()
	if err := t.client.EndTransaction(ctx, kgo.TryCommit); err != nil {
		return err
	}
	t.pending = nil
	t.number = c.number
	t.topic.wrote(t.headIn, t.headAt)
	return nil
}

// settle reports what was committed.
func (t *transactor) settle(units []*unit) {
	t.mu.Lock()
	t.current, t.bytes = nil, 0
	t.mu.Unlock()
	t.limit.Store(min(2*t.limit.Load(), t.p.opts.MemoryLimit/2))
	for _, u := range units {
		for i := range u.batch.Records {
			r := &u.batch.Records[i]
			r.err = nil
			if _, letter := u.letters[i]; letter {
				r.Offset = -1
			}
		}
		t.p.report(t.p.settleUnit(u))
	}
	t.committed.Store(t.number)
	t.setTrouble("")
}

// settleUnit takes a unit out of the books.
func (p *Producer) settleUnit(u *unit) (b *Batch) {
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range u.spans {
		l := s.lane
		if l.inFlight--; l.inFlight == 0 {
			l.session = nil
		}
		l.trouble = nil
		p.brake.accepted(l.topic)
		if done := p.settleLocked(s, now); done != nil {
			b = done
		}
	}
	return b
}
