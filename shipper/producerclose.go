package shipper

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Close waits for what is in flight until ctx ends, or another process has taken
// the transactional.id over. Then done is called for every batch that was not
// reported yet, with Settled() < len(Records), and ErrNotDrained is returned. When
// Close returns, all goroutines have ended and done will not be called again. Only
// the first call does anything.
func (p *Producer) Close(ctx context.Context) error {
	p.mu.Lock()
	if p.closing {
		p.mu.Unlock()
		return nil
	}
	p.closing = true
	if p.open.first == nil {
		close(p.drained)
	}
	client := p.current.client
	if p.txn != nil {
		close(p.txn.closing) // it ends the linger, and no transaction may be open beside its own
	} else {
		p.wg.Go(func() { _ = client.Flush(ctx) }) // ends the linger; what it waits for, we wait for below
	}
	p.mu.Unlock()

	why := p.awaitDrained(ctx)
	p.lastLetters(ctx)
	p.shutDown()
	left := p.takeOpen()
	records := 0
	for _, b := range left {
		if p.txn != nil {
			b.unsettle() // some may have been sent; none was committed
		}
		b.countSettled()
		records += len(b.Records) - b.settled
		p.report(b)
	}
	if len(left) > 0 {
		return fmt.Errorf("%w: %d records in %d batches are left, they have to be read again: %w",
			ErrNotDrained, records, len(left), why)
	}
	return nil
}

// awaitDrained waits until no batch is open, and returns why that is in vain.
func (p *Producer) awaitDrained(ctx context.Context) error {
	var gone chan struct{}
	if p.txn != nil {
		gone = p.txn.gone
	}
	select {
	case <-p.drained:
		return nil
	case <-gone:
		return p.txn.lost
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// lastLetters lets the letters that are due go to their topic. What does not
// get there stays in the file, for the next start.
func (p *Producer) lastLetters(ctx context.Context) {
	if p.letterTopic == nil {
		return
	}
	close(p.letterTopic.closing)
	grace := time.NewTimer(letterGrace)
	defer grace.Stop()
	select {
	case <-p.letterTopic.over:
	case <-grace.C:
	case <-ctx.Done():
	}
}

// shutDown ends all goroutines and clients and waits for all promises.
func (p *Producer) shutDown() {
	p.mu.Lock()
	p.stopped = true
	var clients []*kgo.Client
	for s := range p.sessions {
		clients = append(clients, s.client)
	}
	p.mu.Unlock()
	p.cancel()
	for _, c := range clients {
		c.Close()
	}
	p.solo.close()
	if p.letterTopic != nil {
		p.letterTopic.client.close()
	}
	p.wg.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.inFlight > 0 {
		p.quiet.Wait()
	}
}

// takeOpen empties the books.
func (p *Producer) takeOpen() []*Batch {
	p.mu.Lock()
	defer p.mu.Unlock()
	var left []*Batch
	for b := p.open.first; b != nil; b = p.open.first {
		left = append(left, b)
		p.open.remove(b)
	}
	for _, st := range p.streams {
		for _, l := range st.lanes {
			l.seq.end()
		}
	}
	return left
}
