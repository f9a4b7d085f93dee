package shipper

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

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
	own := newTransactStream(t.topic.stream())
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
