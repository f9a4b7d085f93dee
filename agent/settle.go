package agent

import (
	"time"

	"shiplog/agent/checkpoint"
	"shiplog/shipper"
)

// settled is called by the producer, once for each batch: the ranges of its
// settled records are acknowledged. It must not block.
func (p *pipeline) settled(batch *shipper.Batch) {
	s := batch.Tag.(*shipment)
	end := s.block.End
	n := batch.Settled()
	if n < len(batch.Records) {
		end = batch.Records[n].Start
	}
	if p.acknowledged != nil && n == len(batch.Records) {
		p.acknowledged(time.Since(s.now))
	}
	routeOf(s.block).tally.settled(n, end-s.block.Start)
	if s.landings = batch.Landings(s.landings[:0]); len(s.landings) > 0 {
		p.ledger.landed(s.landings)
	}
	var state []byte
	for _, at := range s.states {
		if at.end <= end {
			state = at.state
		}
	}
	p.noteLeft(s, end)
	switch ahead := p.ledger.settled(s.block, end, state); {
	case n < len(batch.Records):
		p.ledger.keep(s.block.File, s.block.End, sentOf(batch.Records))
	case ahead:
		p.ledger.keep(s.block.File, end, sentOf(batch.Records))
	}
	p.recycle(s)
	p.nudge()
}

// sentOf returns those of the records that need not be sent again.
func sentOf(records []shipper.Record) []checkpoint.Sent {
	var sent []checkpoint.Sent
	for i := range records {
		if r := &records[i]; r.Settled() {
			sent = appendSent(sent, r.Start, r.End, r.Value, r.Headers)
		}
	}
	return sent
}
